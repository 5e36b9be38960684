"""What the cells of a plan ask of the machine."""

from __future__ import annotations

from collections.abc import Callable

from bench.model.cells import Cell
from bench.model.needs import Needs
from bench.plan.plan import Plan


def needs_of(planned: Plan, memory_of: Callable[[Cell], int]) -> Needs:
    """What the cells of a plan ask of the machine; ``memory_of`` says how many bytes one does."""
    cells = planned.runnable
    memory = [memory_of(cell) for cell in cells]
    return Needs(
        threads=max(cell.threads for cell in cells),
        memory=sum(memory),
        largest=max(memory),
        locked=max(map(_locked, cells)),
        sndbuf=max(map(_unforced_sndbuf, cells)),
        devices=tuple(
            dict.fromkeys(planned.device_of[c.id] for c in cells if c.id in planned.device_of)
        ),
    )


def _locked(cell: Cell) -> int:
    """Bytes of a ring that is to be locked.

    The limit is held against each ring for itself: a ring's pages are put into a mapping that
    the kernel marks special, which is not added to the locked memory of the process.
    """
    ring = cell.values["ring"]
    if not isinstance(ring, dict) or not cell.values["mmap_locked"]:
        return 0
    return int(ring["block_size"]) * int(ring["block_nr"])


def _unforced_sndbuf(cell: Cell) -> int:
    sndbuf = cell.values["sndbuf"]
    return int(sndbuf["bytes"]) if isinstance(sndbuf, dict) and not sndbuf["force"] else 0
