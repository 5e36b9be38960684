"""What the other modules pass to each other: plain frozen values, no behaviour beyond naming.

Axis values are *canonical*: ``str``, ``int``, ``bool`` or a ``dict`` of those with every
option spelled out, so that two spellings of one value are equal, hash alike in a cell's id and
can be written as JSON. ``None`` stands for an axis that is no knob of the cell's method.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Value = str | int | bool | dict[str, Any]
"""A canonical axis value; see the module's docstring."""

LARGEST_INTEGER = 2**63 - 1
"""That a run file has: one of any length may be too large for a float."""

AXES = (
    "interface",
    "qdisc",
    "method",
    "frame_size",
    "threads",
    "affinity",
    "socket",
    "burst",
    "fill",
    "ring",
    "ring_wait",
    "sndbuf",
    "msg_dontwait",
    "qdisc_bypass",
    "packet_loss",
    "mmap_locked",
    "vnet_hdr",
    "flows",
    "replica",
)
"""Every axis, in the order in which tables show them. ``replica`` is no knob: it opens the same
cell several times, so that a run shows what its own noise makes of A against A."""

DEFAULTS: Mapping[str, Value] = {
    "interface": {"kind": "lo"},
    "qdisc": {"kind": "noqueue"},
    "method": "sendto",
    "frame_size": 64,
    "threads": 1,
    "affinity": "pinned",
    "socket": "own",
    "burst": 64,
    "fill": "prefilled",
    "ring": {"version": 2, "block_size": 4096, "block_nr": 256, "frame_size": 2048},
    "ring_wait": "block",
    "sndbuf": "default",
    "msg_dontwait": False,
    "qdisc_bypass": False,
    "packet_loss": False,
    "mmap_locked": False,
    "vnet_hdr": False,
    "flows": 1,
    "replica": 1,
}
"""What an axis is where a matrix does not name it, on a kernel with pages of 4 KiB. Ids leave out
axes at their default, so a knob that a later version adds does not rename the cells of today."""


def ring_of_slots(version: int, slots: int, frame_size: int, page_size: int) -> dict[str, Any]:
    """A ring of at least so many slots: in the smallest blocks, whole pages that slots fill.

    So on kernels with other pages it has as many bytes and slots, but for the rest of its last
    block. What it is there is what its cell's id is made of: blocks and slots, in bytes.
    """
    block_size = math.lcm(page_size, frame_size)
    block_nr = -(-slots * frame_size // block_size)
    return {
        "version": version,
        "block_size": block_size,
        "block_nr": block_nr,
        "frame_size": frame_size,
    }


def defaults(page_size: int) -> Mapping[str, Value]:
    """DEFAULTS where pages have another size: the same, but for the blocks of the ring."""
    return {**DEFAULTS, "ring": ring_of_slots(2, 512, 2048, page_size)}


# What there is to choose from


@dataclass(frozen=True, slots=True)
class KnobInfo:
    """An option that methods read; ``name`` is the axis that sets it."""

    name: str
    help: str


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


DEVICE = "device"
"""The interface kind that is no interface of ours: a real one, named by its option ``name``."""


@dataclass(frozen=True, slots=True)
class KindInfo:
    """An interface kind or a qdisc as a matrix may name it.

    ``options`` is a pydantic model class whose fields are the options of the kind, each with
    its default. ``takes_qdisc`` is False for a kind on which a qdisc means nothing (lo),
    ``keeps_qdisc`` True for one that has its own where the matrix does not name the axis.
    """

    name: str
    help: str
    options: type[Any]
    takes_qdisc: bool = True
    keeps_qdisc: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What the core and the kernel's rings take (csrc/api.h); sizes in bytes."""

    max_threads: int
    max_flows: int
    min_frame: int
    """An Ethernet header."""
    max_frame: int
    min_flow_frame: int
    """Of several flows: Ethernet, IPv4, UDP and the frame's number."""
    vnet_hdr: int
    """struct virtio_net_hdr, before the frame in a ring slot with vnet_hdr."""
    ring_alignment: int
    """Ring slots are multiples of it."""
    ring_slot_rest: int
    """struct sockaddr_ll, which the kernel wants room for after a ring slot's header."""


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """All that a matrix may name, gathered from the core and from the topology tables.

    Equal only to itself: its models are made once (matrix_schema.py).
    """

    methods: Mapping[str, MethodInfo]
    interfaces: Mapping[str, KindInfo]
    qdiscs: Mapping[str, KindInfo]
    limits: Limits
    ring_data_offset: Callable[[int], int]
    """Bytes from the start of a ring slot to the frame, for a TPACKET version (1, 2, 3)."""
    largest_frame: Callable[[Value], int | None] = lambda _qdisc: None
    """The longest frame in bytes that a qdisc ever lets pass; None where it has no limit."""
    page_size: int = 4096
    """Bytes of a page of the kernel: a ring's blocks are whole pages."""


# The matrix


@dataclass(frozen=True, slots=True)
class Rounds:
    min: int = 40
    max: int = 400


@dataclass(frozen=True, slots=True)
class Measure:
    """How long and how often; the defaults are those of the matrix file."""

    window_ns: int = 10_000_000
    rounds: Rounds = field(default_factory=Rounds)
    precision: float = 0.01
    """Half-width of the 95 % interval of the ratio to the baseline, as a fraction."""
    seed: int = 1
    cpus: tuple[int, ...] | None = None
    """CPU numbers, thread i on ``cpus[i]``; None is ``auto``: all that may be used."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a matrix file; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Matrix:
    """A matrix file after validation.

    ``axes`` has only the axes that the file names, each with its canonical values in order.
    ``zip`` lists groups of axes that advance together. ``exclude`` rules map an axis to the
    values any of which matches; ``include`` rows map an axis to one value. ``thresholds`` are such
    rules with the minimum effect (a fraction) of the cells that they match. ``marks`` maps a
    path into the file (``("axes", "frame_size", 1)``, ``("exclude", 0, "method")``) to its
    place, for the errors of later checks.
    """

    file: str
    text: str
    name: str
    description: str
    axes: Mapping[str, tuple[Value, ...]]
    zip: tuple[tuple[str, ...], ...]
    exclude: tuple[Mapping[str, tuple[Value, ...]], ...]
    include: tuple[Mapping[str, Value], ...]
    measure: Measure
    baseline: Mapping[str, Value] | None
    marks: Mapping[tuple[str | int, ...], Mark] = field(repr=False)
    thresholds: tuple[tuple[Mapping[str, tuple[Value, ...]], float], ...] = ()

    def mark(self, *path: str | int) -> Mark:
        """The place of a path, or of its innermost ancestor that the file has."""
        ancestors = (path[:end] for end in range(len(path), -1, -1))
        return next((self.marks[p] for p in ancestors if p in self.marks), Mark(1, 1))

    def where(self, *path: str | int) -> str:
        """``file:line:column`` of ``mark()``, to begin an error with."""
        mark = self.mark(*path)
        return f"{self.file}:{mark.line}:{mark.column}"


# What a plan asks of the machine


@dataclass(frozen=True, slots=True)
class Needs:
    """What a matrix asks of the machine; sizes in bytes.

    ``threads`` is the most that a cell has. ``memory`` is that of all cells side by side,
    ``largest`` of the largest one. ``locked`` is the largest ring that is to be locked,
    ``sndbuf`` the largest send buffer that is asked for without force. ``devices`` are the real
    interfaces that it names.
    """

    threads: int
    memory: int
    largest: int
    locked: int
    sndbuf: int
    devices: tuple[str, ...] = ()


# Cells


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination after collapsing.

    ``values`` has every axis of AXES; None where the method does not read it.
    """

    id: str
    values: Mapping[str, Value | None]

    @property
    def method(self) -> str:
        return str(self.values["method"])

    @property
    def threads(self) -> int:
        return int(self.values["threads"])  # type: ignore[arg-type]

    @property
    def frame_size(self) -> int:
        """Bytes from destination MAC to end of payload, without FCS."""
        return int(self.values["frame_size"])  # type: ignore[arg-type]


def cell_id(values: Mapping[str, Value | None]) -> str:
    """The id of a cell: ten hex digits of the SHA-256 of its effective parameters.

    Axes that the method ignores (None) or that are at their default do not take part.
    """
    effective = {
        axis: value
        for axis, value in values.items()
        if value is not None and value != DEFAULTS.get(axis)
    }
    text = json.dumps(effective, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def value_text(value: Value | None) -> str:
    """An axis value as tables show it: ``-`` where the axis is no knob of the method."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, dict):
        return str(value)
    if {"version", "block_size", "block_nr", "frame_size"} <= value.keys():
        return "v{version} {block_nr}x{block_size}/{frame_size}".format(**value)
    if "bytes" in value:
        return f"{value['bytes']}{' force' if value.get('force') else ''}"
    options = [f"{k}={v}" for k, v in value.items() if k != "kind" and v is not None]
    return " ".join([str(value.get("kind", "")), *options]).strip()


# Samples


@dataclass(frozen=True, slots=True)
class ThreadSample:
    """What one sending thread counted in the window of one slice; times in nanoseconds.

    ``cpu`` is where it closed its window; ``moved`` is 1 if it opened it on another one, or was
    pinned to another one.
    """

    cpu: int
    wall_ns: int
    cpu_ns: int
    user_ns: int = 0
    system_ns: int = 0
    blocked_ns: int = 0
    run_delay_ns: int = 0
    requested: int = 0
    submitted: int = 0
    completed: int = 0
    calls: int = 0
    short_counts: int = 0
    eagain: int = 0
    enobufs: int = 0
    full_waits: int = 0
    voluntary: int = 0
    involuntary: int = 0
    wmem_high: int = 0
    moved: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What one slice measured.

    ``lost`` frames were completed and not delivered, which the drops explain.

    ``wall_ns`` is the window, from the first thread's opening edge to the last one's closing
    edge. ``slice_completed`` and ``delivered`` count the whole slice, warm-up and drain
    included: they are what must agree. The kernel's counters are deltas over the slice: of
    ``cpus_ns``, the time of the cell's CPUs, the hypervisor had ``steal_ns``, softirqs
    ``softirq_ns`` (both in ticks of 10 ms); ``interrupts`` are those of the whole machine.
    ``problem`` is empty for a valid sample, else why the sample must not be used.
    """

    cell: str
    round: int
    at_ns: int
    wall_ns: int
    threads: tuple[ThreadSample, ...]
    slice_completed: int
    delivered: int
    lost: int = 0
    slice_refused: int = 0
    qdisc_drops: int = 0
    device_drops: int = 0
    softnet_drops: int = 0
    foreign: int = 0
    softirq_tx: int = 0
    softirq_rx: int = 0
    cpus_ns: int = 0
    steal_ns: int = 0
    softirq_ns: int = 0
    interrupts: int = 0
    problem: str = ""
    carrier_lost: str = ""
    """Slaves that lost their carrier, which explains ``lost`` frames that no drop counter has."""
    per_sink: tuple[int, ...] = ()
    """Frames that each slave's peer counted in the slice, in the order of the slaves; empty where
    frames go by one way only."""

    def total(self, counter: str) -> int:
        """The sum of one of ThreadSample's counters over the threads."""
        return sum(getattr(thread, counter) for thread in self.threads)


@dataclass(frozen=True)
class Run:
    """A stored run: its header as written, and what was measured so far.

    ``failures`` maps a cell to why it has no figures (or no more of them); ``facts`` to what was
    really set up. ``calibration`` are cells that measure the machine itself. ``end`` is "" for a
    run that never said it ended (killed, or still running).
    """

    path: str
    header: Mapping[str, Any]
    cells: tuple[Cell, ...]
    baselines: Mapping[str, str]
    facts: Mapping[str, Mapping[str, Any]]
    failures: Mapping[str, str]
    samples: tuple[Sample, ...]
    end: str
    warnings: tuple[str, ...] = ()
    calibration: tuple[Cell, ...] = ()
    calibration_samples: tuple[Sample, ...] = ()


# Results


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median over rounds with its 95 % interval; ``low`` is None where there is none."""

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, relative to the value."""
        if self.low is None or self.high is None or self.value == 0:
            return None
        return (self.high - self.low) / 2 / abs(self.value)


@dataclass(frozen=True, slots=True)
class CellResult:
    """One row of the table: a cell and what its samples say.

    ``failure`` is empty for a cell that ran. ``pps`` in frames per second, ``ns_per_frame`` in
    CPU nanoseconds of the sending threads per completed frame; the ratios are to the baseline
    cell, taken within rounds (``ratio`` of pps: above 1 is faster; ``ratio_ns`` of ns/frame:
    below 1 is cheaper). ``share`` is the fraction of its CPU that the sender got while it was
    not blocked. ``slaves`` are the fractions of the delivered frames that each slave of a bond
    carried. ``is_fastest`` says that its pps is above that of every rival in the same rounds (see
    stats.py). ``disturbed`` samples were left out for what others did to the sender; in ``moved``
    ones a thread that was not pinned ended its window on another CPU than it began on. The shares
    of steal and softirq are of the time of the cell's CPUs, None in a run that did not read them.
    Counts are sums over the valid samples' windows (``interrupts``: slices; ``foreign`` frames: of
    the invalid ones too).
    """

    cell: Cell
    failure: str = ""
    is_baseline: bool = False
    is_fastest: bool = False
    rounds: int = 0
    invalid: int = 0
    invalid_reason: str = ""
    disturbed: int = 0
    moved: int = 0
    pps: Estimate | None = None
    gbps: Estimate | None = None
    ns_per_frame: Estimate | None = None
    ratio: Estimate | None = None
    ratio_ns: Estimate | None = None
    frames_per_call: float | None = None
    share: float | None = None
    user_share: float | None = None
    steal_share: float | None = None
    softirq_share: float | None = None
    interrupts: int = 0
    involuntary: int = 0
    foreign: int = 0
    completed: int = 0
    lost: int = 0
    drops: int = 0
    eagain: int = 0
    enobufs: int = 0
    full_waits: int = 0
    short_counts: int = 0
    wmem_high: int = 0
    sndbuf: int = 0
    slaves: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a table shows: what was measured, on what, and a row per cell."""

    name: str
    description: str
    run: str
    facts: tuple[tuple[str, str], ...]
    """(label, text) pairs about the machine and the run, in the order to show."""
    rows: tuple[CellResult, ...]
    baseline: Mapping[str, Value] | None
    notes: tuple[str, ...] = ()
