"""What a worker is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.engines.core import SlicePlan
from bench.model.cells import Cell
from bench.model.parties import Party
from bench.model.shaper import Shaper
from bench.topology import Topology

# What is asked and answered


@dataclass(frozen=True, slots=True)
class Setup:
    """First message: the topologies (their namespaces' descriptors are inherited) and the plan.

    ``core_hash`` is that of the run's header; ``checkout`` has the core, where that is not this
    bench's. Answer: None.
    """

    topologies: tuple[Topology, ...]
    slice_plan: SlicePlan
    core_hash: str
    checkout: str = ""
    shapers: Mapping[str, Shaper] = field(default_factory=dict)
    """What holds back the frames of a cell, by its id."""


@dataclass(frozen=True, slots=True)
class Open:
    """Open a cell's sender, and unless it was done before, check its frames. Answer: facts as a
    dict."""

    cell: Cell
    sender: Party
    topology: int | None
    check: bool


@dataclass(frozen=True, slots=True)
class Close:
    """Close a cell. Answer: None."""

    cell: str


@dataclass(frozen=True, slots=True)
class RunSlice:
    """Run one slice of an open cell. Answer: Sample."""

    cell: str
    round: int


@dataclass(frozen=True, slots=True)
class Failure:
    """The answer where what was asked for, not the worker, failed.

    What ``ends_run`` is no failure of a cell: none would fare better until somebody mends it.
    """

    reason: str
    ends_run: bool = False
