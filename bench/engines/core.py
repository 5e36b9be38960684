"""What the core offers, and its cells, open."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.base.values import Value
from bench.engines.build import recipe
from bench.engines.config import config_of
from bench.engines.library import fail, library, text_of
from bench.engines.options import options_of
from bench.model.samples import ThreadSample
from bench.model.vocabulary import Limits, MethodInfo


def build_environment() -> dict[str, str]:
    """The variables of the environment that this core is built with; a core has their hash."""
    building = recipe()
    names: Sequence[str] = building.ENVIRONMENT if building else ()
    return {name: os.environ[name] for name in names if name in os.environ}


# What the core offers


@dataclass(frozen=True, slots=True)
class CoreInfo:
    """The SHA-256 of the sources, and the compiler with its flags."""

    hash: str
    compiler: str


def info() -> CoreInfo:
    lib = library().lib
    return CoreInfo(text_of(lib.core_hash()), text_of(lib.core_compiler()))


def _knob_bits() -> dict[str, int]:
    lib = library().lib
    rows = [lib.core_knob(i) for i in range(lib.core_knob_count())]
    return {text_of(row.name): int(row.bits) for row in rows}


def methods() -> dict[str, MethodInfo]:
    """Every transmit method by name, in the order of the core's table.

    Raises BenchError where an engine declares an option that makes no sense.
    """
    lib = library().lib
    rows = [lib.core_method(i) for i in range(lib.core_method_count())]
    return {text_of(row.name): _method(row, index) for index, row in enumerate(rows)}


def _method(row: Any, index: int) -> MethodInfo:
    name = text_of(row.name)
    options = options_of(name)
    read = (knob for knob, bit in _knob_bits().items() if row.knobs & bit)
    return MethodInfo(
        name=name,
        help=text_of(row.help),
        path=text_of(row.path),
        knobs=frozenset([*read, *(option.name for option in options)]),
        max_burst=int(row.max_burst),
        options=options,
        sends_xdp=bool(row.sends_xdp),
        untold=bool(row.untold),
        alone=bool(row.alone),
        by_route=bool(row.by_route),
        longest=library().lib.core_method_longest(index, os.sysconf("SC_PAGE_SIZE")),
    )


def probe(method: str) -> str:
    """Why this kernel (or this user) cannot use a method; "" if it can."""
    core = library()
    error = core.ffi.new("struct core_error *")
    index = list(methods()).index(method)
    return text_of(error.text) if core.lib.core_method_probe(index, error) else ""


def limits() -> Limits:
    lib = library().lib
    return Limits(
        max_threads=lib.CORE_MAX_THREADS,
        max_flows=lib.CORE_MAX_FLOWS,
        min_frame=lib.CORE_MIN_FRAME,
        max_frame=lib.CORE_MAX_FRAME,
    )


# Cells


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a cell sends: interface index and the frames' addresses (6 bytes each)."""

    ifindex: int
    dst: bytes
    src: bytes


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """Nanoseconds of warm-up and window, and the longest wait for the last frames.

    ``shaper_rate`` (bytes per second) and ``shaper_burst`` (bytes) are of the token buckets on the
    way, all together; 0: there are none.
    """

    window_ns: int
    warmup_ns: int
    drain_ns: int
    shaper_rate: int = 0
    shaper_burst: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What was really set up, read back from the kernel; sizes in bytes."""

    sndbuf: int
    mmap_unlocked: bool
    zero_copy: bool
    ring_frames: int
    memory: int


@dataclass(frozen=True)
class Slice:
    """What the core measured in one slice; ``slice_*`` include warm-up and drain. ``sampled`` makes
    ``threads``, for which a slice that follows need not wait."""

    wall_ns: int
    sampled: Callable[[], tuple[ThreadSample, ...]]
    slice_completed: int
    slice_submitted: int
    slice_refused: int
    """Frames that the sender knows were dropped: ENOBUFS, also where a short count hides it."""
    undrained: bool
    """The kernel still owned frames at a deadline."""

    @functools.cached_property
    def threads(self) -> tuple[ThreadSample, ...]:
        return self.sampled()


class OpenCell:
    """A cell's sockets, rings and buffers, opened in the calling thread's network namespace.

    Raises CoreError when something cannot be set up. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        values: Mapping[str, Value | None],
        endpoint: Endpoint | None,
        cpus: Sequence[int],
    ) -> None:
        core = library()
        self._ffi, self._lib = core.ffi, core.lib
        self._error = self._ffi.new("struct core_error *")
        self._slice: Any = None
        self._plan = self._ffi.new("struct tx_slice_plan *")
        config = config_of(values)
        if endpoint:
            config.ifindex, config.dst, config.src = endpoint.ifindex, endpoint.dst, endpoint.src
        pinned_to = [] if values.get("affinity") == "free" else cpus
        config.cpus = [*pinned_to, *[-1] * (self._lib.CORE_MAX_THREADS - len(pinned_to))]
        self._cell = self._lib.tx_cell_open(config, self._error)
        if not self._cell:
            fail(self._error)

    def facts(self) -> Facts:
        facts = self._ffi.new("struct tx_facts *")
        self._lib.tx_cell_facts(self._cell, facts)
        return Facts(
            sndbuf=facts.sndbuf,
            mmap_unlocked=bool(facts.mmap_unlocked),
            zero_copy=bool(facts.zero_copy),
            ring_frames=facts.ring_frames,
            memory=facts.memory,
        )

    def run_slice(self, plan: SlicePlan, first: Callable[[], object] = lambda: None) -> Slice:
        """Run one slice: ``begin`` it and ``end`` it. Raises CoreError when a send fails."""
        self.begin(plan, first)
        return self.end()

    def begin(self, plan: SlicePlan, first: Callable[[], object] = lambda: None) -> None:
        """Let the threads of a slice warm up and send, until ``end`` ends their window: whoever has
        something else to do meanwhile keeps them waiting for no longer than the window lasts.

        ``first`` is called before anything is sent, while the threads get ready.
        """
        self._slice = self._ffi.new("struct tx_slice *")  # the last one may not be read yet
        for name in _known("struct tx_slice_plan"):
            setattr(self._plan, name, getattr(plan, name))
        self._lib.tx_cell_ready(self._cell)
        try:
            first()
        except BaseException:
            self._lib.tx_cell_unready(self._cell)
            raise
        self._lib.tx_cell_go(self._cell, self._plan, self._slice)

    def end(self) -> Slice:
        """What the slice measured that has begun. Raises CoreError when a send failed."""
        if self._lib.tx_cell_slice(self._cell, self._plan, self._slice, self._error) < 0:
            fail(self._error)
        raw = self._slice
        threads = [raw.thread[i] for i in range(raw.threads)]
        return Slice(
            wall_ns=raw.wall_ns,
            sampled=lambda: tuple(_thread_sample(raw.thread[i]) for i in range(raw.threads)),
            slice_completed=sum(thread.slice.completed for thread in threads),
            slice_submitted=sum(thread.slice.submitted for thread in threads),
            slice_refused=sum(thread.slice.refused for thread in threads),
            undrained=any(thread.undrained for thread in threads),
        )

    def burst(self, thread: int, deadline_ns: int) -> int:
        """Send one burst of one thread and drain it: frames completed. Raises CoreError."""
        sent = self._lib.tx_cell_burst(self._cell, thread, deadline_ns, self._error)
        if sent < 0:
            fail(self._error)
        return int(sent)

    def close(self) -> None:
        if self._cell:
            self._lib.tx_cell_close(self._cell)
            self._cell = None

    def __enter__(self) -> OpenCell:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _thread_sample(raw: Any) -> ThreadSample:
    """Fields of the same name are the same."""
    wall_ns = raw.close_ns - raw.open_ns
    # A thread that never slept was never blocked: what it did not get, others had (or steal).
    blocked_ns = wall_ns - raw.cpu_ns - raw.run_delay_ns if raw.voluntary else 0
    return ThreadSample(
        wall_ns=wall_ns,
        blocked_ns=max(0, blocked_ns),
        **{name: getattr(raw, name) for name in _alike("struct tx_thread_sample")},
        **{name: getattr(raw.window, name) for name in _alike("struct tx_counts")},
    )


@functools.cache
def _known(struct: str) -> tuple[str, ...]:
    """The fields of a struct of the core."""
    return tuple(name for name, _ in library().ffi.typeof(struct).fields)


@functools.cache
def _alike(struct: str) -> tuple[str, ...]:
    """The fields of a struct of the core that a ThreadSample has under the same name."""
    ours = {field.name for field in dataclasses.fields(ThreadSample)}
    return tuple(name for name in _known(struct) if name in ours)
