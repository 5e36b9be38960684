"""Tonight against the nights before it: many cells, every night, and no cry of wolf.

A matrix of 500 cells with two figures makes 90,000 decisions a quarter. The chance of a single
false alarm is spent evenly among them (Bonferroni): each has ``chance / decisions``. One night
cannot be that certain: all of a session shares its fate, and tails that far out are unknown. So an
alarm takes two sessions that agree. Each must differ from the level with a p-value of the square
root of a decision's chance. Both together must with all of it, because they share the error of the
level, and because neighbouring nights may be alike.

A regression lasts until a night is nearer to the level than to the nights since: noise hides it in
some nights, and one of these must neither end it nor let it into the level.

Where nights are noisy, a change may be in no two of them by itself, and become the level unseen. So
the last LATELY nights are tested together, too: their mean must differ from the level before them
with a share of all of a decision's chance, and so must the night among them that is nearest to it,
as all the others are at least as far: a single bad night is no change.

p-values are Student's; levels.py has the level and its noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from bench.analysis.levels import Levels, total
from bench.analysis.noise import Booleans, Floats, Integers

MIN_EFFECT = 0.03
CHANCE = 0.05
"""Of a single false alarm in all decisions."""

LATELY = (3, 5, 8)
"""Numbers of last nights, tonight among them, that are compared with the level before them."""

CONFIRMS = 0.01
"""The p-value at which a second measurement in the same session confirms."""

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
    pending nights before one that was not measured. ``lately`` is how many nights before tonight
    are found to be of the change, too, though none was pending."""

    finding: Finding
    change: float
    low: float
    high: float
    p: float
    nights: int
    stands_out: bool
    lately: int = 0


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
    levels = Levels.of(nights.history, nights.began, nights.pending)
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
    both = agree & (_p(np.abs(change) / error, levels.freedom) <= whole)
    lasts = both & large & (side == -better) & _is_like_pending(nights, levels)
    suspect, confirmed = suspect | lasts, confirmed | lasts
    certain = both & ((last.p <= each) | lasts)
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
    for number in LATELY:
        for i, decision in _lately(nights, number, better, whole / len(LATELY), effect).items():
            if found[i].finding in (Finding.STEADY, Finding.UNCONFIRMED):
                found[i] = decision
    return found


def _lately(
    nights: Nights, number: int, better: int, chance: float, effect: float | Floats
) -> dict[int, Decision]:
    """Of series without pending nights: those whose last ``number`` nights are a regression."""
    length = nights.history.shape[1]
    if length < number:
        return {}
    levels = Levels.of(nights.history, nights.began, np.full(len(nights.tonight), number - 1))
    last = np.column_stack([nights.history[:, length - number + 1 :], nights.tonight])
    away = last - levels.mean[:, None]
    change, error = away.mean(axis=1), levels.error_of_many(number)
    p = _p(np.abs(change) / error, levels.freedom)
    least = np.where(change > 0, np.log1p(effect), -np.log1p(-np.asarray(effect)))
    nearest = _departure(last[np.arange(len(last)), np.abs(away).argmin(axis=1)], levels)
    together = (nearest.p / 2) ** number
    is_one = (np.sign(away) == -better).all(axis=1) & (np.abs(change) >= least)
    is_one &= (p <= chance) & (together <= chance)
    is_one &= (nights.pending == 0) & (nights.began <= length - number + 1)
    reach = _quantile(levels.freedom) * error
    return {
        i: Decision(
            finding=Finding.REGRESSED,
            change=math.expm1(change[i]),
            low=math.expm1(change[i] - reach[i]),
            high=math.expm1(change[i] + reach[i]),
            p=float(p[i]),
            nights=int(levels.nights[i]),
            stands_out=True,
            lately=number - 1,
        )
        for i in np.flatnonzero(is_one).tolist()
    }


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


# A night


@dataclass(frozen=True, slots=True)
class _Departure:
    """Of one run from the level, with its two-sided p-value."""

    size: Floats
    p: Floats


def _departure(values: Floats, levels: Levels) -> _Departure:
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


def _is_like_pending(nights: Nights, levels: Levels) -> Booleans:
    """Whether tonight, and what was measured again, are nearer to the pending nights than to the
    level; only where there are enough of them for a regression."""
    pending = _pending(nights)
    count = np.isfinite(pending).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (total(pending) / count + levels.mean) / 2
    beyond = np.sign(middle - levels.mean)
    is_far = beyond * (nights.tonight - middle) > 0
    is_far &= np.isnan(nights.again) | (beyond * (nights.again - middle) > 0)
    found: Booleans = (count >= 2) & is_far
    return found


def _mean_of_sessions(nights: Nights, agree: Booleans) -> tuple[Floats, Integers]:
    """The mean of tonight's run and, where they agree, the pending ones; the number of runs."""
    values = np.where(agree[:, None], _pending(nights), np.nan)
    count = np.isfinite(values).sum(axis=1) + 1
    return (total(values) + nights.tonight) / count, count


def _p(t: Floats, freedom: Floats) -> Floats:
    """Two-sided, of Student's t."""
    from scipy import special

    p: Floats = 2 * special.stdtr(np.maximum(freedom, 1e-3), -t)
    return p


def _quantile(freedom: Floats) -> Floats:
    from scipy import special

    quantile: Floats = special.stdtrit(np.maximum(freedom, 1.0), Z95)
    return quantile
