"""The level of many series of nights up to last night, and how far a night strays by chance.

Each series' variance is drawn towards that of all series (moderation.py). How heavy the tails are,
and how much alike successive nights, is found from all series together: tails from the mean of
absolute deviations over the standard deviation (Geary, Biometrika 27, 1935), less two standard
errors, so that few nights count as heavy tails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bench.analysis.moderation import FEWEST, prior_of
from bench.analysis.noise import MAD_OF_NORMAL, MAX_CORRELATION, Booleans, Floats, Integers

FAR, ENOUGH = 10.0, 8
"""Nights so many (robust) standard deviations from the median are not of the level, from ENOUGH
nights on."""

MIN_NIGHTS = 3
HEAVIEST = 3.0
"""Student's degrees of freedom of the heaviest tails that are told from others."""


@dataclass(frozen=True, slots=True)
class Levels:
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
    def of(cls, history: Floats, began: Integers, pending: Integers) -> Levels:
        """Of nights (shape: series, nights) from ``began`` on, without the ``pending`` last."""
        at, end = np.arange(history.shape[1]), history.shape[1] - pending
        inside = (at >= began[:, None]) & (at < end[:, None])
        values = np.where(inside, history, np.nan)
        near = np.where(_far(values), np.nan, values)
        count = np.isfinite(near).sum(axis=1)
        enough = count >= MIN_NIGHTS
        mean = np.where(enough, total(near) / np.maximum(1, count), np.nan)
        rest = near - mean[:, None]
        variance, freedom = _moderated(total(rest**2), np.where(enough, count - 1, 0))
        sigma = np.sqrt(variance)
        scaled = (values - mean[:, None]) / np.where(sigma > 0, sigma, np.nan)[:, None]
        tails, correlation = _tails(scaled), _likeness(scaled, count)
        return cls(mean, count, sigma, freedom, tails, correlation)

    def error(self, count: Integers) -> Floats:
        """The standard error of the mean of ``count`` nights less the level."""
        alike = 1 + self.correlation * (count > 1)
        nights = np.maximum(1, self.nights)
        error: Floats = self.sigma * np.sqrt(alike / count + self._slow / nights)
        return error

    def error_of_many(self, count: int) -> Floats:
        """The same where as many follow each other as the likeness of nights reaches."""
        nights = np.maximum(1, self.nights)
        error: Floats = self.sigma * np.sqrt(self._slow * (1 / count + 1 / nights))
        return error

    @property
    def _slow(self) -> float:
        """What likeness does to the variance of a mean of many nights."""
        return (1 + self.correlation) / (1 - self.correlation)


def total(values: Floats) -> Floats:
    """The sum of each row, without what is missing."""
    found: Floats = np.where(np.isfinite(values), values, 0.0).sum(axis=1)
    return found


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
