"""In which order cells run, and which are open at the same time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

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


def to_evict(
    resident: Mapping[str, int], needed: int, budget: int, upcoming: Sequence[str]
) -> list[str]:
    """Which open cells to close so that ``needed`` more bytes fit into ``budget``.

    The cell whose next slice is farthest away goes first, which closes the fewest (Belady 1966).
    ``resident`` maps open cells to their bytes, ``upcoming`` is the order of the slices to come.
    """
    next_use = {cell: position for position, cell in reversed(list(enumerate(upcoming)))}
    by_distance = sorted(resident, key=lambda cell: -next_use.get(cell, len(upcoming)))
    used, closing = sum(resident.values()), []
    for cell in by_distance:
        if used + needed <= budget:
            break
        closing.append(cell)
        used -= resident[cell]
    return closing
