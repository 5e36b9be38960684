"""In which order cells run, how long a slice takes, and the memory of an open cell."""

from __future__ import annotations

import random
from collections.abc import Sequence

WARMUP_NS = 300_000


DRAIN_NS = 2_000_000_000
"""The longest wait for the last frames of a warm-up, and of a window."""


def round_order(cells: Sequence[str], seed: int, round_: int) -> list[str]:
    """The cells of a round, shuffled anew for each round, the same for the same seed."""
    order = list(cells)
    random.Random(f"{seed}/{round_}").shuffle(order)
    return order
