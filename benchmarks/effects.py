#!/usr/bin/env python3
"""How often are effects wrong where there are none? Simulated runs; it takes no privilege.

A run has 16 cells (two methods, frame sizes, fills, bursts), all equally fast, with noise of 2 %
that goes slowly from round to round. So every effect is 1, no pairs disagree, and each disagreement
is one of chance: at most 5 % of runs should have one (! marks more). Intervals should hold 1 in
95 %. The level of the test was chosen with other seeds.

    python -m benchmarks.effects --runs 300
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tabulate import tabulate

from bench.analysis.effects import effects
from bench.analysis.figures import usable_by_cell
from bench.model.answer import Effect
from tests.raced_runs import AXES, a_race, product

FIRST_SEED = 10_000
MOST_SPLIT = 0.05

KINDS: dict[str, dict[str, float]] = {
    "60 rounds": {"rounds": 60},
    "150 rounds, a fifth of the samples missing": {"rounds": 150, "missing": 0.2},
    "100 rounds of five openings": {"rounds": 100, "openings": 5, "of_opening": 0.006},
    "60 rounds, correlation 0.8": {"rounds": 60, "likeness": 0.8},
    "60 rounds, correlation 0.9": {"rounds": 60, "likeness": 0.9},
    "200 rounds, correlation 0.9": {"rounds": 200, "likeness": 0.9},
}
"""For a_race() of tests/raced_runs.py; neighbouring rounds have a correlation of 0.5 by default."""


def found_in(kind: dict[str, float], seed: int) -> tuple[Effect, ...]:
    run = a_race(product(AXES), seed=seed, **kind)  # type: ignore[arg-type]
    return effects(run, usable_by_cell(run), run.cells)[0]


def row(kind: str, runs: int) -> Sequence[str]:
    """How many runs had a disagreement, and how many intervals held."""
    split = held = given = 0
    for seed in range(FIRST_SEED, FIRST_SEED + runs):
        found = found_in(KINDS[kind], seed)
        split += any(effect.parts for effect in found)
        for effect in found:
            low, high = effect.ratio.low, effect.ratio.high
            if low is not None and high is not None:
                held += low <= 1 <= high
                given += 1
    mark = "" if split <= MOST_SPLIT * runs else " !"
    return kind, f"{split / runs:.1%}{mark}", f"{held / given:.1%}" if given else "none given"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=300, help="simulated of each kind (300)")
    args = parser.parse_args()
    rows = [row(kind, args.runs) for kind in KINDS]
    headers = ["all cells equal", "runs with a disagreement", "intervals that held"]
    print(tabulate(rows, headers, disable_numparse=True))


if __name__ == "__main__":
    main()
