"""The noise of many series of nights: robust against steps, drift and single bad nights.

A series is cut into stretches of BLOCK nights. Each loses its own line, drawn through the medians
of its halves, and with it level and drift. The scale of the rest is the root mean square of
residuals within REJECT scaled median absolute deviations: nights of a step at the end, and bad
ones, lie outside. Successive nights may be alike (AR(1)): their correlation is that of neighbours
among the same residuals. A line through few nights takes part of both away; the constants that put
it back are from simulated series. What few nights do not show of one series, its correlation and
how small its noise can be, all series of a machine show together (``together``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.analysis.moderation import prior_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

BLOCK = 60
REJECT = 3.0
MAD_OF_NORMAL = 0.6745
WITHIN_REJECT = 0.985
"""The standard deviation of normal noise within REJECT of its standard deviations."""

LINE_HIDES, LINE_SHIFTS, LEAST_SEEN = 7.5, 0.7, 0.3
"""A line through n nights leaves 1 - 7.5 / n of their correlation, less 0.7 / n."""

MAX_CORRELATION = 0.9
MANY = 10
"""Series of one machine that show what correlation they have in common."""

KNOWN = 0.65
"""Degrees of freedom of a variance per independent night (simulated: of 30 nights and more)."""

CAUTION = 5.0
"""Standard errors, nearly, by which the correlation of one series is raised, the less the nearer it
is to none: too small a one makes false changes."""

STEP_GAIN, EDGE = 11.0, 2
"""A step in a stretch, with EDGE nights at either end of it, is taken out if that raises the
logarithm of the likelihood by so much: noise alone has it in one stretch of hundreds."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Of each series (shape: series): standard deviation, and correlation of successive nights.

    ``shared`` are the degrees of freedom of what all series together say about a variance.
    """

    sigma: Floats
    correlation: Floats
    shared: float = 0.0

    def but(self, rows: Integers, others: Noise) -> Noise:
        """The same with the noise of ``others`` at these rows."""
        sigma, correlation = self.sigma.copy(), self.correlation.copy()
        sigma[rows], correlation[rows] = others.sigma, others.correlation
        return Noise(sigma, correlation, self.shared)


def of_each(values: Floats, nights: Integers) -> Noise:
    """The noise that each row of ``values`` (shape: series, nights) shows by itself in its first
    ``nights`` values. A row with fewer nights than BLOCK is one stretch."""
    sigma, correlation = np.zeros(len(values)), np.zeros(len(values))
    lengths = np.minimum(nights, BLOCK)
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        stretches = _stretches(values[rows], nights[rows], int(length))
        sigma[rows], correlation[rows] = _of_residuals(_residuals(stretches))
    return Noise(sigma, correlation)


def together(own: Noise, nights: Integers) -> Noise:
    """The noise of series of one machine, from what each shows by itself in so many nights. What
    they have in common makes up for what few nights do not show."""
    correlation = _shared(own.correlation, nights)
    return _moderated(Noise(own.sigma, correlation), nights)


def _moderated(own: Noise, nights: Integers) -> Noise:
    """Each series' standard deviation, or what all of them make likely if that is more: one that is
    too small by chance makes false changes. Few series show nothing in common."""
    alike = own.correlation**2
    freedom = KNOWN * nights * (1 - alike) / (1 + alike)
    each = list(zip((own.sigma**2).tolist(), freedom.tolist(), strict=True))
    prior = prior_of(*zip(*each, strict=True)) if len(each) >= MANY else None
    if prior is None:
        return own
    likely = np.sqrt([prior.moderated(*of)[0] for of in each])
    return Noise(np.maximum(own.sigma, likely), own.correlation, prior.freedom)


def _shared(own: Floats, nights: Integers) -> Floats:
    """Each series' correlation: what they have in common, or its own less an error if that is more.
    Few series show nothing in common: each has its own, and something more."""
    if len(own) < MANY:
        certain = np.clip(own, 0.0, 1.0)
        likely = own + CAUTION * certain * (1 - certain) / np.sqrt(nights)
    else:
        likely = np.maximum(np.median(own), own - 1 / np.sqrt(nights))
    return np.clip(likely, 0.0, MAX_CORRELATION)


def _residuals(stretches: Floats) -> Floats:
    """Each stretch without its line, and without a step where that leaves much less."""
    plain, stepped = _without_line(stretches), _without_step(stretches)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = stretches.shape[2] / 2 * np.log(_innovation(plain) / _innovation(stepped))
    return np.where((gain > STEP_GAIN)[:, :, None], stepped, plain)


def _innovation(rest: Floats) -> Floats:
    """The variance of what the night before does not say; shape: series, stretches."""
    power = (rest**2).mean(axis=2)
    along = (rest[:, :, 1:] * rest[:, :, :-1]).sum(axis=2) / rest.shape[2]
    innovation: Floats = power - along**2 / np.where(power > 0, power, 1.0)
    return innovation


def _without_step(stretches: Floats) -> Floats:
    """Each stretch without the least squares line and step at its best night."""
    length = stretches.shape[2]
    at = np.arange(length)
    basis = np.stack([np.ones(length) / np.sqrt(length), at - at.mean()])
    basis[1] /= np.sqrt((basis[1] ** 2).sum())
    steps = (at[None, :] >= at[EDGE : length - EDGE + 1, None]).astype(np.float64)
    steps -= steps @ basis.T @ basis
    steps /= np.sqrt((steps**2).sum(axis=1, keepdims=True))
    rest = stretches - stretches @ basis.T @ basis
    along = rest @ steps.T
    best = np.argmax(np.abs(along), axis=2)
    size = np.take_along_axis(along, best[:, :, None], axis=2)
    without: Floats = rest - size * steps[best]
    return without


def _stretches(values: Floats, nights: Integers, length: int) -> Floats:
    """Shape: series, stretches, length. They cover a row evenly, and overlap if they must; NaN
    where a row has fewer than others."""
    counts = -(-nights // length)
    number = np.arange(int(counts.max()))
    apart = (nights - length) / np.maximum(1, counts - 1)
    starts = np.rint(np.minimum(number * apart[:, None], (nights - length)[:, None]))
    at = starts.astype(np.int64)[:, :, None] + np.arange(length)
    found = np.take_along_axis(values[:, None, :], at, axis=2)
    found[number >= counts[:, None]] = np.nan
    return found


def _without_line(stretches: Floats) -> Floats:
    length = stretches.shape[2]
    half = length // 2
    first = np.median(stretches[:, :, :half], axis=2)[:, :, None]
    last = np.median(stretches[:, :, -half:], axis=2)[:, :, None]
    along = (np.arange(length) - (length - 1) / 2) / (length - half)
    line: Floats = (first + last) / 2 + (last - first) * along
    return stretches - line


def _of_residuals(rest: Floats) -> tuple[Floats, Floats]:
    """Standard deviation and correlation of each series; shape as of _stretches."""
    series, _, length = rest.shape
    ordered = np.sort(np.abs(rest).reshape(series, -1), axis=1)
    known = np.isfinite(ordered).sum(axis=1)
    median = ordered[np.arange(series), known // 2]
    near = np.abs(rest) <= (REJECT / MAD_OF_NORMAL * median)[:, None, None]
    kept = np.where(near, rest, 0.0)
    variance = (kept**2).sum(axis=(1, 2)) / near.sum(axis=(1, 2))
    pairs = (near[:, :, 1:] & near[:, :, :-1]).sum(axis=(1, 2))
    products = (kept[:, :, 1:] * kept[:, :, :-1]).sum(axis=(1, 2)) / np.maximum(1, pairs)
    alike = products / np.where(variance > 0, variance, 1.0)
    seen = max(LEAST_SEEN, 1 - LINE_HIDES / length)
    correlation = np.minimum((alike + LINE_SHIFTS / length) / seen, MAX_CORRELATION)
    some = np.maximum(correlation, 0.0)
    hidden = np.minimum(0.5, (1 + some) / (1 - some) / length)
    return np.sqrt(variance) / WITHIN_REJECT / (1 - hidden), correlation
