"""One cell at a time in this process: opened, its frames checked, a slice of it accounted for.

A worker takes half a minute to start under emulation; what an engine does needs none.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager

from bench.base.values import Value
from bench.engines import core
from bench.measure.accounting import account, delivery_of
from bench.measure.counters import CounterReader, settle
from bench.measure.frame_check import FrameCheck
from bench.measure.prepare import vocabulary
from bench.model.axes import defaults
from bench.model.cells import Cell
from bench.topology import Topology, entered
from bench.topology.kinds import up

CPUS = sorted(os.sched_getaffinity(0))
DEADLINE_NS = 10_000_000_000
PLAN = core.SlicePlan(window_ns=5_000_000, warmup_ns=0, drain_ns=DEADLINE_NS)


def values_of(**axes: Value) -> dict[str, Value | None]:
    """All axes at their defaults but for ``axes``; those that the method does not read at None."""
    known = vocabulary()
    values = defaults(known.axes) | {"frame_size": 64, "threads": 1} | axes
    unread = known.unread(str(axes["method"]))
    return {axis: None if axis in unread else value for axis, value in values.items()}


@contextmanager
def opened(topology: Topology, **axes: Value) -> Iterator[core.OpenCell]:
    endpoint = core.Endpoint(topology.tx.ifindex, topology.dst_mac, topology.src_mac)
    with entered(topology.tx.netns_fd):
        cell = core.OpenCell(values_of(**axes), endpoint, CPUS)
    with cell:
        yield cell


def check_on(topology: Topology, **axes: Value) -> core.Slice:
    """The frames of a cell are those that were meant, and those of a slice all arrive."""
    values = values_of(**axes)
    with opened(topology, **axes) as cell, CounterReader(topology) as reader:
        with closing(FrameCheck(topology)) as checking:
            checking.check(Cell("c", values), cell)
        before = reader.read()
        measured = cell.run_slice(PLAN)
        judge = functools.partial(
            account,
            delivery=delivery_of(Cell("c", values), topology.delivery),
            frame_size=int(values["frame_size"]),  # type: ignore[arg-type]
            completed=measured.slice_completed,
            refused=measured.slice_refused,
        )
        found, _ = settle(reader, before, judge, topology.delivery.late_s)
    assert not found.problem, found.problem
    assert not measured.undrained
    assert measured.slice_completed > 0
    return measured


def check(interface: Value, **axes: Value) -> core.Slice:
    frame_size = axes.get("frame_size", 64)
    assert isinstance(frame_size, int)
    with up(interface, mtu=frame_size) as topology:
        return check_on(topology, **axes)
