"""Steps in series of nights: their size, their standard error, and what else they must have.

The last m nights (SCALES), for every night and m, are compared with at most LEVEL nights before
them. Both sides share the slope of one line, so slow drift is no step. The step's size is a least
squares estimate, and its standard error allows for likeness between successive nights (AR(1);
noise.py has both parameters). Beside a threshold of standard errors a step meets two conditions:

- enough of it is left without any one night, so a single bad one is no level;
- it explains the nights at least as well as a parabola does: a drift that begins is no step.

Sums from the left give all sizes at once, so the work is a series' length for each m.
"""

from __future__ import annotations

import functools

import numpy as np

from bench.analysis.noise import MAX_CORRELATION, Booleans, Floats, Integers

SCALES = (2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 56)
LEVEL = 90
LINE = 12
"""Fewer nights on both sides together are too few to tell a drift from a step, and have no line."""

WITHOUT, WITHOUT_QUIET, WITHOUT_QUIET_PAIR, QUIET = 4.0, 3.0, 2.2, 0.03
"""Standard errors that must be left without the most extreme night. Fewer are enough in a series
of at most QUIET standard deviation, where a bad night stands out, and fewest for a pair."""

CERTAIN = 4.2
"""Below this threshold of standard errors less certainty was asked for than is by default
(changes.py, ``FALSE_ALARMS``), and the other conditions ask for less in proportion."""

FEW_BEFORE = 10
"""Nights before a step of which one can make it."""

AFTERWARDS, BESIDE = 5, 3
"""The night of a change is the best of those BESIDE the one that was found, with AFTERWARDS nights
more than were needed to find it."""


class Scan:
    """All steps in series whose first night begins a level."""

    def __init__(self, values: Floats, sigma: Floats, correlation: Floats, told: Floats) -> None:
        self.values = values - values[:, :1]
        self.sigma, self.told, self.part = sigma, told, part_of(told)
        self.errors = errors()[np.rint(correlation / GRID).astype(np.int64)]
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
        told = self._without_one_since(row, first[at], m, size)
        told &= self._without_one_before(row, first[at], m, size)
        row, first, before, size, z = (
            row[told],
            first[at[told]],
            before[at[told]],
            size[told],
            z[told],
        )
        sharp = size**2 * _left_of_step(before + m, m) >= self._bend(row, first - before, first + m)
        return row[sharp], first[sharp], first[sharp] + m - 1, z[sharp]

    def _without_one_since(self, row: Integers, first: Integers, m: int, size: Floats) -> Booleans:
        """Whether enough of a step is left without the night since that speaks for it most."""
        up, sigma = np.sign(size), self.sigma[row]
        since = up[:, None] * self.values[row[:, None], first[:, None] + np.arange(m)]
        most = (since - since.mean(axis=1, keepdims=True)).max(axis=1, initial=0)
        quiet = WITHOUT_QUIET_PAIR if m == 2 else WITHOUT_QUIET
        needed = np.where(sigma <= QUIET, quiet, WITHOUT) * self.part[row]
        error = sigma * self.errors[row, np.minimum(first, LEVEL), m - 1]
        told: Booleans = up * size - most / (m - 1) > needed * error
        return told

    def _without_one_before(self, row: Integers, first: Integers, m: int, size: Floats) -> Booleans:
        """The same of the nights before, where they are few."""
        told = np.ones(len(row), np.bool_)
        for before in range(2, FEW_BEFORE + 1):
            few = np.flatnonzero(first == before)
            level = np.sign(size[few, None]) * self.values[row[few], :before]
            most = (level.mean(axis=1, keepdims=True) - level).max(axis=1, initial=0)
            error = self.sigma[row[few]] * self.errors[row[few], before - 1, m]
            needed = WITHOUT * self.part[row[few]]
            told[few] = np.abs(size[few]) - most / (before - 1) > needed * error
        return told

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


def part_of(told: Floats) -> Floats:
    """What other conditions ask for beside a threshold of standard errors, of what they do by
    default."""
    return np.minimum(1.0, told / CERTAIN)


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
def errors() -> Floats:
    """The standard error of a step in standard deviations of the noise; shape: correlation /
    GRID, nights before, nights since.

    It is ``error`` of the last of ``weights``, for all numbers of nights of one sum at once.
    """
    correlations = np.arange(0, MAX_CORRELATION + GRID / 2, GRID)
    found = np.full((len(correlations), LEVEL + 1, max(SCALES) + 1), np.inf)
    scales = np.array(sorted({*SCALES, *(m - 1 for m in SCALES)}))
    for n in range(2, LEVEL + max(SCALES) + 1):
        since = scales[(scales < n) & (n - scales <= LEVEL)]
        spectra = np.fft.rfft(_step_weights(n, since), 2 * n, axis=1)
        lags = np.fft.irfft(np.abs(spectra) ** 2, 2 * n, axis=1)[:, :n]
        likeness = correlations[:, None] ** np.arange(n)
        found[:, n - since, since] = np.sqrt(2 * likeness @ lags.T - lags[:, 0])
    return found


def _step_weights(n: int, since: Integers) -> Floats:
    """How steps depend on n values; shape: since, n. A step is what is left of its indicator
    without a constant and, from LINE nights on, a line."""
    at = np.arange(n)
    step = (at >= n - since[:, None]).astype(np.float64)
    left = step - step.mean(axis=1, keepdims=True)
    if n >= LINE:
        line = at - (n - 1) / 2
        left -= np.outer(left @ line, line / (line @ line))
    found: Floats = left / (left**2).sum(axis=1, keepdims=True)
    return found


def weights(before: int, since: int) -> Floats:
    """How level before, (slope) and step depend on the values; shape: 2 or 3, nights."""
    n = before + since
    at = np.arange(n) - before
    columns = [np.ones(n), at, at >= 0] if n >= LINE else [np.ones(n), at >= 0]
    return np.linalg.pinv(np.stack(columns, axis=1).astype(np.float64))


def error(weights: Floats, correlations: Floats) -> Floats:
    """The standard deviation of a weighted sum of AR(1) noise of variance 1."""
    lags = np.correlate(weights, weights, "full")[len(weights) - 1 :]
    found: Floats = np.sqrt(2 * correlations[:, None] ** np.arange(len(lags)) @ lags - lags[0])
    return found
