"""In which order cells run, how long a slice takes, and the memory of an open cell."""

from __future__ import annotations

import random
from collections.abc import Sequence

from bench.model.cells import Cell

WARMUP_NS = 300_000


DRAIN_NS = 2_000_000_000
"""The longest wait for the last frames of a warm-up, and of a window."""


def round_order(cells: Sequence[str], seed: int, round_: int) -> list[str]:
    """The cells of a round, shuffled anew for each round, the same for the same seed."""
    order = list(cells)
    random.Random(f"{seed}/{round_}").shuffle(order)
    return order


def memory_of(cell: Cell) -> int:
    """Bytes of rings and frame buffers of an open cell, without the kernel's own skbs."""
    ring = cell.values["ring"]
    burst, flows = (int(cell.values[axis] or 1) for axis in ("burst", "flows"))  # type: ignore[arg-type]
    buffers = cell.threads * (cell.frame_size + 64) * (flows + max(burst, flows))
    if not isinstance(ring, dict):
        return buffers
    rings = 1 if cell.values["socket"] == "shared" else cell.threads
    return buffers + rings * int(ring["block_size"]) * int(ring["block_nr"])
