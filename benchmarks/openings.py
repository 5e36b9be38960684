"""Do the intervals of several openings hold what many openings would show? Simulated runs.

A run has 24 cells, 18 of which have one of the other six as their baseline. An opening moves all of
them, and each cell besides; rounds are noise on that, alike or not. The truth is what openings move
around. For every kind of run and number of openings: how often the 95 % interval held it, and half
its mean width. For ratios within the round, also as if all rounds were of one opening, and for
levels. Goal: at least 95 %. The levels of a run are missed together, so that chance moves their
figure more: by some 1.5 % in 200 runs.

    python benchmarks/openings.py
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.analysis import openings
from bench.analysis.openings import ByOpening
from bench.model.results import Estimate

BASELINES, CELLS_EACH = 6, 3
"""Baselines, and the cells that are compared with each."""
OPENINGS = (3, 5, 10)
ROUNDS = 120
"""Of a run: shared among its openings."""
GOAL = 0.95


@dataclass(frozen=True)
class Machine:
    """Standard deviations, relative: of what all cells share in an opening, of what each cell does
    beyond it (the least and the largest), and of a round; ``rho`` is how alike neighbours are."""

    shift: float = 0.0121
    own: tuple[float, float] = (0.0059, 0.0059)
    noise: float = 0.02
    rho: float = 0.0

    def cell(self, generator: random.Random, shifts: Sequence[float]) -> ByOpening:
        own = generator.uniform(*self.own)
        each, value = ROUNDS // len(shifts), generator.gauss(0, 1)
        levels: dict[int, list[float]] = {}
        for number, shift in enumerate(shifts):
            level, levels[number] = shift + generator.gauss(0, own), []
            for _ in range(each):
                value = self.rho * value + generator.gauss(0, math.sqrt(1 - self.rho**2))
                levels[number].append(math.exp(level + self.noise * value))
        return levels


MACHINES = {
    "as measured on two CPUs": Machine(),
    "cells alike within openings": Machine(shift=0.0121, own=(0.001, 0.001)),
    "some cells spread far more": Machine(own=(0.001, 0.02)),
    "neighbours alike, AR(1) 0.5": Machine(rho=0.5),
    "quiet rounds": Machine(noise=0.003),
    "openings do not differ": Machine(shift=0.0, own=(0.0, 0.0)),
}


def run(
    machine: Machine, generator: random.Random, count: int
) -> tuple[list[ByOpening], list[ByOpening]]:
    """The levels of all cells, and the ratios of those that have a baseline."""
    shifts = [generator.gauss(0, machine.shift) for _ in range(count)]
    levels, compared = [], []
    for _ in range(BASELINES):
        base, *others = (machine.cell(generator, shifts) for _ in range(1 + CELLS_EACH))
        levels += [base, *others]
        compared += [ratios(other, base) for other in others]
    return levels, compared


def ratios(cell: ByOpening, base: ByOpening) -> ByOpening:
    return {k: [a / b for a, b in zip(cell[k], base[k], strict=True)] for k in cell}


def verdict(found: Sequence[Estimate | None]) -> str:
    """``coverage ±half width``, with a mark where the goal is not met."""
    given = [(e.low, e.high) for e in found if e and e.low is not None and e.high is not None]
    if not given:
        return "none given"
    held = statistics.fmean(low <= 1 <= high for low, high in given)
    half = statistics.fmean(high - low for low, high in given) / 2
    return f"{held:.1%} ±{half:.2%}{' !' if held < GOAL else ''}"


def simulate(
    estimates: Callable[..., list[Estimate | None]], runs: int, seed: int, levels: bool
) -> list[list[str]]:
    rows = []
    for kind, machine in MACHINES.items():
        row = [kind]
        for count in OPENINGS:
            generator = random.Random(f"{seed} {kind} {count}")
            drawn = (run(machine, generator, count)[0 if levels else 1] for _ in range(runs))
            row.append(verdict([e for cells in drawn for e in estimates(cells, levels=levels)]))
        rows.append(row)
    return rows


def main() -> None:
    from tabulate import tabulate

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=200, help="simulated of each kind (200)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    tables = {
        "ratios": (openings.estimates, False),
        "ratios, by rounds alone": (openings.pooled, False),
        "levels": (openings.estimates, True),
    }
    for title, (how, levels) in tables.items():
        rows = simulate(how, args.runs, args.seed, levels)
        headers = [title, *(f"{count} openings" for count in OPENINGS)]
        print(f"\n{tabulate(rows, headers=headers, tablefmt='plain', disable_numparse=True)}")


if __name__ == "__main__":
    main()
