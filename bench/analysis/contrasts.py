"""Weighted sums of ratios within rounds, with their errors: what effects are made of.

Of each pair of cells the logarithm of the median ratio is taken. A sum of medians has the sum of
their influences, round by round (``locations``); so pairs that share a cell, or a moment in which
the machine was busy, are not taken for independent ones, and pairs with fewer rounds count for what
they are. Whether a sum is 0 is asked at levels far below 5 %, and of trimmed means.

A run of several openings has a second error, as in ``openings``: that of the mean over openings.
Variances of few openings are drawn towards those of all pairs of the same axis. A sum holds with
both errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from bench.analysis import intervals
from bench.analysis.figures import FIGURES
from bench.analysis.locations import Floats, Location, independent, medians, trimmed_means
from bench.analysis.moderation import Prior, prior_of
from bench.analysis.openings import MIN_OPENING_ROUNDS, MIN_OPENINGS, Error
from bench.model.results import Estimate
from bench.model.samples import Sample

Weights = Mapping[int, float]
"""Of pairs, by their numbers."""

PAIR = 2.0
"""The sum of squared weights of the cells of one pair."""


@dataclass(frozen=True, slots=True)
class _Sum:
    """A weighted sum with the error of each way to see it; ``error`` is None where the rounds or
    the openings do not show it."""

    value: float
    error: Error | None

    def reach(self, z: float) -> float:
        """Half the width of its interval."""
        return _quantile(z, self.error.freedom) * self.error.value if self.error else 0.0


def _quantile(z: float, freedom: float) -> float:
    """Student's from the normal one."""
    if freedom >= intervals.MIN_FREEDOM:
        return intervals.student(z, freedom)
    from scipy.special import log_ndtr, stdtrit

    return -float(stdtrit(freedom, math.exp(float(log_ndtr(-z)))))


class Pairs:
    """Pairs of cells of one run: the ratios of a figure within rounds.

    ``axes`` has the axis in which each pair differs.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        axes: Sequence[str],
        usable: Mapping[str, Sequence[Sample]],
        figure: str = "pps",
    ) -> None:
        self._pairs = pairs
        logs, opening = _logs(usable, figure)
        ratios = np.array([logs[a] - logs[b] for a, b in pairs]).reshape(len(pairs), len(opening))
        self._counts = (~np.isnan(ratios)).sum(axis=1)
        self._medians = medians(ratios)
        self._means = trimmed_means(ratios)
        self._openings = _of_openings(ratios, opening)
        rows = {axis: [i for i, a in enumerate(axes) if a == axis] for axis in axes}
        self._priors = {axis: _Moderation.of(self._openings[at]) for axis, at in rows.items()}
        self._axes = axes

    @property
    def counts(self) -> Sequence[int]:
        """How many rounds have both cells of each pair."""
        return [int(n) for n in self._counts]

    def value(self, pair: int) -> float:
        """The logarithm of a pair's median ratio."""
        return float(self._medians.values[pair])

    def estimate(self, weights: Weights, z: float) -> Estimate:
        """The weighted sum of some pairs as a ratio, with the interval that holds for rounds and
        for openings. Each pair has a round."""
        rounds, fewest = self._of_rounds(self._medians, weights), self._fewest(weights)
        low = high = rounds.value
        known = [each for each in (rounds, self._of_openings(weights)) if each and each.error]
        for each in known:
            low = min(low, each.value - each.reach(z))
            high = max(high, each.value + each.reach(z))
        if not known:
            return Estimate(math.exp(rounds.value), None, None, fewest)
        return Estimate(math.exp(rounds.value), math.exp(low), math.exp(high), fewest)

    def differs(self, weights: Weights, level: float, matters: float) -> bool:
        """Whether a weighted sum is not 0, at a level of significance, and farther from it than
        ``matters``: by its rounds, and by its openings where there are some."""
        z = NormalDist().inv_cdf(1 - level / 2)
        rounds, openings = self._of_rounds(self._means, weights), self._of_openings(weights)
        known = [each for each in (rounds, openings) if each and each.error]
        return bool(known) and all(abs(e.value) > max(matters, e.reach(z)) for e in known)

    def _fewest(self, weights: Weights) -> int:
        return int(self._counts[[*weights]].min())

    def _of_rounds(self, of: Location, weights: Weights) -> _Sum:
        at, by = [*weights], np.array([*weights.values()])
        error = of.error(by @ of.influences[at], self._fewest(weights))
        return _Sum(float(by @ of.values[at]), error)

    def _of_openings(self, weights: Weights) -> _Sum | None:
        """Its mean over openings; None where they are too few."""
        at, by = [*weights], np.array([*weights.values()])
        openings = by @ self._openings[at]
        openings = openings[~np.isnan(openings)]
        if len(openings) < MIN_OPENINGS:
            return None
        error = self._priors[self._axes[at[0]]].error(openings, self._square(weights))
        return _Sum(float(openings.mean()), error)

    def _square(self, weights: Mapping[int, float]) -> float:
        """The sum of the squared weights of cells: what the variance of independent ones has."""
        cells: dict[str, float] = {}
        for pair, weight in weights.items():
            for cell, sign in zip(self._pairs[pair], (1, -1), strict=True):
                cells[cell] = cells.get(cell, 0.0) + sign * weight
        return math.fsum(weight * weight for weight in cells.values())


def _logs(
    usable: Mapping[str, Sequence[Sample]], figure: str
) -> tuple[dict[str, Floats], npt.NDArray[np.intp]]:
    """The logarithm of each cell's figure in each round (NaN without), and the rounds' openings."""
    of = FIGURES[figure]
    opening = {s.round: s.opening for samples in usable.values() for s in samples}
    at = {round_: i for i, round_ in enumerate(sorted(opening))}
    logs = {}
    for cell, samples in usable.items():
        logs[cell] = np.full(len(at), np.nan)
        logs[cell][[at[s.round] for s in samples]] = [math.log(of(s)) for s in samples]
    return logs, np.array([opening[round_] for round_ in at], dtype=np.intp)


def _of_openings(ratios: Floats, opening: npt.NDArray[np.intp]) -> Floats:
    """The median of each row in each opening; NaN where it has too few rounds."""
    columns = []
    for number in np.unique(opening):
        part = ratios[:, opening == number]
        enough = (~np.isnan(part)).sum(axis=1) >= MIN_OPENING_ROUNDS
        medians = np.full(len(ratios), np.nan)
        if enough.any():
            medians[enough] = np.nanmedian(part[enough], axis=1)
        columns.append(medians)
    return np.stack(columns, axis=1) if columns else np.empty((len(ratios), 0))


@dataclass(frozen=True)
class _Moderation:
    """What the variances of the openings of one axis' pairs have in common."""

    prior: Prior | None
    worth: float

    @classmethod
    def of(cls, openings: Floats) -> _Moderation:
        """``openings``: the median of each pair in each opening."""
        whole = openings[~np.isnan(openings).any(axis=1)]
        number = openings.shape[1]
        if number < MIN_OPENINGS or not len(whole):
            return cls(None, 1.0)
        apart = whole - whole.mean(axis=1)[:, None]
        variances = (apart**2).sum(axis=1) / (number - 1)
        prior = prior_of([float(v) for v in variances], [number - 1] * len(whole))
        return cls(prior, independent(apart, number - 1))

    def error(self, openings: Floats, square: float) -> Error | None:
        """The error of the mean over openings of a contrast whose cells have that ``square``."""
        number = len(openings)
        if self.prior is None or number < MIN_OPENINGS:
            return None
        scale = square / PAIR
        own = float(openings.var(ddof=1)) / scale
        variance, freedom = self.prior.moderated(own, number - 1)
        return Error(math.sqrt(variance * scale / number), min(freedom, self.worth * (number - 1)))
