"""Do the intervals hold? Simulated series like those of slices, and resampled real ones.

For every kind of series and number of rounds: how often the 95 % interval of the median held the
true median, how wide it was against the narrowest interval of fixed width that holds there (found
by simulation, knowing the truth), and in how many cells an interval was given at all. Goal: at
least 93 % wherever an interval is given, and no wider than 1.5 times the narrowest. Once as ratios
within the round are judged, and once as levels (pps, ns/frame), which wander with the machine.

A second table is of runs that stop early: cells get more rounds, as in `bench run`, until their
interval is as narrow as asked for. Looking again and again must not spoil what the interval says.

    python benchmarks/coverage.py            simulated
    python benchmarks/coverage.py RUN...     and real slices of stored runs, in blocks

A stored run is drawn anew in blocks of 20 rounds, the same for all cells, and what should be held
is the median of the whole run.
"""

from __future__ import annotations

import argparse
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from bench.analysis import figures, intervals
from bench.measure.session import PRECISION_CHECK_ROUNDS
from bench.model.results import Estimate
from bench.model.run import Run
from bench.store import reader

CELLS = 24
"""Cells of a simulated run: they share the correlation of their machine."""
ROUNDS = (6, 10, 20, 40, 100, 300, 400)
GOAL, WIDEST = 0.93, 1.5
BLOCK = 20
"""Rounds of a block of real slices that is drawn as a whole, so that neighbours stay so. What lasts
longer than a block is cut; shorter blocks would hide more of it, longer ones leave too few."""

Series = Callable[[random.Random, int], list[float]]


def autoregressive(rho: float) -> Series:
    """AR(1) around 0 with standard deviation 1."""

    def draw(generator: random.Random, n: int) -> list[float]:
        value, values = generator.gauss(0, 1), []
        for _ in range(n):
            value = rho * value + generator.gauss(0, (1 - rho * rho) ** 0.5)
            values.append(value)
        return values

    return draw


def student_t3(generator: random.Random, n: int) -> list[float]:
    """Heavy tails: Student's t with 3 degrees of freedom."""
    return [
        generator.gauss(0, 1) / (sum(generator.gauss(0, 1) ** 2 for _ in range(3)) / 3) ** 0.5
        for _ in range(n)
    ]


def drifting(generator: random.Random, n: int) -> list[float]:
    """A linear drift of twice the noise from the first round to the last."""
    return [generator.gauss(0, 1) + 2 * i / (n - 1) - 1 for i in range(n)]


def stolen(generator: random.Random, n: int) -> list[float]:
    """1 with 2 % noise, and 5 % of slices 30 % slow."""
    return [(1.0 - 0.3 * (generator.random() < 0.05)) * generator.gauss(1, 0.02) for _ in range(n)]


@dataclass(frozen=True)
class Machine:
    """What draws the series of one cell, and that of all cells of a run."""

    cell: Series
    run: Callable[[random.Random, int], list[list[float]]]


def apart(draw: Series) -> Machine:
    """Cells that have nothing in common but their kind."""
    return Machine(draw, lambda generator, n: [draw(generator, n) for _ in range(CELLS)])


def wandering(cells: int) -> Callable[[random.Random, int], list[list[float]]]:
    """Noise on a speed that all cells share for 20 rounds, and that varies as much as the noise."""

    def draw(generator: random.Random, n: int) -> list[list[float]]:
        first = generator.randrange(BLOCK)
        speeds = [generator.gauss(0, 1) for _ in range(n // BLOCK + 2)]
        return [
            [generator.gauss(speeds[(first + i) // BLOCK], 1) for i in range(n)]
            for _ in range(cells)
        ]

    return draw


RATIOS = {
    "iid": apart(autoregressive(0.0)),
    "AR(1) 0.3": apart(autoregressive(0.3)),
    "AR(1) 0.5": apart(autoregressive(0.5)),
    "AR(1) 0.8": apart(autoregressive(0.8)),
    "Student t3": apart(student_t3),
    "linear drift": apart(drifting),
    "5 % slow": apart(stolen),
}
LEVELS = RATIOS | {
    "wandering": Machine(lambda generator, n: wandering(1)(generator, n)[0], wandering(CELLS))
}
MACHINES = {False: RATIOS, True: LEVELS}
"""By whether what is judged are levels."""


def true_median(draw: Series, generator: random.Random) -> float:
    """Of the process: over many short series, each drawn anew."""
    return statistics.median(v for _ in range(400) for v in draw(generator, 500))


def narrowest(draw: Series, n: int, truth: float, generator: random.Random) -> float:
    """The width that, put around the median, holds the truth 95 times in 100."""
    misses = sorted(abs(statistics.median(draw(generator, n)) - truth) for _ in range(2000))
    return 2 * misses[int(0.95 * len(misses))]


def estimates(
    cells: Sequence[list[float]], levels: bool, z: float = intervals.Z95
) -> list[Estimate]:
    """As a run's table has them."""
    return [found for found in intervals.estimates(cells, z, levels=levels) if found]


def verdict(found: Sequence[Estimate], truth: float, narrow: float) -> str:
    """``coverage width given``, each with a mark where the goal is not met."""
    given = [(e.low, e.high) for e in found if e.low is not None and e.high is not None]
    share = len(given) / len(found)
    if share < 0.01:
        return "none given"
    held = sum(low <= truth <= high for low, high in given) / len(given)
    width = statistics.mean(high - low for low, high in given) / narrow
    marks = f"{held:6.1%}{'!' if held < GOAL else ' '} {width:4.2f}{'!' if width > WIDEST else ' '}"
    return f"{marks}{share:5.0%}"


def simulate(runs: int, seed: int, levels: bool) -> list[list[str]]:
    rows = []
    for kind, machine in MACHINES[levels].items():
        generator = random.Random(f"{seed} {kind}")
        truth = true_median(machine.cell, generator) if kind == "5 % slow" else 0.0
        row = [kind]
        for n in ROUNDS:
            few = runs if n <= 100 or kind == "wandering" else max(10, runs // 2)
            found = [e for _ in range(few) for e in estimates(machine.run(generator, n), levels)]
            narrow = narrowest(machine.cell, n, truth, generator)
            row.append(verdict(found, truth, narrow))
        rows.append(row)
    return rows


# Stopping early

FIRST, LAST = 40, 400
NOISE = 0.02
"""Standard deviation of a slice around 1: a precision of 0.5 % then needs some hundred rounds."""
PRECISIONS = (0.01, 0.005, 0.003)


def stopped(cells: Sequence[list[float]], precision: float, levels: bool) -> list[Estimate]:
    """Each cell's estimate when it had its precision, or all rounds; looked at as a run does."""
    series = {str(i): values for i, values in enumerate(cells)}
    rounds = dict.fromkeys(series, FIRST)
    wanted = set(series)
    while True:
        taken = [series[i][:n] for i, n in rounds.items()]
        found = dict(zip(series, estimates(taken, levels, intervals.Z_STOPPING), strict=True))
        unprecise = {i for i, e in found.items() if not (e.half_width or 1.0) <= precision}
        wanted = {i for i in wanted & unprecise if rounds[i] < LAST}
        if not wanted:
            return list(found.values())
        for i in wanted:
            rounds[i] = min(LAST, rounds[i] + PRECISION_CHECK_ROUNDS)


def drifted(kind: str, n: int) -> float:
    """What the median of the first n of all rounds is, where it is not that of all of them."""
    return (n - LAST) / (LAST - 1) if kind == "linear drift" else 0.0


def simulate_stopping(runs: int, seed: int, levels: bool) -> list[list[str]]:
    rows = []
    for kind, machine in MACHINES[levels].items():
        generator = random.Random(f"{seed} stopping {kind}")
        truth = true_median(machine.cell, generator) if kind == "5 % slow" else 0.0
        scale, offset = (1.0, 0.0) if kind == "5 % slow" else (NOISE, 1.0)
        row = [kind]
        for precision in PRECISIONS:
            found = [
                estimate
                for _ in range(runs)
                for estimate in stopped(
                    [
                        [offset + scale * value for value in values]
                        for values in machine.run(generator, LAST)
                    ],
                    precision,
                    levels,
                )
            ]
            held_by = [
                e.low <= offset + scale * (truth + drifted(kind, e.n)) <= e.high
                for e in found
                if e.low is not None and e.high is not None
            ]
            rounds = statistics.mean(e.n for e in found)
            if held_by:
                held = sum(held_by) / len(held_by)
                row.append(f"{held:6.1%}{'!' if held < GOAL else ' '} {rounds:4.0f} rounds")
            else:
                row.append("none given")
        rows.append(row)
    return rows


# Real slices


def real_ratios(run: Run) -> list[list[float]]:
    """The within-round ratios of each cell that has a baseline."""
    usable = figures.usable_by_cell(run)
    ratios = [
        figures.within_round_ratios(usable[cell], usable[base], "pps")
        for cell, base in run.baselines.items()
        if cell != base
    ]
    return [[*chain.from_iterable(of_cell.values())] for of_cell in ratios]


def real_levels(run: Run) -> list[list[float]]:
    """Frames per second of each cell: these share the machine's ups and downs."""
    return [[figures.pps(s) for s in samples] for samples in figures.usable_by_cell(run).values()]


def resampled(
    cells: Sequence[Sequence[float]], n: int, generator: random.Random
) -> list[list[float]]:
    """A run of n rounds made of blocks of rounds: the true medians are those of the cells.

    All cells have the same rounds, as they have in a run: whatever they share, they share here.
    """
    starts = [generator.random() for _ in range(-(-n // BLOCK))]
    return [
        [
            values[(int(start * len(values)) + i) % len(values)]
            for start in starts
            for i in range(BLOCK)
        ][:n]
        for values in cells
    ]


def resample(
    name: str, cells: Sequence[Sequence[float]], tries: int, seed: int, levels: bool
) -> list[str]:
    generator = random.Random(seed)
    cells = [values for values in cells if len(values) >= 2 * BLOCK]
    medians = [statistics.median(values) for values in cells]
    row = [name]
    for n in ROUNDS:
        held = given = 0
        for _ in range(tries):
            for median, found in zip(
                medians, estimates(resampled(cells, n, generator), levels), strict=True
            ):
                if found.low is not None and found.high is not None:
                    given += 1
                    held += found.low <= median <= found.high
        share = given / max(1, tries * len(cells))
        mark = "!" if given and held / given < GOAL else " "
        row.append(f"{held / given:6.1%}{mark}     {share:5.0%}" if given else "none given")
    return row


def main() -> None:
    from tabulate import tabulate

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="stored runs to resample")
    parser.add_argument("--simulated-runs", type=int, default=100, help="of 24 cells (default 100)")
    parser.add_argument("--tries", type=int, default=100, help="of each stored run (default 100)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    runs = {path.stem: reader.read(path) for path in args.runs}
    print("coverage, width over the narrowest that holds, share of cells with an interval;")
    print(f"! where the goal is missed: coverage {GOAL:.0%}, width {WIDEST}")
    for levels, real in ((False, real_ratios), (True, real_levels)):
        rows = simulate(args.simulated_runs, args.seed, levels)
        for name, run in runs.items():
            rows.append(resample(name, real(run), args.tries, args.seed, levels))
        headers = ["levels" if levels else "ratios", *(f"n = {n}" for n in ROUNDS)]
        print(f"\n{tabulate(rows, headers=headers, tablefmt='plain', disable_numparse=True)}")
        rows = simulate_stopping(max(4, args.simulated_runs // 5), args.seed, levels)
        headers = ["stopped at", *(f"±{precision:.1%}" for precision in PRECISIONS)]
        print(f"\n{tabulate(rows, headers=headers, tablefmt='plain', disable_numparse=True)}")


if __name__ == "__main__":
    main()
