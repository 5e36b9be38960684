"""Where the ratios of pairs lie, how much each round moves that, and how uncertain it is.

A median's error is that of the mean of its influences: in each round its sign, above or below,
times the width of the order statistics that its interval has (McKean and Schrader, Communications
in Statistics B 13(6), 1984). A trimmed mean's influences are its values, drawn in at the ends
(Yuen, Biometrika 61(1), 1974): the better error far out, where the width of order statistics is too
rough.
The influences of a weighted sum are the sum of theirs, and its variance is that of autocorrelated
rounds as in ``intervals``: from slow cosines, and from all pairs together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.analysis import intervals
from bench.analysis.openings import Error

Floats = npt.NDArray[np.float64]

TRIMMED = 0.1
"""Of the rounds of a pair, at either end: what disturbed a slice is no part of a mean."""


@dataclass(frozen=True)
class Location:
    """Where the values of each pair lie: ``values`` (shape: pairs), and how much each round moves
    that, times the number of rounds (``influences``, shape: pairs, rounds)."""

    values: Floats
    influences: Floats
    inflation: _Inflation | None

    def error(self, influences: Floats, fewest: int) -> Error | None:
        """Of a sum with these influences, whose pairs have so many rounds at the least."""
        if fewest < intervals.MIN_ROUNDS or self.inflation is None:
            return None
        inflation = self.inflation.of_series(influences)
        if fewest < intervals.FEW_ROUNDS and inflation > intervals.FEW_INFLATION:
            return None
        error = math.sqrt(inflation * float(influences @ influences)) / len(influences)
        return Error(error, min(self.inflation.freedom, fewest - 1))


def medians(ratios: Floats) -> Location:
    """Of each row (pair) of logarithms of ratios; NaN where a round lacks one of the cells."""
    values, signs = np.zeros(len(ratios)), np.zeros(ratios.shape)
    for i, row, known in _rows(ratios):
        values[i] = np.median(row)
        signs[i, known] = np.sign(row - values[i])
    inflation = _Inflation.of(signs)
    stretch = intervals.Z95 * math.sqrt(max(1.0, inflation.common) if inflation else 1.0)
    scales = np.zeros((len(ratios), 1))
    for i, row, _ in _rows(ratios):
        ordered, n = np.sort(row), len(row)
        below = max(0, math.floor(n / 2 - stretch * math.sqrt(n) / 2))
        scales[i] = (ordered[n - 1 - below] - ordered[below]) / 2 / stretch * ratios.shape[1]
        scales[i] /= math.sqrt(n)
    return Location(values, signs * scales, inflation)


def trimmed_means(ratios: Floats) -> Location:
    """Of each row the mean of its middle part, TRIMMED at either end."""
    values, influences = np.zeros(len(ratios)), np.zeros(ratios.shape)
    for i, row, known in _rows(ratios):
        ordered, n = np.sort(row), len(row)
        cut = int(n * TRIMMED)
        values[i] = ordered[cut : n - cut].mean()
        drawn = np.clip(row, ordered[cut], ordered[n - 1 - cut])
        scale = ratios.shape[1] / (n - 2 * cut)
        influences[i, known] = (drawn - drawn.mean()) * scale
    return Location(values, influences, _Inflation.of(influences))


def _rows(ratios: Floats) -> Iterator[tuple[int, Floats, npt.NDArray[np.bool_]]]:
    """The values of each row that has some, and where they are."""
    for i, row in enumerate(ratios):
        known = ~np.isnan(row)
        if known.any():
            yield i, row[known], known


# How much rounds are alike


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
        worth = independent(rows, rows.shape[1])
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


def independent(rows: Floats, freedom: int) -> float:
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
