"""The level of each cell of an opening, as if the machine had kept its speed.

A shared machine changes its speed within a round: of ten slices in a row the first is no guide to
the last. The two slices beside a slice, of other cells mostly, say best how fast the machine was
meanwhile; what they did beyond their own cells' levels is taken off. Slices stand in another order
in each round, so no cell has always the same ones beside it. These effects have a median of 0, so
that the levels still have what the whole opening shares.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

FEWEST = 5
"""With fewer cells, a disturbed one stands beside the others too often."""

SWEEPS = 6
"""After these hardly anything changes."""

FAR = 3 * 1.4826
"""Median absolute deviations beyond which a slice says no more of the machine."""


def levels(values: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Of each cell, from its values (logarithms) by their place in the order in which the slices
    of the opening were measured; of as few cells, their medians."""
    found = {cell: statistics.median(of.values()) for cell, of in values.items()}
    if len(values) < FEWEST:
        return found
    order = sorted((at, cell, value) for cell, of in values.items() for at, value in of.items())
    for _ in range(SWEEPS):
        effects = _speed([value - found[cell] for _, cell, value in order])
        steady: dict[str, list[float]] = {cell: [] for cell in values}
        for (_, cell, value), effect in zip(order, effects, strict=True):
            steady[cell].append(value - effect)
        found = {cell: statistics.median(of) for cell, of in steady.items()}
    return found


def _speed(away: Sequence[float]) -> list[float]:
    """What the slices beside each slice strayed from their cells' levels."""
    middle = statistics.median(away)
    reach = FAR * statistics.median(abs(value - middle) for value in away)
    drawn = [min(max(value, middle - reach), middle + reach) for value in away]
    beside = list(zip([drawn[1], *drawn[:-1]], [*drawn[1:], drawn[-2]], strict=True))
    effects = [(before + after) / 2 for before, after in beside]
    middle = statistics.median(effects)
    return [effect - middle for effect in effects]
