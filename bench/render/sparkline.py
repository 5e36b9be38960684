"""A series in one line of text: a block per night, or per some of them, as high as its value."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # at run time only what has series loads it
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

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


def sparklines(
    series: Floats, places: Sequence[int], width: int, cuts: Collection[int] = ()
) -> list[str]:
    """``series`` (series, nights) are logarithms, NaN where missing, at places in their order.

    A block has the mean of as many places as it takes for ``width`` blocks. A CUT stands before
    the block of each place in ``cuts``, and beyond ``width``.
    """
    if not places:
        return [""] * len(series)
    each = max(1, math.ceil((places[-1] + 1) / width))
    heights = _heights(_means(series, [place // each for place in places]))
    before = {cut // each for cut in cuts}
    cut = [CUT * (block in before) for block in range(heights.shape[1])]
    return [
        "".join(f"{at}{BLOCKS[height]}" for at, height in zip(cut, row, strict=True))
        for row in heights.tolist()
    ]


def _means(series: Floats, blocks: Sequence[int]) -> Floats:
    """Of what is known in each block, (series, blocks); NaN where nothing is."""
    import numpy as np

    known = np.isfinite(series)
    total, count = (np.zeros((blocks[-1] + 1, len(series))) for _ in range(2))
    np.add.at(total, np.array(blocks), np.where(known, series, 0.0).T)
    np.add.at(count, np.array(blocks), known.T)
    return np.where(count > 0, total / np.maximum(1, count), np.nan).T


def _heights(means: Floats) -> NDArray[np.int64]:
    """The index in BLOCKS of each block; the span of a row is from its lowest to its highest."""
    import numpy as np

    known = np.isfinite(means)
    low = np.where(known, means, np.inf).min(axis=1, keepdims=True)
    high = np.where(known, means, -np.inf).max(axis=1, keepdims=True)
    low, high = (np.where(np.isfinite(bound), bound, 0.0) for bound in (low, high))
    missing = np.maximum(0.0, LEAST_SPAN - (high - low))
    up = np.where(known, (means - low + missing / 2) / (high - low + missing), 0.0)
    height = np.minimum(len(LEVELS) - 1, (up * len(LEVELS)).astype(np.int64))
    return np.where(known, height, BLOCKS.index(GAP))
