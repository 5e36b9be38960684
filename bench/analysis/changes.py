"""Change points: nights from which on a series keeps another level. Both directions, any night.

steps.py looks for a step at every night. A step is a change if it exceeds a number of standard
errors that grows with the number of nights and with the certainty asked for: the threshold of
Bonferroni for TRIALS independent tests per night, by Student.

Nights far (FAR standard deviations) from both neighbours, on the same side, are set aside first; so
is a last one far from the night before it, until the next night agrees with it. A missing night is
left out; its neighbours become neighbours. All series are scanned at once, O(n) per m; those with a
change are scanned again from its night on. benchmarks/changes.py shows errors of both kinds, beside
those of E-divisive (Matteson and James, J. Am. Stat. Assoc. 109(505), 2014).
"""

from __future__ import annotations

import functools
import statistics
from dataclasses import dataclass, replace

import numpy as np

from bench.analysis.noise import MANY, Booleans, Floats, Integers, Noise, of_each, together
from bench.analysis.steps import LEVEL, Scan, error, weights

FALSE_ALARMS = 0.01
"""The chance that a series without a change has one."""

TRIALS, TRIALS_OF_FEW = 2, 10
"""More where few series are given: their correlation is their own, and less certain."""

FREEDOM = 50
"""Noise that is estimated from n nights acts as Student's t with n² / FREEDOM degrees of freedom
(simulated, as TRIALS is: the correlation is much less certain than the standard deviation), beside
what other series say."""

FAR = 5.0
MIN_NIGHTS = 12
HELD_OUT = 10
"""Last nights, of at least four times as many, that do not count for the noise: a step among them
would seem to be noise."""

LASTING = 3.0
"""Standard errors of a step that must be left when all nights up to the next one are known: a
pair of slow nights is forgotten when later ones do not agree."""

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
    own = of_each(nights.values, nights.calm)
    for _ in range(2):
        known = together(own, nights.calm)
        known = replace(known, sigma=np.maximum(known.sigma, SMALLEST))
        lonely = _lonely(nights.values, known.sigma)
        nights, again = nights.without(lonely), np.flatnonzero(lonely.any(axis=1))
        own = own.but(again, of_each(nights.values[again], nights.calm[again]))
    told, whole = (
        _thresholds(nights, chance, known.shared) for chance in (false_alarms, FALSE_ALARMS)
    )
    part = np.minimum(1.0, told / whole)  # where less certainty is asked for than is by default
    starts, lasting = _starts(nights, known, told, part), LASTING * part
    for row, at in enumerate(rows):
        found[at] = _course(
            nights.row(row), known.sigma[row], known.correlation[row], starts[row], lasting[row]
        )
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

    @property
    def calm(self) -> Integers:
        """How many of each row's nights count for its noise."""
        return self.counts - np.minimum(HELD_OUT, self.counts // 4)

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


def _thresholds(nights: _Nights, false_alarms: float, shared: float) -> Floats:
    """Of each series, in standard errors."""
    trials = TRIALS if len(nights.counts) >= MANY else TRIALS_OF_FEW
    return np.array([_threshold(int(n), false_alarms / trials, shared) for n in nights.counts])


def _starts(nights: _Nights, known: Noise, told: Floats, part: Floats) -> list[list[int]]:
    """Of each series the positions of the first nights of new levels, among those that count."""
    starts: list[list[int]] = [[] for _ in nights.counts]
    everything = np.arange(len(told))
    for rows in np.array_split(everything, -(-len(told) // TOGETHER)):
        offsets, values = np.zeros(len(rows), np.int64), nights.values[rows]
        while len(rows):
            scan = Scan(values, known.sigma[rows], known.correlation[rows], told[rows], part[rows])
            found, firsts = scan.first_changes()
            rows, offsets = rows[found], offsets[found] + firsts
            for row, first in zip(rows, offsets, strict=True):
                starts[row].append(int(first))
            values = _tails(values[found], firsts)
    return starts


@functools.lru_cache(maxsize=1024)
def _threshold(nights: int, chance: float, shared: float = 0.0) -> float:
    """Standard errors that one test in each of so many nights exceeds with that chance, where other
    series add ``shared`` degrees of freedom."""
    z = -statistics.NormalDist().inv_cdf(min(0.5, chance / (2 * nights)))
    freedom = nights**2 / FREEDOM + shared
    # Student's quantile (Abramowitz and Stegun, 26.7.5)
    return z + (z**3 + z) / 4 / freedom + (5 * z**5 + 16 * z**3 + 3 * z) / 96 / freedom**2


def _tails(values: Floats, firsts: Integers) -> Floats:
    """Each row from its first night on, NaN behind it."""
    at = firsts[:, None] + np.arange(values.shape[1])
    tails = np.take_along_axis(values, np.minimum(at, values.shape[1] - 1), axis=1)
    tails[at >= values.shape[1]] = np.nan
    longest = int(np.isfinite(tails).sum(axis=1).max(initial=0))
    return tails[:, :longest]


# What was found


def _course(
    nights: tuple[Floats, Integers],
    sigma: float,
    correlation: float,
    starts: list[int],
    lasting: float,
) -> Course:
    values, at = nights
    starts = list(starts)
    while steps := _steps(values, sigma, correlation, starts):
        sureness = [abs(step) / by_chance for _, step, by_chance in steps]
        if min(sureness) >= lasting:
            break
        del starts[sureness.index(min(sureness))]
    changes = [
        ChangePoint(
            night=int(at[start]),
            before=level,
            after=level + step,
            low=step - Z95 * by_chance,
            high=step + Z95 * by_chance,
        )
        for start, (level, step, by_chance) in zip(starts, steps, strict=True)
    ]
    since = starts[-1] if starts else 0
    return Course(tuple(changes), _drift(values[since:], at[since:], sigma, correlation))


def _steps(
    values: Floats, sigma: float, correlation: float, starts: list[int]
) -> list[tuple[float, float, float]]:
    """Level before, size and standard error of each step, between the one before and the next."""
    found = []
    for last, first, end in zip([0, *starts], starts, [*starts[1:], len(values)], strict=False):
        before, since = min(first - last, LEVEL), min(end - first, LEVEL)
        of_level = weights(before, since)
        level, *_, step = (of_level @ values[first - before : first + since]).tolist()
        by_chance = sigma * float(error(of_level[-1], np.array([correlation]))[0])
        found.append((level, step, by_chance))
    return found


def _drift(values: Floats, at: Integers, sigma: float, correlation: float) -> Drift | None:
    """The slope, if it differs from 0 as surely as a change must."""
    if len(values) < MIN_NIGHTS:
        return None
    centred = at - at.mean()
    along = centred / (centred**2).sum()
    slope, told = (
        float(along @ values),
        _threshold(len(values), FALSE_ALARMS / TRIALS_OF_FEW) * sigma,
    )
    if abs(slope) <= told * float(np.sqrt(along @ along)):
        return None  # not even if successive nights were independent
    by_chance = float(error(along, np.array([correlation]))[0])
    if abs(slope) <= told * by_chance:
        return None
    reach = Z95 * sigma * by_chance
    return Drift(slope, slope - reach, slope + reach)
