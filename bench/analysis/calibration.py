"""How fast the machine itself was, from the calibration cells."""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from bench.analysis.figures import is_usable, pps
from bench.model.cells import Cell
from bench.model.run import Run
from bench.model.samples import Sample, ThreadSample

# The machine itself


@dataclass(frozen=True, slots=True)
class Speed:
    """Of a calibration cell: frames per second (median), its change from the first to the last
    quarter of the rounds, as a part of the first, and half the interquartile range, as a part of
    the median."""

    rate: float
    drift: float
    spread: float


def calibration_speed(run: Run, cell: Cell) -> Speed | None:
    """None with fewer than eight rounds."""
    rates = [pps(s) for s in run.calibration_samples if s.cell == cell.id and is_usable(s)]
    if len(rates) < 8:
        return None
    rate, quarter = statistics.median(rates), len(rates) // 4
    lower, _, upper = statistics.quantiles(rates, n=4)
    drift = statistics.median(rates[-quarter:]) / statistics.median(rates[:quarter]) - 1
    return Speed(rate, drift, (upper - lower) / 2 / rate)


SMOOTHED_ROUNDS = 5
"""The machine's speed in a round is the median over so many around it that measured it: one slice
is noisy."""


def speed_by_round(run: Run) -> dict[int, float]:
    """How fast the machine was in each round that measured it, 1 being its median over the run.

    The geometric mean over the calibration cells; empty without them.
    """
    by_round: dict[int, list[float]] = {}
    for cell in run.calibration:
        mine = [s for s in run.calibration_samples if s.cell == cell.id and is_usable(s)]
        rates = {s.round: pps(s) for s in mine}
        middle = statistics.median(rates.values()) if rates else 1.0
        for round_, rate in rates.items():
            by_round.setdefault(round_, []).append(rate / middle)
    rounds = sorted(by_round)
    raw = [statistics.geometric_mean(by_round[round_]) for round_ in rounds]
    reach = SMOOTHED_ROUNDS // 2
    return {
        round_: statistics.median(raw[max(0, i - reach) : i + reach + 1])
        for i, round_ in enumerate(rounds)
    }


def normalised(run: Run) -> Run:
    """The run as if the machine had been as fast in each round as it was in the median one."""
    speeds = speed_by_round(run)
    rounds = sorted(speeds)
    return replace(
        run, samples=tuple(_at_speed(s, _speed_in(s.round, rounds, speeds)) for s in run.samples)
    )


def _speed_in(round_: int, rounds: Sequence[int], speeds: Mapping[int, float]) -> float:
    """On the line between the rounds before and after it that measured the machine."""
    if not rounds:
        return 1.0
    after = bisect_left(rounds, round_)
    nearest = [rounds[max(0, after - 1)], rounds[min(after, len(rounds) - 1)]]
    (before, then), (slow, fast) = nearest, [speeds[number] for number in nearest]
    if before == then:
        return slow
    return slow + (fast - slow) * (round_ - before) / (then - before)


_TIMES = tuple(field.name for field in fields(ThreadSample) if field.name.endswith("_ns"))


def _at_speed(sample: Sample, speed: float) -> Sample:
    """With every time of a thread scaled: what it got of its CPU, and waited, is a share of it."""
    threads = tuple(
        replace(thread, **{time: round(getattr(thread, time) * speed) for time in _TIMES})
        for thread in sample.threads
    )
    return replace(sample, wall_ns=round(sample.wall_ns * speed), threads=threads)
