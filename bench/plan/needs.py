"""What the cells of a plan ask of the machine."""

from __future__ import annotations

from collections.abc import Callable

from bench.model.cells import Cell
from bench.model.needs import Memory, Needs
from bench.plan.plan import Plan


def needs_of(planned: Plan, memory_of: Callable[[Cell], Memory]) -> Needs:
    """What the cells of a plan ask of the machine; ``memory_of`` says what one takes."""
    cells = planned.runnable
    memory = [memory_of(cell) for cell in cells]
    return Needs(
        threads=max(cell.threads for cell in cells),
        memory=sum(each.bytes for each in memory),
        largest=max(each.bytes for each in memory),
        locked=max(each.locked for each in memory),
        sndbuf=max(map(_unforced_sndbuf, cells)),
        devices=tuple(
            dict.fromkeys(planned.device_of[c.id] for c in cells if c.id in planned.device_of)
        ),
    )


def _unforced_sndbuf(cell: Cell) -> int:
    sndbuf = cell.values["sndbuf"]
    return int(sndbuf["bytes"]) if isinstance(sndbuf, dict) and not sndbuf["force"] else 0
