"""Steps in series of nights: their size, their standard error, and what else they must have.

The last m nights (SCALES), for every night and m, are compared with at most LEVEL nights before
them. Slow drift is no step, but a step beside a line is much less certain than one by itself, and
most series have no drift. So a step's certainty is a ratio of likelihoods: the better one of a step
and a step beside a line, to the better one of nothing and a line, where a line has a price
(Akaike, IEEE Trans. Autom. Control 19(6), 1974). Sizes are least squares estimates; their standard
errors allow for likeness between successive nights (AR(1); noise.py has both parameters). Beside a
threshold of standard errors a step meets two conditions:

- it is no single bad night: it explains more than its most extreme night does or, where noise hides
  bad nights, enough of it is left without any one night;
- it explains the nights at least as well as a parabola does: a drift that begins is no step.

Sums from the left give all sizes at once, so the work is a series' length for each m.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from bench.analysis.noise import MAX_CORRELATION, Booleans, Floats, Integers

SCALES = (2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 56)
LEVEL = 90
LINE = 12
"""Fewer nights on both sides together are too few to tell a drift from a step, and have no line."""

LINE_COSTS = 3.0
"""What a line must add to twice the logarithm of the likelihood: between a parameter's price by
Akaike (2) and by Schwarz (the logarithm of the nights, 4 to 5; Ann. Stat. 6(2), 1978)."""

WITHOUT, QUIET = 4.0, 0.03
"""Standard errors that must be left without the most extreme night, in a series of more than QUIET
standard deviation. In others a bad night stands out."""

FEW_BEFORE = 10
"""Nights before a step of which one can make it."""

ALL = slice(None)

AFTERWARDS, BESIDE = 5, 3
"""The night of a change is the best of those BESIDE the one that was found, with AFTERWARDS nights
more than were needed to find it."""


@dataclass(frozen=True, slots=True)
class Found:
    """Steps: their series, first night and size, beside a line (``lined``) or alone; and how
    certain they are, in standard errors."""

    row: Integers
    first: Integers
    size: Floats
    lined: Booleans
    certainty: Floats

    def where(self, at: Booleans | Integers) -> Found:
        return Found(
            self.row[at],
            self.first[at],
            self.size[at],
            self.lined[at],
            self.certainty[at],
        )


class Scan:
    """All steps in series whose first night begins a level.

    ``told`` is each series' threshold of standard errors; ``part`` is how much of the other
    conditions it must meet, 1 for all.
    """

    def __init__(
        self, values: Floats, sigma: Floats, correlation: Floats, told: Floats, part: Floats
    ) -> None:
        self.values = values - values[:, :1]
        self.sigma, self.told, self.part = sigma, told, part
        self.likeness = np.rint(correlation / GRID).astype(np.int64)
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
        found = self._certain(m)
        found = found.where(self._without_one_since(found, m))
        found = found.where(self._without_one_before(found, m))
        found = found.where(self._sharp(found, m))
        return found.row, found.first, found.first + m - 1, found.certainty

    def _certain(self, m: int) -> Found:
        """Steps that exceed the threshold, in squares: those that a step explains alone less what a
        line has beyond its price, or beside a line less what the line lacks of its price."""
        first = np.arange(2, self.values.shape[1] - m + 1)
        before, end = np.minimum(first, LEVEL), first + m
        by_chance = [
            errors(line)[:, before, m][self.likeness] * self.sigma[:, None]
            for line in (False, True)
        ]
        sizes = self._sizes(first - before, first, end)
        told = self.told[:, None]
        hits = [np.abs(size) > told * of for size, of in zip(sizes, by_chance, strict=True)]
        row, at = np.nonzero(hits[0] | hits[1])
        found = [size[row, at] for size in sizes]
        alone, beside = (
            (size / of[row, at]) ** 2 for size, of in zip(found, by_chance, strict=True)
        )
        line = self._line(row, first[at] - before[at], end[at])
        alone -= np.maximum(0.0, line - LINE_COSTS)
        beside -= np.maximum(0.0, LINE_COSTS - line)
        lined, certainty = beside > alone, np.maximum(0.0, np.maximum(alone, beside))
        size = np.where(lined, found[1], found[0])
        steps = Found(row, first[at], size, lined, np.sqrt(certainty))
        return steps.where(steps.certainty > self.told[row])

    def _without_one_since(self, found: Found, m: int) -> Booleans:
        """Whether a step is more than the night since that speaks for it most."""
        row, first = found.row, found.first
        up, sigma, before = np.sign(found.size), self.sigma[row], np.minimum(first, LEVEL)
        since = up[:, None] * self.values[row[:, None], first[:, None] + np.arange(m)]
        most = (since - since.mean(axis=1, keepdims=True)).max(axis=1, initial=0)
        size, part = up * found.size, self.part[row]
        explained = size * np.sqrt(_left_of_step(before + m, m, found.lined))
        by_a_night = (size + most) * np.sqrt(before / (before + 1))
        left = size - most / (m - 1)
        enough = WITHOUT * part * sigma * self._error(found, before, m - 1)
        told: Booleans = np.where(sigma <= QUIET, explained >= part * by_a_night, left > enough)
        return told

    def _error(self, found: Found, before: Integers, m: int) -> Floats:
        alone, beside = (
            errors(line)[self.likeness[found.row], before, m] for line in (False, True)
        )
        error: Floats = np.where(found.lined, beside, alone)
        return error

    def _without_one_before(self, found: Found, m: int) -> Booleans:
        """The same of the nights before, where they are few."""
        told = np.ones(len(found.row), np.bool_)
        for before in range(2, FEW_BEFORE + 1):
            few = np.flatnonzero(found.first == before)
            if not len(few):
                continue
            some = found.where(few)
            level = np.sign(some.size[:, None]) * self.values[some.row, :before]
            most = (level.mean(axis=1, keepdims=True) - level).max(axis=1, initial=0)
            error = self.sigma[some.row] * self._error(some, np.full(len(few), before - 1), m)
            left = np.abs(some.size) - most / (before - 1)
            told[few] = left > WITHOUT * self.part[some.row] * error
        return told

    def _sharp(self, found: Found, m: int) -> Booleans:
        """Whether a step, beside a line, explains at least as much as a bend of it."""
        row, first = found.row, found.first
        start, end = first - np.minimum(first, LEVEL), first + m
        _, beside = self._sizes(start, first, end, row)
        sharp: Booleans = beside**2 * _left_of_step(end - start, m) >= self._bend(row, start, end)
        return sharp

    def _sizes(
        self, start: Integers, first: Integers, end: Integers, row: Integers | slice = ALL
    ) -> tuple[Floats, Floats]:
        """The steps at ``first`` by least squares, alone and (from LINE nights on) beside a line.
        One of each ``row``, or of all (shape: series, steps)."""
        n, m = end - start, end - first
        total, moment = self._moment(row, start, end)
        since = self.sums[row, end] - self.sums[row, first] - m / n * total
        alone = since / _left_of_step(n, m, lined=False)
        beside = (since - _slope(n, m) * moment) / _left_of_step(n, m)
        return alone, beside

    def _line(self, row: Integers, start: Integers, end: Integers) -> Floats:
        """The squares, in those of its standard error, of the slope of a line by least squares; 0
        below LINE nights."""
        n = end - start
        _, moment = self._moment(row, start, end)
        slope = moment / (n * (n**2 - 1.0) / 12)
        power: Floats = (slope / (line_errors()[self.likeness[row], n] * self.sigma[row])) ** 2
        return np.where(n >= LINE, power, 0.0)

    def _moment(
        self, row: Integers | slice, start: Integers, end: Integers
    ) -> tuple[Floats, Floats]:
        """Sums of nights, and of nights times their distance from the middle."""
        total = self.sums[row, end] - self.sums[row, start]
        moment = self.moments[row, end] - self.moments[row, start] - (start + end - 1) / 2 * total
        return total, moment

    def _bend(self, row: Integers, start: Integers, end: Integers) -> Floats:
        """The squares that a parabola explains beside a line; 0 below LINE nights."""
        n, middle = end - start, (start + end - 1) / 2
        total, moment = self._moment(row, start, end)
        square = self.squares[row, end] - self.squares[row, start]
        along = square - 2 * middle * moment - (middle**2 + (n**2 - 1) / 12) * total
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


def _left_of_step(n: Integers, m: int | Integers, lined: bool | Booleans = True) -> Floats:
    """The squares of that indicator which a constant and, if it is ``lined``, a line leave."""
    left: Floats = m * (n - m) * (1 / n - np.where(lined, _slope(n, m) / 2, 0.0))
    return left


def _summed(values: Floats) -> Floats:
    """Sums of the first 0, 1, 2 ... values of each row."""
    return np.hstack([np.zeros((len(values), 1)), np.cumsum(values, axis=1)])


# Standard errors

GRID = 0.05
"""Correlations are rounded to it."""


@functools.cache
def errors(line: bool) -> Floats:
    """The standard error of a step, beside a line or not, in standard deviations of the noise;
    shape: correlation / GRID, nights before, nights since.

    It is ``error`` of the last of ``weights``, for all numbers of nights of one sum at once.
    """
    correlations = _correlations()
    found = np.full((len(correlations), LEVEL + 1, max(SCALES) + 1), np.inf)
    scales = np.array(sorted({*SCALES, *(m - 1 for m in SCALES)}))
    for n in range(2, LEVEL + max(SCALES) + 1):
        since = scales[(scales < n) & (n - scales <= LEVEL)]
        spectra = np.fft.rfft(_step_weights(n, since, line), 2 * n, axis=1)
        lags = np.fft.irfft(np.abs(spectra) ** 2, 2 * n, axis=1)[:, :n]
        likeness = correlations[:, None] ** np.arange(n)
        found[:, n - since, since] = np.sqrt(2 * likeness @ lags.T - lags[:, 0])
    return found


@functools.cache
def line_errors() -> Floats:
    """The standard error of a line's slope in the same unit; shape: correlation / GRID, nights."""
    longest, correlations = LEVEL + max(SCALES), _correlations()
    found = np.full((len(correlations), longest + 1), np.inf)
    for n in range(2, longest + 1):
        at = np.arange(n) - (n - 1) / 2
        found[:, n] = error(at / (at @ at), correlations)
    return found


def _correlations() -> Floats:
    return np.arange(0, MAX_CORRELATION + GRID / 2, GRID)


def _step_weights(n: int, since: Integers, line: bool) -> Floats:
    """How steps depend on n values; shape: since, n. A step is what is left of its indicator
    without a constant and, from LINE nights on if it is beside one, a line."""
    at = np.arange(n)
    step = (at >= n - since[:, None]).astype(np.float64)
    left = step - step.mean(axis=1, keepdims=True)
    if line and n >= LINE:
        along = at - (n - 1) / 2
        left -= np.outer(left @ along, along / (along @ along))
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
