"""Variances of many cells, each from few values, drawn towards what they have in common.

Smyth, Stat. Appl. Genet. Mol. Biol. 3(1), 2004, section 6.2: the cells' variances are taken for
draws from a scaled inverse chi-square distribution; its scale and its degrees of freedom are found
from the mean and the variance of their logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST = 3
"""Fewer cells do not show how far their variances spread; then all are taken to have one."""


@dataclass(frozen=True, slots=True)
class Prior:
    """What the cells' variances have in common; ``freedom`` is infinite where they do not differ
    by more than chance."""

    variance: float
    freedom: float

    def moderated(self, variance: float, freedom: float) -> tuple[float, float]:
        """A cell's variance drawn towards the common one, and its degrees of freedom."""
        if math.isinf(self.freedom):
            return self.variance, self.freedom
        together = self.freedom + freedom
        return (self.freedom * self.variance + freedom * variance) / together, together


def prior_of(variances: Sequence[float], freedoms: Sequence[float]) -> Prior | None:
    """From each cell's own variance with its degrees of freedom. None if no cell has any."""
    known = [(v, d) for v, d in zip(variances, freedoms, strict=True) if d > 0]
    if not known:
        return None
    freedom = sum(d for _, d in known)
    pooled = sum(v * d for v, d in known) / freedom
    positive = [(v, d) for v, d in known if v > 0]
    if len(positive) < FEWEST:
        return Prior(pooled, freedom)
    from bench.analysis.polygamma import polygamma

    halves = [d / 2 for _, d in positive]
    by_chance = polygamma(0, halves).tolist()
    logs = [
        math.log(v) - of_chance + math.log(half)
        for (v, _), half, of_chance in zip(positive, halves, by_chance, strict=True)
    ]
    mean = math.fsum(logs) / len(logs)
    spread = math.fsum((x - mean) ** 2 for x in logs) / (len(logs) - 1)
    chance = math.fsum(polygamma(1, halves).tolist()) / len(positive)
    if spread <= chance:
        return Prior(pooled, math.inf)
    half = _inverse_trigamma(spread - chance)
    return Prior(math.exp(mean + float(polygamma(0, half)) - math.log(half)), 2 * half)


def _inverse_trigamma(value: float) -> float:
    """x with trigamma(x) = value, by Newton's method on its reciprocal (ibid., appendix)."""
    from bench.analysis.polygamma import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        at = float(polygamma(1, x))
        step = at * (1 - at / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x
