"""The words between a session and whoever opens its cells: plain data of these types alone.

The one asks, the other answers each request with one message (channel.py carries them). What is
read is checked against these types, and nothing that is read is ever run.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from bench.engines.core import SlicePlan
from bench.model.cells import Cell
from bench.model.parties import Party
from bench.model.samples import Sample
from bench.model.shaper import Shaper
from bench.topology import Topology

VERSION = 3
"""Of these messages: one more with each change of them. All versions have the same Hello."""


class _Message(Struct, frozen=True, tag=True, array_like=True, forbid_unknown_fields=True):
    pass


# What is asked


class Hello(_Message, frozen=True):
    """First message: ``core_hash`` is that of the run's header. Answer: Done."""

    version: int
    core_hash: str


class Descriptors(_Message, frozen=True):
    """Second message, as often as it takes: with it come these descriptors, which the topologies
    name. Answer: Done."""

    numbers: tuple[int, ...]


class Setup(_Message, frozen=True):
    """Then the topologies and the plan. Answer: Done."""

    topologies: tuple[Topology, ...]
    slice_plan: SlicePlan


class Open(_Message, frozen=True):
    """Open a cell's sender, and unless it was done before, check its frames. Answer: Opened.

    ``topology`` is an index; ``shaper`` holds back its frames.
    """

    cell: Cell
    sender: Party
    topology: int | None
    shaper: Shaper | None
    check: bool


class Close(_Message, frozen=True):
    """Close a cell. Answer: Done."""

    cell: str


class RunSlice(_Message, frozen=True):
    """Run one slice of an open cell. Answer: Sliced. Who asks for the next one before that lets it
    begin while the answer is made."""

    cell: str
    round: int


Request = Hello | Descriptors | Setup | Open | Close | RunSlice


# What is answered


class Done(_Message, frozen=True):
    pass


class Opened(_Message, frozen=True):
    """What the cell really has."""

    facts: dict[str, Any]


class Sliced(_Message, frozen=True):
    sample: Sample


class Failure(_Message, frozen=True):
    """The answer where what was asked for, not the worker, failed.

    What ``ends_run`` is no failure of a cell: none would fare better until somebody mends it.
    """

    reason: str
    ends_run: bool = False


Answer = Done | Opened | Sliced | Failure
