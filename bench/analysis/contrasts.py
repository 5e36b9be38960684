"""Weighted sums of ratios within rounds, with their errors: what effects are made of.

Of each pair of cells the logarithm of the median ratio is taken. A median's error is that of the
mean of its influences: in each round its sign, above or below, times the width of the order
statistics around it (McKean and Schrader, Communications in Statistics B 13(6), 1984). A sum of
medians has the sum of their influences, round by round; so pairs that share a cell, or a moment in
which the machine was busy, are not taken for independent ones, and pairs with fewer rounds count
for what they are. As in ``intervals`` the variance is that of autocorrelated rounds, from slow
cosines, and what all pairs have in common is estimated from all.

Whether a sum is 0 is asked at levels far below 5 %. There the width of order statistics is too
rough an error: tests use trimmed means, whose error is from all rounds (Yuen, Biometrika 61(1),
1974).

A run of several openings has a second error, as in ``openings``: that of the mean over openings.
Variances of few openings are drawn towards those of all pairs of the same axis. A sum holds with
both errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from bench.analysis import intervals
from bench.analysis.figures import FIGURES
from bench.analysis.moderation import Prior, prior_of
from bench.analysis.openings import MIN_OPENING_ROUNDS, MIN_OPENINGS, Error
from bench.model.results import Estimate
from bench.model.samples import Sample

Floats = npt.NDArray[np.float64]

Weights = Mapping[int, float]
"""Of pairs, by their numbers."""

TRIMMED = 0.1
"""Of the rounds of a pair, at either end: what disturbed a slice is no part of a mean."""

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
        self._medians = _medians(ratios)
        self._means = _trimmed_means(ratios)
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

    def _of_rounds(self, of: _Location, weights: Weights) -> _Sum:
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


@dataclass(frozen=True)
class _Location:
    """Where the values of each pair lie: ``values`` (shape: pairs), and how much each round moves
    that, times the number of rounds (``influences``, shape: pairs, rounds)."""

    values: Floats
    influences: Floats
    inflation: _Inflation | None

    @classmethod
    def of(cls, values: Floats, influences: Floats) -> _Location:
        return cls(values, influences, _Inflation.of(influences))

    def error(self, influences: Floats, fewest: int) -> Error | None:
        """Of a sum with these influences, whose pairs have so many rounds at the least."""
        if fewest < intervals.MIN_ROUNDS or self.inflation is None:
            return None
        inflation = self.inflation.of_series(influences)
        if fewest < intervals.FEW_ROUNDS and inflation > intervals.FEW_INFLATION:
            return None
        error = math.sqrt(inflation * float(influences @ influences)) / len(influences)
        return Error(error, min(self.inflation.freedom, fewest - 1))


def _medians(ratios: Floats) -> _Location:
    values, influences = np.zeros(len(ratios)), np.zeros(ratios.shape)
    for i, row, known in _rows(ratios):
        ordered, n = np.sort(row), len(row)
        values[i] = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
        below = max(0, math.floor(n / 2 - intervals.Z95 * math.sqrt(n) / 2))
        error = (ordered[n - 1 - below] - ordered[below]) / 2 / intervals.Z95
        scale = error * math.sqrt(n) * ratios.shape[1] / n
        influences[i, known] = np.sign(row - values[i]) * scale
    return _Location.of(values, influences)


def _trimmed_means(ratios: Floats) -> _Location:
    """Of each row the mean of its middle part, TRIMMED at either end."""
    values, influences = np.zeros(len(ratios)), np.zeros(ratios.shape)
    for i, row, known in _rows(ratios):
        ordered, n = np.sort(row), len(row)
        cut = int(n * TRIMMED)
        values[i] = ordered[cut : n - cut].mean()
        drawn = np.clip(row, ordered[cut], ordered[n - 1 - cut])
        scale = ratios.shape[1] / (n - 2 * cut)
        influences[i, known] = (drawn - drawn.mean()) * scale
    return _Location.of(values, influences)


def _rows(ratios: Floats) -> Iterator[tuple[int, Floats, npt.NDArray[np.bool_]]]:
    """The values of each row that has some, and where they are."""
    for i, row in enumerate(ratios):
        known = ~np.isnan(row)
        if known.any():
            yield i, row[known], known


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


# What all pairs have in common


@dataclass(frozen=True)
class _Inflation:
    """How much more the sum of a run's influences varies than that of independent rounds."""

    common: float
    freedom: float
    cosines: Floats

    @classmethod
    def of(cls, influences: Floats) -> _Inflation | None:
        """None where the rounds do not show it."""
        rows = influences[(influences != 0).sum(axis=1) >= intervals.MIN_ROUNDS]
        if not len(rows):
            return None
        cosines = _cosines(rows.shape[1])
        worth = _independent(rows, rows.shape[1])
        slow = max(intervals.MIN_COSINES, math.ceil(intervals.ENOUGH_FREEDOM / worth))
        freedom = worth * min(slow, len(cosines))
        if freedom < intervals.MIN_FREEDOM:
            return None
        mean = float(_powers(rows, cosines[:slow]).mean())
        return cls(mean * (1 + math.sqrt(2 / freedom) / 2), freedom, cosines)

    def of_series(self, influences: Floats) -> float:
        """The common one, or its own if that is larger."""
        own = float(_powers(influences[None, :], self.cosines).mean())
        return max(1.0, self.common, own / (1 + math.sqrt(2 / len(self.cosines))))


def _cosines(rounds: int) -> Floats:
    """As ``intervals`` has them; shape: cosines, rounds."""
    return np.array(intervals.cosines(rounds)).reshape(-1, rounds)


def _powers(rows: Floats, cosines: Floats) -> Floats:
    """The squares of cosine coefficients, 1 on average for independent rounds."""
    square = (rows**2).mean(axis=1)
    powers: Floats = (rows @ cosines.T) ** 2 / np.where(square > 0, square, 1.0)[:, None]
    return powers


def _independent(rows: Floats, freedom: int) -> float:
    """How many independent series these are worth, from squares of their correlations: pairs that
    share a cell go together, or against each other."""
    power = np.sqrt((rows**2).sum(axis=1))
    rows = rows[power > 0] / power[power > 0][:, None]
    number = len(rows)
    if number < 2:
        return 1.0
    squares = (float(((rows @ rows.T) ** 2).sum()) - number) / number / (number - 1)
    alike = max(0.0, squares - 1 / freedom)
    return number / (1 + (number - 1) * alike)


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
        return cls(prior, _independent(apart, number - 1))

    def error(self, openings: Floats, square: float) -> Error | None:
        """The error of the mean over openings of a contrast whose cells have that ``square``."""
        number = len(openings)
        if self.prior is None or number < MIN_OPENINGS:
            return None
        scale = square / PAIR
        own = float(openings.var(ddof=1)) / scale
        variance, freedom = self.prior.moderated(own, number - 1)
        return Error(math.sqrt(variance * scale / number), min(freedom, self.worth * (number - 1)))
