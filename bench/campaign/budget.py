"""Rounds that fit into the time there is: fewer of them, never fewer cells."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from bench.analysis.intervals import MIN_ROUNDS
from bench.analysis.openings import MIN_OPENING_ROUNDS
from bench.measure.estimate import estimate
from bench.model.matrix import Matrix, Rounds
from bench.plan.plan import Plan
from bench.system.procfs import ProcFs

CONFIRMING = 0.2
"""Of the time, what is kept for measuring suspects again."""

FEWEST = MIN_ROUNDS * 5 // 4
"""Rounds of a cell: as many as a figure needs, and some that may be disturbed."""

STEPS = 12
"""Halvings of the interval in which the share of rounds is sought."""

Wanted = tuple[Matrix, Plan]


@dataclass(frozen=True, slots=True)
class Budget:
    """The time of a whole night; ``end_s`` is when ``clock`` says that it is over, or None."""

    end_s: float | None
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, length_ns: int | None, clock: Callable[[], float] = time.monotonic) -> Budget:
        return cls(None if length_ns is None else clock() + length_ns / 1e9, clock)

    @property
    def left_ns(self) -> float | None:
        return None if self.end_s is None else max(0.0, self.end_s - self.clock()) * 1e9

    def for_runs(self, left: Sequence[Wanted]) -> Matrix | None:
        """The first of the matrices that are left, with rounds such that all of them fit.

        None where they do not fit with the fewest.
        """
        room = self.left_ns
        return _fitted(left, None if room is None else room * (1 - CONFIRMING))

    def for_confirmation(self, wanted: Wanted) -> Matrix | None:
        """The matrix of a confirmation, with rounds such that it fits into all that is left."""
        return _fitted([wanted], self.left_ns)


def least_ns(wanted: Sequence[Wanted]) -> int:
    """What the fewest rounds of matrices take."""
    return round(_time(wanted, 0.0) / (1 - CONFIRMING))


def shrunk(measured: Matrix, asked: Matrix) -> str:
    """What a budget took off; empty if nothing."""
    got, wanted = measured.measure.rounds, asked.measure.rounds
    if got == wanted:
        return ""
    return f"rounds: {_span(got)} in place of {_span(wanted)}, to fit the budget"


def _span(rounds: Rounds) -> str:
    return f"{rounds.min} to {rounds.max}" if rounds.by_precision else str(rounds.max)


def _fitted(wanted: Sequence[Wanted], room_ns: float | None) -> Matrix | None:
    first, _ = wanted[0]
    if room_ns is None or _time(wanted, 1.0) <= room_ns:
        return first
    if _time(wanted, 0.0) > room_ns:
        return None
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _time(wanted, middle) <= room_ns else (low, middle)
    return _with_share(first, low)


def _time(wanted: Sequence[Wanted], share: float) -> float:
    machine = ProcFs()
    return sum(estimate(plan, _with_share(m, share), machine).most_ns for m, plan in wanted)


def _with_share(matrix: Matrix, share: float) -> Matrix:
    """The matrix with this share of its rounds, and not with fewer than figures need."""
    measure = matrix.measure
    fewest = max(FEWEST, MIN_OPENING_ROUNDS * measure.openings)
    most = max(min(fewest, measure.rounds.max), ceil(measure.rounds.max * share))
    least = min(most, max(min(fewest, measure.rounds.min), ceil(measure.rounds.min * share)))
    return replace(matrix, measure=replace(measure, rounds=Rounds(least, most)))
