"""The numbers of a column: in one unit, in which none that is not 0 reads 0."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
LEAST = 0.1
"""A unit is taken if the smallest number in it is not below this."""
DIGITS = 4
"""Of the smallest number these are shown, as far as ``most`` decimals have them."""
COARSE = 0.05
"""Decimals that change a number by more than this fraction of it are too few for it."""
NONE = "-"
"""Shown where there is no number."""


@dataclass(frozen=True, slots=True)
class Scale:
    """``label`` is a unit with its prefix, ``factor`` how many of the plain unit it is."""

    label: str
    factor: float = 1.0
    decimals: int = 0

    def text(self, value: float | None) -> str:
        """Of a number in plain units; one too small for the decimals has its first two digits."""
        if value is None:
            return NONE
        scaled = value / self.factor
        text = f"{scaled:.{self.decimals}f}"
        if abs(float(text) - scaled) > COARSE * abs(scaled):
            return f"{scaled:.2g}"
        return text

    def texts(self, values: Iterable[float | None]) -> tuple[str, ...]:
        return tuple(map(self.text, values))


def si(values: Iterable[float | None], unit: str, most: int = 3, threshold: float = LEAST) -> Scale:
    """The scale for numbers in a plain unit (``pps``): ``kpps``, ``Mpps``.

    It has at most ``most`` decimals; no number is below the threshold, unless it is in plain units.
    """
    least = min(_sizes(values), default=0.0)
    factor, prefix = next(
        ((factor, prefix) for factor, prefix in PREFIXES if least / factor >= threshold), (1.0, "")
    )
    return Scale(f"{prefix}{unit}", factor, _decimals(least / factor, most))


def si_text(value: float, unit: str) -> str:
    """One number with its unit: ``82.36 pps``, ``1.204 Mpps``."""
    scale = si([value], unit, threshold=1)
    return f"{scale.text(value)} {scale.label}"


def plain(values: Iterable[float | None], label: str, decimals: int) -> Scale:
    """The scale of a unit without prefixes, with so many decimals, or more for numbers near 0."""
    least = min(_sizes(values), default=0.0)
    if least and least < 10**-decimals:
        decimals = min(-math.floor(math.log10(least)) + 1, 6)
    return Scale(label, decimals=decimals)


def _sizes(values: Iterable[float | None]) -> list[float]:
    return [abs(value) for value in values if value]


def _decimals(least: float, most: int) -> int:
    if not least:
        return most
    return min(most, max(0, DIGITS - 1 - math.floor(math.log10(least))))
