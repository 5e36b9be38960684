"""Tonight against the nights before it: many cells, every night, and no cry of wolf.

A matrix of 500 cells with two figures makes 90,000 decisions a quarter. The chance of a single
false alarm is spent evenly among them (Bonferroni): each has ``chance / decisions``. One night
cannot be that certain: all of a session shares its fate, and tails that far out are unknown. So an
alarm takes two sessions that agree. Each must differ from the level with a p-value of the square
root of a decision's chance. Both together must with all of it, because they share the error of the
level, and because neighbouring nights may be alike.

p-values are Student's. Each series' variance is drawn towards that of all series (moderation.py);
how heavy the tails are, and how much alike successive nights, is found from all series together:
tails from the mean of absolute deviations over the standard deviation (Geary, Biometrika 27, 1935),
less two standard errors, so that few nights count as heavy tails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from bench.analysis.moderation import FEWEST, prior_of
from bench.analysis.noise import MAD_OF_NORMAL, MAX_CORRELATION, Booleans, Floats, Integers

MIN_EFFECT = 0.03
CHANCE = 0.05
"""Of a single false alarm in all decisions."""

CONFIRMS = 0.01
"""The p-value at which a second measurement in the same session confirms."""

FAR, ENOUGH = 10.0, 8
"""Nights so many (robust) standard deviations from the median are not of the level, from ENOUGH
nights on."""

MIN_NIGHTS = 3
HEAVIEST = 3.0
"""Student's degrees of freedom of the heaviest tails that are told from others."""

Z95 = 0.975


class Finding(Enum):
    """What a night says of a series, worst first."""

    REGRESSED = "regressed"
    SUSPECTED = "suspected"
    SUSPECT = "suspect"
    UNCONFIRMED = "unconfirmed"
    IMPROVED = "improved"
    STEADY = "steady"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Nights:
    """Series as they stand tonight; everything is a logarithm, NaN where missing.

    ``history`` (shape: series, nights) ends with last night. ``began`` is the index of the first
    night of the present level; later marks (an acknowledged change, a note on a night) move it.
    ``pending`` is the number of last nights that are not of the level, because they were SUSPECTED
    or REGRESSED, or stood out for the better. ``tonight`` and ``again`` (shape: series) are the
    night's run and the mean of its confirmations.
    """

    history: Floats
    began: Integers
    pending: Integers
    tonight: Floats
    again: Floats


@dataclass(frozen=True, slots=True)
class Decision:
    """``change`` is relative to the level (-0.04: 4 % lower), with its 95 % interval; ``p`` is
    that of tonight's run alone, two-sided. ``stands_out`` says that the night is not of the level:
    it is pending tomorrow, as are
    pending nights before one that was not measured."""

    finding: Finding
    change: float
    low: float
    high: float
    p: float
    nights: int
    stands_out: bool


def decide(
    nights: Nights,
    better: int,
    decisions: int,
    chance: float = CHANCE,
    effect: float | Floats = MIN_EFFECT,
) -> list[Decision]:
    """What tonight says of each series.

    ``better`` is 1 where higher is better, else -1; ``decisions`` is the number of all decisions
    that share ``chance``. A change below ``effect`` (a fraction, of all or of each) is none. Series
    that are given together share what is known of their noise: cells, or the shifts of interfaces.
    """
    levels = _Levels.of(nights)
    each, whole = math.sqrt(chance / decisions), chance / decisions
    night, again = _departure(nights.tonight, levels), _departure(nights.again, levels)
    last = _departure(_last_pending(nights), levels)
    side = np.sign(night.size)
    agree = np.sign(last.size) == side
    together, count = _mean_of_sessions(nights, agree)
    change, error = together - levels.mean, levels.error(count)
    large = side * change >= np.where(side > 0, np.log1p(effect), -np.log1p(-effect))
    suspect = (night.p <= each) & large
    measured_again = np.isfinite(nights.again)
    confirmed = ~measured_again | ((np.sign(again.size) == side) & (again.p <= CONFIRMS))
    certain = agree & (last.p <= each) & (_p(np.abs(change) / error, levels.freedom) <= whole)
    known = np.isfinite(night.p)
    stands_out = np.where(known, suspect & confirmed, nights.pending > 0)
    reach = _quantile(levels.freedom) * error
    found = []
    for i in range(len(change)):
        found.append(
            Decision(
                finding=_finding(
                    known=bool(known[i]),
                    worse=bool(side[i] == -better),
                    suspect=bool(suspect[i]),
                    measured_again=bool(measured_again[i]),
                    confirmed=bool(confirmed[i]),
                    certain=bool(certain[i]),
                ),
                change=math.expm1(change[i]),
                low=math.expm1(change[i] - reach[i]),
                high=math.expm1(change[i] + reach[i]),
                p=float(night.p[i]),
                nights=int(levels.nights[i]),
                stands_out=bool(stands_out[i]),
            )
        )
    return found


def _finding(
    *, known: bool, worse: bool, suspect: bool, measured_again: bool, confirmed: bool, certain: bool
) -> Finding:
    if not known:
        return Finding.UNKNOWN
    if not suspect:
        return Finding.STEADY
    if not confirmed:
        return Finding.UNCONFIRMED
    if certain:
        return Finding.REGRESSED if worse else Finding.IMPROVED
    if not worse:
        return Finding.STEADY
    return Finding.SUSPECTED if measured_again else Finding.SUSPECT


# The level


@dataclass(frozen=True, slots=True)
class _Levels:
    """Of each series: level, number of its nights, standard deviation of a night and its degrees
    of freedom; of all: Student's degrees of freedom of their tails, and likeness of successive
    nights."""

    mean: Floats
    nights: Integers
    sigma: Floats
    freedom: Floats
    tails: float
    correlation: float

    @classmethod
    def of(cls, nights: Nights) -> _Levels:
        at = np.arange(nights.history.shape[1])
        inside = (at >= nights.began[:, None]) & (
            at < nights.history.shape[1] - nights.pending[:, None]
        )
        values = np.where(inside, nights.history, np.nan)
        near = np.where(_far(values), np.nan, values)
        count = np.isfinite(near).sum(axis=1)
        enough = count >= MIN_NIGHTS
        mean = np.where(enough, _sum(near) / np.maximum(1, count), np.nan)
        rest = near - mean[:, None]
        variance, freedom = _moderated(_sum(rest**2), np.where(enough, count - 1, 0))
        sigma = np.sqrt(variance)
        scaled = (values - mean[:, None]) / np.where(sigma > 0, sigma, np.nan)[:, None]
        tails, correlation = _tails(scaled), _likeness(scaled, count)
        return cls(mean, count, sigma, freedom, tails, correlation)

    def error(self, count: Integers) -> Floats:
        """The standard error of the mean of ``count`` nights less the level."""
        alike = 1 + self.correlation * (count > 1)
        slow = (1 + self.correlation) / (1 - self.correlation)
        nights = np.maximum(1, self.nights)
        error: Floats = self.sigma * np.sqrt(alike / count + slow / nights)
        return error


def _sum(values: Floats) -> Floats:
    total: Floats = np.where(np.isfinite(values), values, 0.0).sum(axis=1)
    return total


def _far(values: Floats) -> Booleans:
    known = np.isfinite(values)
    count = known.sum(axis=1)
    enough = np.flatnonzero(count >= ENOUGH)
    far = np.zeros(values.shape, bool)
    if len(enough):
        rest = np.abs(values[enough] - np.nanmedian(values[enough], axis=1, keepdims=True))
        limit = FAR / MAD_OF_NORMAL * np.nanmedian(rest, axis=1, keepdims=True)
        far[enough] = rest > limit
    return far


def _moderated(squares: Floats, freedom: Integers) -> tuple[Floats, Floats]:
    """Variances and degrees of freedom: each series' own, drawn towards the common one."""
    own = squares / np.maximum(1, freedom)
    if np.count_nonzero(freedom) < FEWEST:
        return own, freedom.astype(np.float64)
    prior = prior_of(own.tolist(), freedom.tolist())
    assert prior is not None
    drawn = [prior.moderated(v, d) for v, d in zip(own.tolist(), freedom.tolist(), strict=True)]
    variances, freedoms = zip(*drawn, strict=True)
    return np.array(variances), np.minimum(freedoms, 1.0 * max(freedom.sum(), 1))


def _tails(scaled: Floats) -> float:
    """Student's degrees of freedom of residuals in units of their standard deviations."""
    known = scaled[np.isfinite(scaled)]
    if not len(known):
        return HEAVIEST
    spread = math.sqrt(float((known**2).mean()))
    ratio = float(np.abs(known).mean()) / spread if spread else 0.0
    ratio -= 2 * GEARY_ERROR / math.sqrt(len(known))
    freedom, ratios = _geary()
    if ratio >= ratios[-1]:
        return math.inf
    return float(np.interp(ratio, ratios, freedom))


GEARY_ERROR = 0.21
"""The standard error of Geary's ratio times the root of the number of normal values."""


def _geary() -> tuple[list[float], list[float]]:
    """Degrees of freedom, and Geary's ratio of Student's distribution for each."""
    freedom = [HEAVIEST, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0]
    return freedom, [_geary_of(d) for d in freedom]


def _geary_of(d: float) -> float:
    mean = (
        2
        * math.sqrt(d / math.pi)
        / (d - 1)
        * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    )
    return mean / math.sqrt(d / (d - 2))


def _likeness(scaled: Floats, count: Integers) -> float:
    """The correlation of successive nights, over all series."""
    pairs = scaled[:, 1:] * scaled[:, :-1]
    known = np.isfinite(pairs)
    power = np.nanmean(scaled**2) if np.isfinite(scaled).any() else 0.0
    if not known.any() or not power:
        return 0.0
    hidden = 1 / max(float(np.median(count[count > 0])), 1.0)
    return float(np.clip(pairs[known].mean() / power + hidden, 0.0, MAX_CORRELATION))


# A night


@dataclass(frozen=True, slots=True)
class _Departure:
    """Of one run from the level, with its two-sided p-value."""

    size: Floats
    p: Floats


def _departure(values: Floats, levels: _Levels) -> _Departure:
    size = values - levels.mean
    error = levels.error(np.ones(len(values), np.int64))
    if math.isinf(levels.tails):
        return _Departure(size, _p(np.abs(size) / error, levels.freedom))
    narrower = math.sqrt((levels.tails - 2) / levels.tails)
    freedom = 1 / (1 / levels.tails + 1 / np.maximum(levels.freedom, 1.0))
    return _Departure(size, _p(np.abs(size) / error / narrower, freedom))


def _pending(nights: Nights) -> Floats:
    """The pending nights, NaN in place of others; shape: series, nights."""
    length = nights.history.shape[1]
    pending = np.arange(length) >= length - nights.pending[:, None]
    return np.where(pending, nights.history, np.nan)


def _last_pending(nights: Nights) -> Floats:
    """The last pending night that was measured; NaN without one."""
    last = np.full(len(nights.tonight), np.nan)
    for night in _pending(nights).T:
        last = np.where(np.isfinite(night), night, last)
    return last


def _mean_of_sessions(nights: Nights, agree: Booleans) -> tuple[Floats, Integers]:
    """The mean of tonight's run and, where they agree, the pending ones; the number of runs."""
    values = np.where(agree[:, None], _pending(nights), np.nan)
    count = np.isfinite(values).sum(axis=1) + 1
    return (_sum(values) + nights.tonight) / count, count


def _p(t: Floats, freedom: Floats) -> Floats:
    """Two-sided, of Student's t."""
    from scipy import special

    p: Floats = 2 * special.stdtr(np.maximum(freedom, 1e-3), -t)
    return p


def _quantile(freedom: Floats) -> Floats:
    from scipy import special

    quantile: Floats = special.stdtrit(np.maximum(freedom, 1.0), Z95)
    return quantile
