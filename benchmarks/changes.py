"""Change points and nightly verdicts over simulated nights: false alarms, and what is found.

Three tables. How many series without a change have one, and how many steps are found, for noise
of 1, 2 and 5 %, independent or alike (AR(1) of 0.5), with drift, single bad nights and missing
ones. The same beside Apache Otava (E-divisive), at each of its false-alarm rates, where it is found
(README.md). And quarters of a matrix of 500 cells with two figures: how many had a false alarm, and
how soon a real change was told.

    python benchmarks/changes.py              all
    python benchmarks/changes.py --part steps
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from common import met, table

from bench.analysis import changes, nightly
from bench.analysis.nightly import Finding, Nights
from bench.analysis.noise import MANY, Floats, Integers

LENGTHS, SIGMAS, CORRELATIONS = (60, 365), (0.01, 0.02, 0.05), (0.0, 0.5)
WIDELY = (0.003, 0.03)
"""Standard deviations between which series of one machine differ."""

STEPS, LASTS = (0.03, 0.05, 0.10), (1, 2, 3, 5, 7)
BAD, MISSING, DRIFT = -0.20, 0.1, 0.10
FALSE_GOAL, FOUND_GOAL = 0.01, 0.95
P_VALUES = (0.01, 0.001, 0.0001, 0.00001)


@dataclass(frozen=True)
class Simulation:
    generator: np.random.Generator
    series: int

    def noise(self, nights: int, sigma: float | None, correlation: float) -> Floats:
        """AR(1) around 0 of standard deviation sigma (None: each series' own, of WIDELY); shape:
        series, nights."""
        values = self.generator.standard_normal((self.series, nights))
        fresh = (1 - correlation**2) ** 0.5
        for at in range(1, nights):
            values[:, at] = correlation * values[:, at - 1] + fresh * values[:, at]
        own = np.exp(
            self.generator.uniform(math.log(WIDELY[0]), math.log(WIDELY[1]), (self.series, 1))
        )
        return values * (own if sigma is None else sigma)

    def with_bad_night(self, values: Floats) -> Floats:
        values = values.copy()
        at = self.generator.integers(0, values.shape[1], len(values))
        values[np.arange(len(values)), at] += np.log1p(BAD)
        return values

    def with_missing(self, values: Floats) -> Floats:
        return np.where(self.generator.random(values.shape) < MISSING, np.nan, values)


def with_drift(values: Floats) -> Floats:
    return values + np.linspace(0, np.log1p(DRIFT), values.shape[1])


def with_step(values: Floats, step: float, last: int) -> Floats:
    values = values.copy()
    values[:, -last:] += np.log1p(-step)
    return values


Detector = Callable[[Floats], list[list[int]]]
"""Series -> the nights of each one's changes."""


def ours(false_alarms: float = changes.FALSE_ALARMS, together: int | None = None) -> Detector:
    """Series are given ``together`` at once, by default all."""

    def detect(values: Floats) -> list[list[int]]:
        size = together or len(values)
        return [
            [change.night for change in course.changes]
            for start in range(0, len(values), size)
            for course in changes.courses(values[start : start + size], false_alarms)
        ]

    return detect


def otava(p: float) -> Detector | None:
    """None where it is not installed."""
    try:
        from otava.analysis import compute_change_points
    except ImportError:
        return None

    def detect(values: Floats) -> list[list[int]]:
        found = []
        for row in np.exp(values).tolist():  # of an array it takes no windows
            points, _ = compute_change_points(row, max_pvalue=p)
            found.append([int(point.index) for point in points])
        return found

    return detect


def false(found: Iterable[list[int]]) -> float:
    return float(np.mean([bool(nights) for nights in found]))


def near(found: Iterable[list[int]], night: int) -> float:
    """The share of series with a change at a night or beside it."""
    return float(np.mean([any(abs(at - night) <= 1 for at in nights) for nights in found]))


# False changes


FEW = MANY - 1
"""Series of which each must show its correlation by itself."""


def falsely(simulation: Simulation, together: int | None) -> None:
    kinds: dict[str, Callable[[Floats], Floats]] = {
        "nothing": lambda values: values,
        "drift of 10 %": with_drift,
        "a bad night": simulation.with_bad_night,
        "10 % missing": simulation.with_missing,
    }
    detect = ours(together=together)
    rows, worst = [], 0.0
    for nights in LENGTHS:
        for correlation in CORRELATIONS:
            for sigma in (*SIGMAS, None):
                rates = [
                    false(detect(change(simulation.noise(nights, sigma, correlation))))
                    for change in kinds.values()
                ]
                worst = max(worst, *rates)
                alike = f"{sigma:.0%}" if sigma else "{:.1%} to {:.0%}".format(*WIDELY)
                rows.append([nights, alike, correlation, *(f"{rate:.2%}" for rate in rates)])
    given = f"given {together} at once" if together else "given all at once"
    print(f"Series with a false change ({simulation.series} each, {given})\n")
    table(["nights", "sigma", "AR(1)", *kinds], rows)
    print(f"At most 1 % everywhere: {met(worst <= FALSE_GOAL)} (worst {worst:.2%})\n")


# Steps


def steps(simulation: Simulation) -> None:
    rows, together, few = [], 1.0, 1.0
    for nights in LENGTHS:
        for correlation in CORRELATIONS:
            for sigma in SIGMAS:
                for step in STEPS:
                    row = [nights, f"{sigma:.0%}", correlation, f"{step:.0%}"]
                    for last in LASTS:
                        noise = simulation.noise(nights, sigma, correlation)
                        values = with_step(noise, step, last)
                        rate = near(ours()(values), nights - last)
                        row.append(f"{rate:.1%}")
                        if (sigma, correlation, step, last) == (0.01, 0.0, 0.05, 2):
                            together = min(together, rate)
                            few = min(few, near(ours(together=FEW)(values), nights - last))
                    rows.append(row)
    print("Steps in the last nights that are found, within a night of where they are\n")
    table(["nights", "sigma", "AR(1)", "step", *(f"last {n}" for n in LASTS)], rows)
    print(
        f"5 % at sigma 1 %, 2 nights, in 95 %: {met(min(together, few) >= FOUND_GOAL)} "
        f"(given all at once {together:.1%}, {FEW} at once {few:.1%})\n"
    )


# Beside Otava

FALSE_ALARMS = np.geomspace(100, 1e-4, 40).tolist()
"""Ours is taken at the first of these with at most the other's rate of false changes."""

BESIDE_STEP, BESIDE_LASTS = 0.05, (2, 4, 7)


@dataclass(frozen=True)
class Suite:
    """Series without a change, and with one in the last nights."""

    quiet: list[Floats]
    stepped: dict[int, list[Floats]]

    @classmethod
    def of(cls, simulation: Simulation, nights: int, sigma: float, every: bool) -> Suite:
        """Independent noise; or every kind: alike, with drift and with bad nights, too."""
        correlations = CORRELATIONS if every else (0.0,)
        noises = [simulation.noise(nights, sigma, each) for each in correlations]
        quiet = list(noises)
        if every:
            quiet += [with_drift(noise) for noise in noises]
            quiet += [simulation.with_bad_night(noise) for noise in noises]
        fresh = [simulation.noise(nights, sigma, each) for each in correlations]
        stepped = {n: [with_step(each, BESIDE_STEP, n) for each in fresh] for n in BESIDE_LASTS}
        return cls(quiet, stepped)

    def false(self, detect: Detector) -> float:
        return float(np.mean([false(detect(values)) for values in self.quiet]))

    def found(self, detect: Detector) -> list[float]:
        return [
            float(np.mean([near(detect(values), values.shape[1] - last) for values in series]))
            for last, series in self.stepped.items()
        ]


def beside(simulation: Simulation) -> None:
    if otava(0.001) is None:
        print("Otava: not installed (benchmarks/README.md says how)\n")
        return
    for every in (True, False):
        rows, behind = [], 0
        for nights in LENGTHS:
            for sigma in SIGMAS[:2]:
                suite = Suite.of(simulation, nights, sigma, every)
                rates = [(a, suite.false(ours(a))) for a in FALSE_ALARMS]
                for p in P_VALUES:
                    other = otava(p)
                    assert other is not None
                    allowed = suite.false(other)
                    level, rate = next((x for x in rates if x[1] <= allowed), rates[-1])
                    theirs, mine = suite.found(other), suite.found(ours(level))
                    error = (0.5 / simulation.series) ** 0.5
                    behind += sum(m < t - 2 * error for m, t in zip(mine, theirs, strict=True))
                    both = [f"{t:.0%} / {m:.0%}" for t, m in zip(theirs, mine, strict=True)]
                    rows.append([nights, f"{sigma:.0%}", p, f"{allowed:.1%}", f"{rate:.1%}", *both])
        kinds = "independent, AR(1) of 0.5, drift, bad nights" if every else "independent noise"
        print(f"Steps of 5 % beside Otava, {kinds} ({simulation.series} series each):")
        print("found, theirs / ours\n")
        headers = ["nights", "sigma", "p", "false: theirs", "ours"]
        table([*headers, *(f"last {n}" for n in BESIDE_LASTS)], rows)
        count = len(BESIDE_LASTS) * len(rows)
        print(f"At least as good everywhere: {met(not behind)} ({behind} of {count} behind)\n")


# Quarters

CELLS, FIGURES, NIGHTS = 500, 2, 90
SHARED = 0.5
"""The correlation of a confirmation with its session."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], Floats]
DRAWS: dict[str, Draw] = {
    "normal": lambda generator, shape: generator.standard_normal(shape),
    "t, 4 df": lambda generator, shape: generator.standard_t(4, shape) / 2**0.5,
}


@dataclass(frozen=True)
class Quarter:
    alarms: int
    suspected: int
    first: Integers


def quarter(
    simulation: Simulation,
    draw: Draw,
    history: int,
    sigma: float,
    chance: float,
    effect: float,
    step: float = 0.0,
) -> Quarter:
    """Nights of every series after a history; a step on all series comes with the first of them.
    Changes below ``effect`` are none.

    ``first`` is the night of each series' alarm, NIGHTS without one.
    """
    rng, series = simulation.generator, CELLS * FIGURES
    values = sigma * draw(rng, (series, history + NIGHTS))
    values[:, history:] += step
    pending, began = np.zeros(series, np.int64), np.zeros(series, np.int64)
    first, suspected, alarms = np.full(series, NIGHTS), 0, 0
    for night in range(history, history + (NIGHTS if not step else 5)):
        tonight = values[:, night]
        again = SHARED * (tonight - step) + step
        again += (1 - SHARED**2) ** 0.5 * sigma * draw(rng, (series,))
        nights = Nights(values[:, :night], began, pending, tonight, again)
        decisions = series * NIGHTS
        found = nightly.decide(nights, 1, decisions, chance, effect)
        told = np.array([decision.finding is Finding.REGRESSED for decision in found])
        suspected += sum(decision.finding is Finding.SUSPECTED for decision in found)
        new = told & (first == NIGHTS)
        alarms += int(new.sum())
        first[new] = night - history + 1
        pending = np.where([decision.stands_out for decision in found], pending + 1, 0)
    return Quarter(alarms, suspected, first)


def without_a_change(simulation: Simulation, count: int, effect: float) -> None:
    rows, worst = [], 0.0
    for name, draw in DRAWS.items():
        for history in (5, 30):
            for chance in (nightly.CHANCE, 100 * nightly.CHANCE):
                found = [
                    quarter(simulation, draw, history, 0.01, chance, effect) for _ in range(count)
                ]
                alarms = sum(each.alarms for each in found) / count
                worst = max(worst, alarms / chance)
                with_alarm = sum(each.alarms > 0 for each in found)
                suspected = sum(each.suspected for each in found) / count
                rows.append(
                    [name, history, chance, f"{with_alarm} of {count}", alarms, f"{suspected:.0f}"]
                )
    least = f"minimum effect {effect:.0%}, as it is used" if effect else "no minimum effect"
    print(f"Quarters without a change: 500 cells, 2 figures, 90 nights, {least}\n")
    headers = ["noise", "nights before", "chance", "with an alarm", "alarms a quarter", "suspected"]
    table(headers, rows)
    print(f"At most the chance that is spent: {met(worst <= 1)} (at most {worst:.2f} of it)\n")


def quarters(simulation: Simulation, count: int) -> None:
    for effect in (nightly.MIN_EFFECT, 0.0):
        without_a_change(simulation, count, effect)
    rows = []
    for name, draw in DRAWS.items():
        for sigma in (0.003, 0.007, 0.01):
            for step in (-0.04, -0.05):
                first = quarter(
                    simulation, draw, 30, sigma, nightly.CHANCE, nightly.MIN_EFFECT, step
                ).first
                told = [f"{(first <= night).mean():.1%}" for night in (2, 3, 5)]
                rows.append([name, f"{sigma:.1%}", f"{-step:.0%}", *told])
    print("A slow-down that is real: regressed by night\n")
    table(["noise", "sigma", "slower", "2", "3", "5"], rows)


# Speed


def speed(simulation: Simulation) -> None:
    values = np.random.default_rng(1).normal(0, 0.01, (5000, 365))
    values[::5, 200:] += 0.05
    start = time.process_time()
    changes.courses(values)
    took = time.process_time() - start
    print(f"5000 series of 365 nights: {took:.1f} s of CPU time; at most 2 s: {met(took <= 2)}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--series", type=int, default=3000, help="of each kind (default 3000)")
    parser.add_argument("--beside", type=int, default=200, help="series with Otava (default 200)")
    parser.add_argument("--quarters", type=int, default=10, help="of each kind (default 10)")
    parser.add_argument("--part", choices=["false", "few", "steps", "beside", "quarters", "speed"])
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    simulation = Simulation(np.random.default_rng(args.seed), args.series)
    few = Simulation(np.random.default_rng(args.seed), args.beside)
    parts: dict[str, Callable[[], None]] = {
        "false": lambda: falsely(simulation, None),
        "few": lambda: falsely(simulation, FEW),
        "steps": lambda: steps(simulation),
        "beside": lambda: beside(few),
        "quarters": lambda: quarters(simulation, args.quarters),
        "speed": lambda: speed(simulation),
    }
    for name, run in parts.items():
        if args.part in (None, name):
            run()


if __name__ == "__main__":
    main()
