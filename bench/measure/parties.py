"""Which parties a cell has on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from bench.model.cells import Cell
from bench.model.parties import Party, PartyRole
from bench.topology.kinds import receiver


def parties_of(cell: Cell, cpus: Sequence[int]) -> tuple[Party, ...]:
    """The sender of a cell, on its CPUs of ``cpus``, and who takes its frames beside the stack."""
    is_free = cell.values["affinity"] == "free"
    its_cpus = tuple(cpus if is_free else cpus[: cell.threads])
    sender = Party(PartyRole.SENDER, cell.engine, "tx", its_cpus, under_test=True)
    taker = receiver(cell.values["interface"])
    return (sender, Party(PartyRole.RECEIVER, taker, "rx")) if taker else (sender,)
