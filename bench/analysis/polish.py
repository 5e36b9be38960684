"""The level of each cell of an opening, without what all cells of a round share.

A machine that slows down for a part of the rounds slows down all cells of these, and a median over
few rounds of each cell follows it. Median polish (Tukey, Exploratory Data Analysis, 1977, chapter
11) takes each round's common effect off of all its cells. Round effects have a median of 0, so that
the levels still have what the whole opening shares.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

FEWEST = 5
"""With fewer cells in a round, the one that is disturbed would be the round's effect."""

SWEEPS = 4
"""After these hardly anything changes."""


def levels(values: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Of each cell, from its values by round (logarithms); of as few cells, their medians."""
    found = {cell: statistics.median(of.values()) for cell, of in values.items()}
    if len(values) < FEWEST:
        return found
    for _ in range(SWEEPS):
        effects = _round_effects(values, found)
        found = {
            cell: statistics.median(value - effects[number] for number, value in of.items())
            for cell, of in values.items()
        }
    return found


def _round_effects(
    values: Mapping[str, Mapping[int, float]], found: Mapping[str, float]
) -> dict[int, float]:
    """What each round's cells share; 0 for a round of too few of them."""
    away: dict[int, list[float]] = {}
    for cell, of in values.items():
        for number, value in of.items():
            away.setdefault(number, []).append(value - found[cell])
    effects = {
        number: statistics.median(of) if len(of) >= FEWEST else 0.0 for number, of in away.items()
    }
    middle = statistics.median(effects.values())
    return {number: effect - middle for number, effect in effects.items()}
