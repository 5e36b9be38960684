"""The seam to whatever measures: a session knows an opening by this, and nothing behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.base.errors import BenchError
from bench.engines.core import SlicePlan
from bench.measure.messages import Failure
from bench.model.cells import Cell
from bench.model.samples import Sample
from bench.plan.plan import TopologySpec
from bench.system import host
from bench.topology.link import Allowed

Turn = tuple[str, int]
"""A slice that is to be run: its cell and its round."""


Facts = Mapping[str, Any]
"""What an open cell really has: sizes, flags, CPUs."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all openings of a run have in common; descriptions alone, which another host could be
    sent.

    ``topology_of`` maps a cell's id to an index of ``topologies``; a cell without an interface has
    none. Thread i of a cell runs on ``cpus[i]``, or anywhere on them. An opening whose core has
    another hash than ``core_hash`` measures nothing. ``checkout`` is the folder that has its core,
    where that is not this bench's. ``sysctls`` are set in each namespace. Cells that are open may
    have ``memory_share`` of the memory that is available.
    """

    topologies: tuple[TopologySpec, ...]
    topology_of: Mapping[str, int]
    cpus: tuple[int, ...]
    slice_plan: SlicePlan
    core_hash: str
    allowed: Allowed
    checkout: str = ""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    memory_share: float = host.MEMORY_SHARE


class Opening(Protocol):
    """One life of cells' sockets, rings and memory.

    ``open`` comes first. ``close`` comes last, whatever became of the rest. Nobody asks again for a
    cell that failed.
    """

    def open(self) -> Mapping[str, BenchError]:
        """Set up what the cells need; those that have nothing to run on, and why.

        Raises NotAllowed for a device that must not be used.
        """

    def open_cell(self, cell: str) -> Facts | Failure:
        """Open a cell for the first time, and check its frames.

        Raises BenchError if no other cell would fare better.
        """

    def run_slice(
        self, cell: str, round_: int, upcoming: Sequence[str], then: Turn | None = None
    ) -> Sample | Failure:
        """One slice of a cell that was opened; ``upcoming`` are the cells of the slices to come.

        ``then`` will most likely be asked next, and may begin at once.
        """

    def close(self) -> None:
        """Undo everything."""


MakeOpening = Callable[[Setting, Sequence[Cell]], Opening]
