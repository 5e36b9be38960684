"""The axes of a matrix: one table of those that bench acts on, which engines add options to.

A row says what values an axis takes, what it is where a matrix does not name it, what it means,
and what it is to a cell (its role). All else follows: the schema of a matrix file, what collapses,
which cells compete, how rows are grouped, what an opening asks the kernel for.

An engine's own options are such rows too, which its C file declares (bench/engines/options.py): the
vocabulary has them. A stored run is read without an engine, so nothing that reads one may need an
option's row: its cells have its name and values, and every option is a means.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal

from bench.base.values import Value


class Role(Enum):
    """What an axis is to a cell. Only cells of equal place and workload compete."""

    PLACE = "place"
    """Where frames go out: groups the rows of a table."""
    WORKLOAD = "workload"
    """What is to be done."""
    MEANS = "means"
    """How it is done."""
    REPLICA = "replica"
    """The same cell again, so that a run shows what its own noise makes of A against A."""


# The types of values, as data

Bound = int | Literal["min_frame", "max_frame", "max_threads", "max_flows"]
"""A number, or the field of Limits that has it."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    low: Bound
    high: Bound


@dataclass(frozen=True, slots=True)
class OfCpus:
    """A whole number, a percentage of the CPUs that may be used (``50%``), or ``all`` of them."""

    low: Bound
    high: Bound


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes, which may be written with a unit."""

    low: Bound
    high: Bound


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some names."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the vocabulary."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind with its options, from a table of the vocabulary."""

    table: Literal["interfaces", "qdiscs"]


@dataclass(frozen=True, slots=True)
class Ring:
    """The geometry of a ring."""


@dataclass(frozen=True, slots=True)
class SendBuffer:
    """The kernel's default, or a size that may be forced."""


@dataclass(frozen=True, slots=True)
class VlanTag:
    """``none``, or the fields of an IEEE 802.1Q tag."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a whole, as a percentage; canonical is its text (``1%``)."""

    most_parts: int
    """Of a million."""


Type = Whole | OfCpus | Size | Choice | Flag | Method | Kind | Ring | SendBuffer | VlanTag | Part


# The table


@dataclass(frozen=True, slots=True)
class Axis:
    """A named dimension of a matrix.

    ``default`` is its value where a matrix does not name it, on a kernel with pages of 4 KiB. Ids
    leave out axes at their default, so an axis that a later version adds does not rename the cells
    of today. ``at_opening`` is False for one that an open cell holds in buffers and flags of its
    own: the kernel is not asked. ``after`` is empty in the table; of an engine's option it names
    the row of the table that it follows.
    """

    name: str
    type: Type
    default: Value
    help: str
    role: Role = Role.MEANS
    at_opening: bool = True
    after: str = ""


_ROWS = (
    Axis(
        "interface",
        Kind("interfaces"),
        {"kind": "lo"},
        "the interface that sends, in a network namespace of its own",
        Role.PLACE,
    ),
    Axis(
        "qdisc",
        Kind("qdiscs"),
        {"kind": "noqueue"},
        "the interface's root queueing discipline",
        Role.PLACE,
    ),
    Axis("method", Method(), "sendto", "how frames are handed to the kernel"),
    Axis(
        "frame_size",
        Size("min_frame", "max_frame"),
        64,
        "bytes from destination MAC to end of payload, without FCS",
        Role.WORKLOAD,
        at_opening=False,
    ),
    Axis(
        "threads",
        OfCpus(1, "max_threads"),
        1,
        "sending threads, each with a CPU of its own",
        Role.WORKLOAD,
    ),
    Axis(
        "affinity",
        Choice(("pinned", "free")),
        "pinned",
        "pinned: thread i to CPU i of cpus; free: the scheduler's choice among them",
        at_opening=False,
    ),
    Axis(
        "socket",
        Choice(("own", "shared")),
        "own",
        "own: a socket (and ring) per thread; shared: all threads on one",
    ),
    Axis(
        "burst",
        Whole(1, 65536),
        64,
        "frames handed over by one system call",
        at_opening=False,
    ),
    Axis(
        "fill",
        Choice(("copy", "prefilled")),
        "prefilled",
        "copy: each frame before each send; prefilled: once at the start",
        at_opening=False,
    ),
    Axis("sndbuf", SendBuffer(), "default", "SO_SNDBUF, or SO_SNDBUFFORCE with force"),
    Axis("msg_dontwait", Flag(), False, "MSG_DONTWAIT on every send", at_opening=False),
    Axis(
        "protocol",
        Choice(("none", "all")),
        "none",
        "protocol of the sending sockets: none, or all (ETH_P_ALL: they receive, too)",
    ),
    Axis("qdisc_bypass", Flag(), False, "PACKET_QDISC_BYPASS: straight to the driver"),
    Axis(
        "flows",
        Whole(1, "max_flows"),
        1,
        "UDP flows with addresses and ports of their own; 1: one flow of no protocol",
        Role.WORKLOAD,
    ),
    Axis(
        "vlan",
        VlanTag(),
        "none",
        "none, or the IEEE 802.1Q tag {id, priority}: 4 bytes of the frame",
        Role.WORKLOAD,
        at_opening=False,
    ),
    Axis(
        "malformed",
        Part(500_000),
        "0%",
        "part of a ring's slots that the kernel must refuse",
        Role.WORKLOAD,
        at_opening=False,
    ),
    Axis(
        "replica",
        Whole(1, 64),
        1,
        "the same cell opened several times: what noise makes of A against A",
        Role.REPLICA,
        at_opening=False,
    ),
)
AXES: Mapping[str, Axis] = MappingProxyType({axis.name: axis for axis in _ROWS})
"""The rows of the table by name, in the order in which tables show them."""


@functools.cache
def with_role(*roles: Role) -> tuple[str, ...]:
    """The names of the axes of the table that are one of these to a cell."""
    return tuple(axis.name for axis in _ROWS if axis.role in roles)


def role_of(axis: str) -> Role:
    """What an axis is to a cell: an engine's option is a means."""
    return AXES[axis].role if axis in AXES else Role.MEANS


# Options beside the table

LAST_MEANS = with_role(Role.MEANS)[-1]
"""What an option follows that names no other axis."""


def in_order(options: Mapping[str, str]) -> tuple[str, ...]:
    """All axes of the table, each followed by the options that name it.

    ``options`` has for each option the row of the table that it follows.
    """
    return tuple(
        name
        for row in AXES
        for name in (row, *(option for option, after in options.items() if after == row))
    )


def names_of(rows: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """All axes of the table with the options of some rows, each of which has names in order.

    An option follows the last axis of the table that some row has before it: a row need not have
    every axis.
    """
    position = {name: index for index, name in enumerate(AXES)}
    options: dict[str, int] = {}
    for row in rows:
        last = 0
        for name in row:
            last = position.get(name, last)
            if name not in position:
                options[name] = max(last, options.get(name, 0))
    table = list(AXES)
    return in_order({option: table[last] for option, last in options.items()})


# What pages make of it


def ring_of_slots(version: int, slots: int, frame_size: int, page_size: int) -> dict[str, Any]:
    """A ring of at least so many slots: in the smallest blocks, whole pages that slots fill.

    So on kernels with other pages it has as many bytes and slots, but for the rest of its last
    block. What it is there is what its cell's id is made of: blocks and slots, in bytes.
    """
    block_size = math.lcm(page_size, frame_size)
    block_nr = -(-slots * frame_size // block_size)
    joined = -(-block_nr // (page_size << 7))  # the kernel's table has so many blocks
    return {
        "version": version,
        "block_size": block_size * joined,
        "block_nr": -(-block_nr // joined),
        "frame_size": frame_size,
    }


def defaults(axes: Mapping[str, Axis], page_size: int = 4096) -> dict[str, Value]:
    """The default of each axis; a ring's blocks are those for pages of ``page_size`` bytes."""
    return {name: _default(axis, page_size) for name, axis in axes.items()}


def _default(axis: Axis, page_size: int) -> Value:
    if not isinstance(axis.type, Ring):
        return axis.default
    assert isinstance(axis.default, dict)
    version, frame_size = axis.default["version"], axis.default["frame_size"]
    slots = axis.default["block_size"] // frame_size * axis.default["block_nr"]
    return ring_of_slots(version, slots, frame_size, page_size)
