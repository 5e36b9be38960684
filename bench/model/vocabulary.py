"""What a matrix may name: methods with their knobs, interface kinds, qdiscs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.base.values import Value
from bench.model.axes import Bound

# What there is to choose from


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """A transmit method as the core describes it.

    ``knobs`` names the axes it reads; ``max_burst`` is the most frames that one of its system
    calls takes (0: no limit of its own). ``path`` is its way through the kernel.
    """

    name: str
    help: str
    path: str
    knobs: frozenset[str]
    max_burst: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """What cannot work, with what is allowed; ``axis`` is the one to change."""

    axis: str
    text: str


DEVICE = "device"
"""The interface kind that is no interface of ours: a real one, named by its option ``name``."""


@dataclass(frozen=True, slots=True)
class KindInfo:
    """An interface kind or a qdisc as a matrix may name it.

    ``options`` is a pydantic model class whose fields are the options of the kind, each with
    its default. ``takes_qdisc`` is False for a kind on which a qdisc means nothing (lo),
    ``keeps_qdisc`` True for one that has its own where the matrix does not name the axis.
    ``is_borrowed`` is True for one that is not made but there already: its option ``name`` says
    which real interface, and nothing is sent on it that the command line does not allow.
    """

    name: str
    help: str
    options: type[Any]
    takes_qdisc: bool = True
    keeps_qdisc: bool = False
    is_borrowed: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What the core takes (csrc/api.h); sizes in bytes."""

    max_threads: int
    max_flows: int
    min_frame: int
    """An Ethernet header."""
    max_frame: int

    def of(self, bound: Bound) -> int:
        """The number that a bound of an axis means."""
        return bound if isinstance(bound, int) else int(getattr(self, bound))


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """All that a matrix may name, gathered from the core and from the topology tables.

    Equal only to itself: its models are made once (matrix_schema.py).
    """

    methods: Mapping[str, MethodInfo]
    interfaces: Mapping[str, KindInfo]
    qdiscs: Mapping[str, KindInfo]
    limits: Limits
    check: Callable[[Mapping[str, Value | None], int], Sequence[Problem]]
    """What a cell's engine refuses: of values and the kernel's page size in bytes."""
    largest_frame: Callable[[Value], int | None] = lambda _qdisc: None
    """The longest frame in bytes that a qdisc ever lets pass; None where it has no limit."""
    page_size: int = 4096
    """Bytes of a page of the kernel: a ring's blocks are whole pages."""

    def unread(self, method: str) -> frozenset[str]:
        """The axes that a method does not read, while others do.

        One that none reads, as ``replica``, is no method's business: every cell has it.
        """
        read = (other.knobs for other in self.methods.values())
        return frozenset().union(*read) - self.methods[method].knobs
