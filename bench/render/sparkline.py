"""A series in one line of text: a block per night, or per some of them, as high as its value."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import fmean, median

LEVELS, GAP, CUT = "▁▂▃▄▅▆▇█", "·", "│"
BLOCKS = LEVELS + GAP + CUT
PLAIN = ".:-=+*#@_|"
"""What stands for BLOCKS where an encoding has none."""

LEAST_SPAN = 0.04
"""Of logarithms, from the lowest block to the highest: noise below it is no mountain range."""


def plain(text: str) -> str:
    """A text without blocks."""
    return text.translate(str.maketrans(BLOCKS, PLAIN))


def places_of(times: Sequence[datetime]) -> list[int]:
    """The place of each night on a line of equal steps: nights that are missing have theirs, too.

    A step is a day, or as long as nights are mostly apart.
    """
    days = [(time - times[0]) / timedelta(days=1) for time in times]
    apart = [after - before for before, after in pairwise(days)]
    step = max(1.0, median(apart)) if apart else 1.0
    return [round(day / step) for day in days]


def sparkline(
    values: Sequence[float], places: Sequence[int], width: int, cuts: Collection[int] = ()
) -> str:
    """``values`` are logarithms, NaN where missing, at places in their order.

    A block has the mean of as many places as it takes for ``width`` blocks. A CUT stands before
    the block of each place in ``cuts``, and beyond ``width``.
    """
    each = max(1, math.ceil((places[-1] + 1) / width)) if places else 1
    blocks: list[list[float]] = [[] for _ in range(places[-1] // each + 1)] if places else []
    for value, place in zip(values, places, strict=True):
        if not math.isnan(value):
            blocks[place // each].append(value)
    means = [fmean(block) if block else math.nan for block in blocks]
    known = [mean for mean in means if not math.isnan(mean)]
    low, high = min(known, default=0.0), max(known, default=0.0)
    missing = max(0.0, LEAST_SPAN - (high - low))
    low, span = low - missing / 2, high - low + missing
    before = {cut // each for cut in cuts}
    return "".join(CUT * (n in before) + _block(mean, low, span) for n, mean in enumerate(means))


def _block(mean: float, low: float, span: float) -> str:
    if math.isnan(mean):
        return GAP
    return LEVELS[min(len(LEVELS) - 1, int((mean - low) / span * len(LEVELS)))]
