"""Change points: nights from which on a series keeps another level. Both directions, any night.

The last m nights (SCALES), for every night and m, are compared with at most LEVEL nights before
them, since the last change. Both sides share the slope of one line, so slow drift is no step. The
step's size is a least squares estimate, and its standard error allows for likeness between
successive nights (AR(1); noise.py has both parameters). A step is a change under three conditions:

- it exceeds a number of standard errors that grows with the number of nights and with the certainty
  asked for: the threshold of Bonferroni for TRIALS independent tests per night, by Student;
- enough of it is left without the night that speaks for it most: a single bad night is no level;
- it explains the nights better than a parabola does: a drift that begins is no step.

Nights far (FAR standard deviations) from both neighbours, on the same side, are set aside first; so
is a last one far from the night before it, until the next night agrees with it. A missing night is
left out; its neighbours become neighbours. All series are scanned at once, O(n) per m; those with a
change are scanned again from its night on. benchmarks/changes.py shows errors of both kinds, beside
those of E-divisive (Matteson and James, J. Am. Stat. Assoc. 109(505), 2014).
"""

from __future__ import annotations

import functools
import statistics
from dataclasses import dataclass

import numpy as np

from bench.analysis.noise import MAX_CORRELATION, Booleans, Floats, Integers, Noise, noise

FALSE_ALARMS = 0.01
"""The chance that a series without a change has one."""

SCALES = (2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 56)
LEVEL = 60
LINE = 12
"""Fewer nights on both sides together are too few to tell a drift from a step, and have no line."""

TRIALS = 5
FREEDOM = 30
"""Noise that is estimated from n nights acts as Student's t with n² / FREEDOM degrees of freedom
(simulated, as TRIALS is: the correlation is much less certain than the standard deviation)."""

WITHOUT, WITHOUT_QUIET_PAIR, QUIET = 3.5, 2.2, 0.03
"""Standard errors that must be left without the most extreme night; fewer are enough for two nights
of a series with at most QUIET standard deviation, where a bad night stands out from the noise."""

FAR = 5.0
MIN_NIGHTS = 12
AFTERWARDS, BESIDE = 5, 3
"""The night of a change is the best of those BESIDE the one that was found, with AFTERWARDS nights
more than were needed to find it."""

SMALLEST = 1e-6
"""Standard deviation of a series that seems to have none."""

TOGETHER = 256
"""Series that are scanned at once: their nights fit a CPU's cache."""

Z95 = 1.959964


@dataclass(frozen=True, slots=True)
class ChangePoint:
    """A new level from index ``night`` on.

    ``before`` and ``after`` are the levels on both sides of it, free of drift; ``low`` and ``high``
    are the 95 % interval of ``after - before``.
    """

    night: int
    before: float
    after: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Drift:
    """A level that moves: its slope per night, with the 95 % interval."""

    per_night: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Course:
    """What a series did: its changes in order, and the drift since the last one, if it has any."""

    changes: tuple[ChangePoint, ...]
    drift: Drift | None


def courses(values: Floats, false_alarms: float = FALSE_ALARMS) -> list[Course]:
    """The course of each row of ``values`` (shape: series, nights): logarithms, NaN where missing.

    ``false_alarms`` is the chance of a false change per series. A series with fewer than
    MIN_NIGHTS nights has no changes.
    """
    found = [Course((), None)] * len(values)
    rows = np.flatnonzero(np.isfinite(values).sum(axis=1) >= MIN_NIGHTS)
    if not len(rows):
        return found
    nights = _Nights.of(values[rows])
    for _ in range(2):
        known = noise(nights.values, nights.counts)
        known = Noise(np.maximum(known.sigma, SMALLEST), known.correlation)
        nights = nights.without(_lonely(nights.values, known.sigma))
    starts = _starts(nights, known, false_alarms)
    for row, at in enumerate(rows):
        found[at] = _course(nights.row(row), known.sigma[row], known.correlation[row], starts[row])
    return found


# Nights that count


@dataclass(frozen=True, slots=True)
class _Nights:
    """The nights that count, from the left; shape: series, nights. ``counts`` of each row are
    there, then NaN; ``at`` are their indices in the series."""

    values: Floats
    counts: Integers
    at: Integers

    @classmethod
    def of(cls, values: Floats) -> _Nights:
        counts = np.isfinite(values).sum(axis=1)
        at = np.argsort(~np.isfinite(values), axis=1, kind="stable")[:, : counts.max()]
        return cls(np.take_along_axis(values, at, axis=1), counts, at)

    def without(self, out: Booleans) -> _Nights:
        left = _Nights.of(np.where(out, np.nan, self.values))
        return _Nights(left.values, left.counts, np.take_along_axis(self.at, left.at, axis=1))

    def row(self, row: int) -> tuple[Floats, Integers]:
        """The values of a series, and their indices in it."""
        count = self.counts[row]
        return self.values[row, :count], self.at[row, :count]


def _lonely(values: Floats, sigma: Floats) -> Booleans:
    """Nights that are far from each neighbour they have, on the same side."""
    step = np.diff(values, axis=1)
    none = np.full((len(values), 1), np.nan)
    from_last, from_next = np.hstack([none, step]), np.hstack([-step, none])
    far = (FAR * sigma)[:, None]
    above = ~((from_last < far) | (from_next < far))
    below = ~((from_last > -far) | (from_next > -far))
    return np.isfinite(values) & (above | below)


# Finding


def _starts(nights: _Nights, known: Noise, false_alarms: float) -> list[list[int]]:
    """Of each series the positions of the first nights of new levels, among those that count."""
    starts: list[list[int]] = [[] for _ in nights.counts]
    told = np.array([_threshold(int(n), false_alarms) for n in nights.counts])
    everything = np.arange(len(told))
    for rows in np.array_split(everything, -(-len(told) // TOGETHER)):
        offsets, values = np.zeros(len(rows), np.int64), nights.values[rows]
        while len(rows):
            scan = _Scan(values, known.sigma[rows], known.correlation[rows], told[rows])
            found, firsts = scan.first_changes()
            rows, offsets = rows[found], offsets[found] + firsts
            for row, first in zip(rows, offsets, strict=True):
                starts[row].append(int(first))
            values = _tails(values[found], firsts)
    return starts


@functools.lru_cache(maxsize=1024)
def _threshold(nights: int, false_alarms: float) -> float:
    """Standard errors at which a step is a change."""
    z = -statistics.NormalDist().inv_cdf(false_alarms / (2 * TRIALS * nights))
    freedom = nights**2 / FREEDOM
    # Student's quantile (Abramowitz and Stegun, 26.7.5)
    return z + (z**3 + z) / 4 / freedom + (5 * z**5 + 16 * z**3 + 3 * z) / 96 / freedom**2


def _tails(values: Floats, firsts: Integers) -> Floats:
    """Each row from its first night on, NaN behind it."""
    at = firsts[:, None] + np.arange(values.shape[1])
    tails = np.take_along_axis(values, np.minimum(at, values.shape[1] - 1), axis=1)
    tails[at >= values.shape[1]] = np.nan
    longest = int(np.isfinite(tails).sum(axis=1).max(initial=0))
    return tails[:, :longest]


class _Scan:
    """All steps in series whose first night begins a level."""

    def __init__(self, values: Floats, sigma: Floats, correlation: Floats, told: Floats) -> None:
        self.values = values - values[:, :1]
        self.sigma, self.told = sigma, told
        self.errors = _errors()[np.rint(correlation / GRID).astype(np.int64)]
        self.sums = _summed(self.values)
        at = np.arange(values.shape[1])
        self.moments, self.squares = _summed(self.values * at), _summed(self.values * at**2)

    def first_changes(self) -> tuple[Integers, Integers]:
        """The rows with a change, and the position of its first night."""
        hits = [self._hits(m) for m in SCALES if m + 2 <= self.values.shape[1]]
        if not hits:
            return np.array([], np.int64), np.array([], np.int64)
        rows, firsts, lasts, z = (np.concatenate(part) for part in zip(*hits, strict=True))
        soonest = np.full(len(self.values), self.values.shape[1])
        np.minimum.at(soonest, rows, lasts)
        near = np.flatnonzero(lasts <= soonest[rows] + AFTERWARDS)
        best = near[np.lexsort((-z[near], rows[near]))]
        best = best[np.unique(rows[best], return_index=True)[1]]
        return rows[best], self._refined(rows[best], firsts[best], lasts[best])

    def _hits(self, m: int) -> tuple[Integers, Integers, Integers, Floats]:
        """Steps m nights before the last: rows, first and last nights, standard errors."""
        n = self.values.shape[1]
        first = np.arange(2, n - m + 1)
        before = np.minimum(first, LEVEL)
        start, end = first - before, first + m
        size = self._sizes(start, first, end)
        z = np.abs(size) / (self.errors[:, before, m] * self.sigma[:, None])
        row, at = np.nonzero(z > self.told[:, None])
        size, z = size[row, at], z[row, at]
        window = self.values[row[:, None], first[at][:, None] + np.arange(m)]
        up = np.sign(size)
        most = (up[:, None] * (window - window.mean(axis=1, keepdims=True))).max(axis=1, initial=0)
        without = up * size - most / (m - 1)
        sigma = self.sigma[row]
        needed = np.where((m == 2) & (sigma <= QUIET), WITHOUT_QUIET_PAIR, WITHOUT)
        told = without > needed * sigma * self.errors[row, before[at], m - 1]
        row, first, before, size, z = (
            row[told],
            first[at[told]],
            before[at[told]],
            size[told],
            z[told],
        )
        sharp = size**2 * _left_of_step(before + m, m) >= self._bend(row, first - before, first + m)
        return row[sharp], first[sharp], first[sharp] + m - 1, z[sharp]

    def _sizes(self, start: Integers, first: Integers, end: Integers) -> Floats:
        """The step at ``first`` by least squares: the values times what is left of the step's
        indicator without a constant and, from LINE nights on, a line."""
        n, m = end - start, end - first
        total = self.sums[:, end] - self.sums[:, start]
        right = self.sums[:, end] - self.sums[:, first]
        moment = self.moments[:, end] - self.moments[:, start] - (start + end - 1) / 2 * total
        size: Floats = (right - m / n * total - _slope(n, m) * moment) / _left_of_step(n, m)
        return size

    def _bend(self, row: Integers, start: Integers, end: Integers) -> Floats:
        """The squares that a parabola explains beside a line; 0 below LINE nights."""
        n, middle = end - start, (start + end - 1) / 2
        total, moment, square = (
            sums[row, end] - sums[row, start] for sums in (self.sums, self.moments, self.squares)
        )
        along = square - 2 * middle * moment + (middle**2 - (n**2 - 1) / 12) * total
        power: Floats = along**2 / (n * (n**2 - 1.0) * (n**2 - 4.0) / 180)
        return np.where(n >= LINE, power, 0.0)

    def _refined(self, rows: Integers, firsts: Integers, lasts: Integers) -> Integers:
        """The split near ``firsts`` that leaves least squares to two levels."""
        starts, ends = np.maximum(0, firsts - LEVEL), lasts + 1
        at = firsts[:, None] + np.arange(-BESIDE, BESIDE + 1)
        possible = (at >= starts[:, None] + 2) & (at <= ends[:, None] - 2)
        at = np.where(possible, at, firsts[:, None])
        first, last = self.sums[rows, starts][:, None], self.sums[rows, ends][:, None]
        middle = self.sums[rows[:, None], at]
        left, right = at - starts[:, None], ends[:, None] - at
        power = (middle - first) ** 2 / left + (last - middle) ** 2 / right
        best = np.argmax(np.where(possible, power, -np.inf), axis=1)
        refined: Integers = at[np.arange(len(at)), best]
        return refined


def _slope(n: Integers, m: int | Integers) -> Floats:
    """Of the line through the indicator of the last m of n nights; 0 below LINE nights."""
    return np.where(n >= LINE, 6 * m * (n - m) / (n * (n**2 - 1.0)), 0.0)


def _left_of_step(n: Integers, m: int | Integers) -> Floats:
    """The squares of that indicator which constant and line do not explain."""
    left: Floats = m * (n - m) * (1 / n - _slope(n, m) / 2)
    return left


def _summed(values: Floats) -> Floats:
    """Sums of the first 0, 1, 2 ... values of each row."""
    return np.hstack([np.zeros((len(values), 1)), np.cumsum(values, axis=1)])


# Standard errors

GRID = 0.05
"""Correlations are rounded to it."""


@functools.cache
def _errors() -> Floats:
    """The standard error of a step in standard deviations of the noise; shape: correlation /
    GRID, nights before, nights since."""
    correlations = np.arange(0, MAX_CORRELATION + GRID / 2, GRID)
    found = np.full((len(correlations), LEVEL + 1, max(SCALES) + 1), np.inf)
    for before in range(2, LEVEL + 1):
        for since in sorted({*SCALES, *(m - 1 for m in SCALES)}):
            found[:, before, since] = _error(_weights(before, since)[-1], correlations)
    return found


def _weights(before: int, since: int) -> Floats:
    """How level before, (slope) and step depend on the values; shape: 2 or 3, nights."""
    n = before + since
    at = np.arange(n) - before
    columns = [np.ones(n), at, at >= 0] if n >= LINE else [np.ones(n), at >= 0]
    return np.linalg.pinv(np.stack(columns, axis=1).astype(np.float64))


def _error(weights: Floats, correlations: Floats) -> Floats:
    """The standard deviation of a weighted sum of AR(1) noise of variance 1."""
    lags = np.correlate(weights, weights, "full")[len(weights) - 1 :]
    error: Floats = np.sqrt(2 * correlations[:, None] ** np.arange(len(lags)) @ lags - lags[0])
    return error


# What was found


def _course(
    nights: tuple[Floats, Integers], sigma: float, correlation: float, starts: list[int]
) -> Course:
    values, at = nights
    edges = [0, *starts, len(values)]
    changes = []
    for last, first, end in zip(edges, starts, edges[2:], strict=False):
        before, since = min(first - last, LEVEL), min(end - first, LEVEL)
        weights = _weights(before, since)
        level, *_, step = weights @ values[first - before : first + since]
        reach = Z95 * sigma * float(_error(weights[-1], np.array([correlation]))[0])
        changes.append(ChangePoint(int(at[first]), level, level + step, step - reach, step + reach))
    return Course(tuple(changes), _drift(values[edges[-2] :], at[edges[-2] :], sigma, correlation))


def _drift(values: Floats, at: Integers, sigma: float, correlation: float) -> Drift | None:
    """The slope, if it differs from 0 as surely as a change must."""
    if len(values) < MIN_NIGHTS:
        return None
    centred = at - at.mean()
    weights = centred / (centred**2).sum()
    slope, told = float(weights @ values), _threshold(len(values), FALSE_ALARMS) * sigma
    if abs(slope) <= told * float(np.sqrt(weights @ weights)):
        return None  # not even if successive nights were independent
    error = float(_error(weights, np.array([correlation]))[0])
    if abs(slope) <= told * error:
        return None
    reach = Z95 * sigma * error
    return Drift(slope, slope - reach, slope + reach)
