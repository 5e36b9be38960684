"""Which cells of a plan cannot run here, by trying: nothing is sent, nothing is left behind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from bench.base import signals
from bench.base.errors import BenchError
from bench.base.values import key_of
from bench.engines import core, table
from bench.engines.config import memory_of
from bench.engines.core import Endpoint, OpenCell
from bench.engines.programs import why_missing
from bench.model.cells import Cell
from bench.model.programs import EXEC
from bench.model.vocabulary import axes_of
from bench.plan.plan import Plan, TopologySpec
from bench.topology import entered
from bench.topology.kinds import up
from bench.topology.link import Allowed


def unrunnable(planned: Plan, allowed: Allowed = Allowed()) -> dict[str, str]:  # noqa: B008
    """Cells that cannot run on this machine, and why, by their ids.

    Every topology is really set up, in namespaces of its own, and cells are opened and closed in
    it, one after the other. A device that is allowed is borrowed for it, and given back.
    """
    refused = dict(planned.unfit)
    for index, spec in enumerate(planned.topologies):
        there = [cell for cell in planned.runnable if planned.topology_of.get(cell.id) == index]
        refused |= _refused_on(spec, there, planned.cpus, allowed)
    nowhere = [cell for cell in planned.runnable if cell.id not in planned.topology_of]
    return refused | _refused(nowhere, None, planned.cpus)


def _refused_on(
    spec: TopologySpec, cells: Sequence[Cell], cpus: Sequence[int], allowed: Allowed
) -> dict[str, str]:
    try:
        with ExitStack() as stack:
            with signals.held():
                made = stack.enter_context(up(spec.interface, spec.qdisc, spec.mtu, allowed))
            stack.enter_context(entered(made.tx.netns_fd))
            endpoint = Endpoint(made.tx.ifindex, made.dst_mac, made.src_mac)
            return _refused(cells, endpoint, cpus)
    except BenchError as error:
        return {cell.id: str(error) for cell in cells}


def _refused(
    cells: Sequence[Cell], endpoint: Endpoint | None, cpus: Sequence[int]
) -> dict[str, str]:
    """Of cells that open alike the largest is tried, and all of them only if it was refused.

    Closing a packet socket waits for an RCU grace period: tens of milliseconds each.
    """
    refused: dict[str, str] = {}
    for alike in _opening_alike(cells):
        if _refusal(max(alike, key=lambda cell: memory_of(cell).bytes), endpoint, cpus):
            tried = {cell.id: _refusal(cell, endpoint, cpus) for cell in alike}
            refused |= {cell: reason for cell, reason in tried.items() if reason}
    return refused


def _opening_alike(cells: Sequence[Cell]) -> list[list[Cell]]:
    axes = axes_of(core.methods())
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        asked = {axis: v for axis, v in cell.values.items() if axes[axis].at_opening}
        groups.setdefault(key_of(asked), []).append(cell)
    return list(groups.values())


def _refusal(cell: Cell, endpoint: Endpoint | None, cpus: Sequence[int]) -> str:
    """Why a cell cannot be opened in the present namespace, or ""."""
    if reason := table.probe(cell.engine):
        return f"method {cell.method}: {reason}"
    if cell.engine == EXEC:  # it is not started to find out
        return why_missing(cell)
    try:
        OpenCell(cell.values, endpoint, cpus[: cell.threads]).close()
    except BenchError as error:
        return str(error)
    return ""
