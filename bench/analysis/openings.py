"""Intervals that cover what another run would show, from the spread between openings.

Rounds of one opening show how certain its median is, and nothing of what the next process with
other pages, sockets and namespaces makes of it. So the unit above the round is the opening
(Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013): of each cell the
medians of its openings are taken, as logarithms, and the interval of their mean is Student's.

A few openings show a cell's variance badly. It is drawn towards that of all cells (Smyth 2004, see
``moderation``). How many degrees of freedom that adds depends on how far cells go apart. Levels of
one opening share its fate, so that all of them tell no more of the variance than one does: their
degrees of freedom are those of one cell. Ratios to a baseline have at most those of as many
independent cells as they are worth (``intervals.independent``).

The estimate stays the median over all rounds, and the interval has in it the one of the rounds.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analysis import intervals
from bench.analysis.moderation import prior_of
from bench.model.results import Estimate

ByOpening = Mapping[int, Sequence[float]]
"""Positive values in round order, by the number of their opening; the openings are in order."""


MIN_OPENINGS = 3
"""Fewer do not show how far openings spread: of two, Student's quantile is 12.7."""


MIN_OPENING_ROUNDS = 5
"""An opening with fewer usable rounds is none: a single bad round would be its median."""


def estimates(
    series: Sequence[ByOpening], z: float = intervals.Z95, *, levels: bool = False
) -> list[Estimate | None]:
    """The estimate of each series; all were measured side by side on one machine.

    From MIN_OPENINGS openings on, intervals are those of openings, else those of rounds.
    """
    within = pooled(series, z, levels=levels)
    spreads = [Spread.of(values) for values in series]
    known = [spread for spread in spreads if spread]
    worth = 1.0 if levels else independent(known)
    reaches = iter(_reaches(known, worth, z))
    return [
        _wider(estimate, spread, next(reaches)) if estimate and spread else estimate
        for estimate, spread in zip(within, spreads, strict=True)
    ]


def why_no_interval(rounds: int, openings: int, ratios: int) -> str:
    """Why so many rounds of a run give no interval to that many ratios, or to pps where there is
    none; "" where they may."""
    if openings >= MIN_OPENINGS and rounds // openings >= MIN_OPENING_ROUNDS:
        return ""
    least = intervals.least_rounds(ratios) if ratios else intervals.MIN_LEVEL_ROUNDS
    if rounds >= least:
        return ""
    what = f"{ratios} ratio{'s' * (ratios > 1)}" if ratios else "pps without a baseline"
    return (
        f"no interval: {what} would need {least} rounds, not {rounds}, or {MIN_OPENINGS} openings "
        f"with {MIN_OPENING_ROUNDS} rounds each"
    )


def pooled(
    series: Sequence[ByOpening], z: float = intervals.Z95, *, levels: bool = False
) -> list[Estimate | None]:
    """As if all rounds were of one opening: how certain the median of this run is."""
    rounds = [[*itertools.chain.from_iterable(values.values())] for values in series]
    return intervals.estimates(rounds, z, levels=levels)


@dataclass(frozen=True, slots=True)
class Spread:
    """Of a series' openings: their number, the mean of their logarithms, and each one's distance
    from it."""

    openings: int
    mean: float
    deviations: Mapping[int, float]

    @classmethod
    def of(cls, values: ByOpening) -> Spread | None:
        """None where too few openings have enough rounds."""
        logs = {
            opening: math.log(statistics.median(of_it))
            for opening, of_it in values.items()
            if len(of_it) >= MIN_OPENING_ROUNDS
        }
        return cls.of_logs(logs)

    @classmethod
    def of_logs(cls, logs: Mapping[int, float]) -> Spread | None:
        """Of the logarithm of each opening's median. None where there are too few."""
        if len(logs) < MIN_OPENINGS:
            return None
        mean = statistics.fmean(logs.values())
        return cls(len(logs), mean, {opening: log - mean for opening, log in logs.items()})

    @property
    def variance(self) -> float:
        return math.fsum(d * d for d in self.deviations.values()) / self.freedom

    @property
    def freedom(self) -> int:
        return self.openings - 1


@dataclass(frozen=True, slots=True)
class Error:
    """The standard error of a mean, on the scale of logarithms, and its degrees of freedom."""

    value: float
    freedom: float


def errors(spreads: Sequence[Spread], worth: float) -> list[Error]:
    """The error of each mean; ``worth`` is how many independent cells these are worth."""
    freedoms = [spread.freedom for spread in spreads]
    prior = prior_of([spread.variance for spread in spreads], freedoms)
    if prior is None:
        return []
    found = []
    for spread in spreads:
        variance, freedom = prior.moderated(spread.variance, spread.freedom)
        known = min(freedom, worth * spread.freedom)
        found.append(Error(math.sqrt(variance / spread.openings), known))
    return found


def _reaches(spreads: Sequence[Spread], worth: float, z: float) -> list[float]:
    """Half the width of each mean's interval, on the scale of logarithms."""
    if not spreads:
        return []
    from scipy.special import ndtr, stdtrit

    return [float(stdtrit(e.freedom, ndtr(z))) * e.value for e in errors(spreads, worth)]


def independent(spreads: Sequence[Spread]) -> float:
    """How many independent cells these are worth; each has the same weight."""
    openings = sorted({opening for spread in spreads for opening in spread.deviations})
    scaled = [
        [spread.deviations.get(opening, 0.0) / math.sqrt(spread.variance) for opening in openings]
        for spread in spreads
        if spread.variance > 0
    ]
    return intervals.independent(scaled) if scaled else 1.0


def _wider(estimate: Estimate, spread: Spread, reach: float) -> Estimate:
    """The interval of openings, and in it that of rounds, or at least the median itself."""
    low, high = math.exp(spread.mean - reach), math.exp(spread.mean + reach)
    inner_low = estimate.value if estimate.low is None else estimate.low
    inner_high = estimate.value if estimate.high is None else estimate.high
    return Estimate(estimate.value, min(low, inner_low), max(high, inner_high), estimate.n)
