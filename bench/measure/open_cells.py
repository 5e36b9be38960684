"""The cells that a worker has open, and their slices.

A slice takes three steps: it begins, it ends, and it is told. The next one may begin between the
last two.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from threading import Thread
from typing import TypeVar

from bench.base.errors import BenchError, CoreError, CpuTaken
from bench.engines.config import segments_of
from bench.engines.core import Endpoint, OpenCell, Slice, SlicePlan
from bench.measure import program_check
from bench.measure.accounting import (
    Accounting,
    Counters,
    account,
    adds_up,
    delivery_of,
    delta,
)
from bench.measure.counters import CounterReader, settle
from bench.measure.frame_check import FrameCheck
from bench.measure.messages import Open, Opened, RunSlice, Sliced
from bench.measure.moments import Moment, Moments, cpus_did, softirqs_ran
from bench.measure.program import OpenProgram
from bench.model.cells import Cell
from bench.model.parties import Party
from bench.model.problems import Code, Problem
from bench.model.programs import EXEC
from bench.model.samples import Sample
from bench.model.shaper import Shaper
from bench.system.cpus import granted
from bench.system.procfs import cpu_words
from bench.topology import Delivery, Topology, entered

CLOSED_AT_A_TIME = 32


Sender = TypeVar("Sender", OpenCell, OpenProgram)


@dataclass(frozen=True, slots=True)
class _Open:
    """A cell whose sender is open; without an interface it has no topology (an index)."""

    cell: Cell
    sender: Party
    topology: int | None
    delivery: Delivery | None
    segments: int
    shaper: Shaper | None
    slice_plan: SlicePlan
    opened: OpenCell | OpenProgram


@dataclass(frozen=True, slots=True)
class Begun:
    """A slice whose senders send, what was counted before they did, and the moment of that."""

    request: RunSlice
    of: _Open
    at_ns: int
    before: Counters | None
    since: Moment

    @property
    def window_ms(self) -> int:
        return self.of.slice_plan.window_ns // 1_000_000


@dataclass(frozen=True, slots=True)
class Ended:
    """A slice whose frames had left at a time (CLOCK_MONOTONIC); ``account`` says what became of
    them."""

    begun: Begun
    measured: Slice
    at_ns: int
    account: Callable[[], Accounting]


class OpenCells:
    """The open cells of this process and the counters of their topologies."""

    def __init__(
        self, topologies: Sequence[Topology], slice_plan: SlicePlan, stack: ExitStack
    ) -> None:
        self._topologies, self._slice_plan = topologies, slice_plan
        self._aside = os.sched_getaffinity(0)
        self._moments = Moments(stack)
        self._readers = [stack.enter_context(CounterReader(t)) for t in topologies]
        self._checks = [FrameCheck(topology) for topology in topologies]
        self._pending = [0] * len(self._readers)  # frames handed over that have not arrived
        self._open: dict[str, _Open] = {}

    def open_cell(self, request: Open) -> Opened:
        cell, held, cpus = request.cell, request.shaper, request.sender.cpus
        with self._holding(cpus):
            opened = self._opened(request)
        plan = self._slice_plan
        if held:
            plan = replace(plan, shaper_rate=held.rate // 8, shaper_burst=held.burst)
        place, delivery, segments = request.topology, None, 1
        if place is not None:
            delivery = delivery_of(cell, self._topologies[place].delivery)
            segments = segments_of(cell.values)
        self._open[cell.id] = _Open(
            cell, request.sender, place, delivery, segments, held, plan, opened
        )
        return Opened(dataclasses.asdict(opened.facts()) | {"cpus": list(cpus)})

    def _opened(self, request: Open) -> OpenCell | OpenProgram:
        cell, cpus, place = request.cell, request.sender.cpus, request.topology
        if place is None:
            return OpenCell(cell.values, None, cpus)
        topology = self._topologies[place]
        if request.sender.engine == EXEC:
            reader = self._readers[place]
            program = OpenProgram(cell, topology, cpus, reader)
            compare = functools.partial(program_check.check, cell, topology, reader)
            return _checked(program, compare, request.check)
        endpoint = Endpoint(topology.tx.ifindex, topology.dst_mac, topology.src_mac)
        with entered(topology.tx.netns_fd):
            opened = OpenCell(cell.values, endpoint, cpus)
        check = functools.partial(self._checks[place].check, cell)
        return _checked(opened, check, request.check)

    def close_cell(self, cell: str) -> None:
        self._open.pop(cell).opened.close()

    def close_all(self) -> None:
        """Many at a time: each packet socket's close waits for an RCU grace period of its own
        (net/packet/af_packet.c, ``packet_release``), some 15 ms; at a process' end, too."""
        left = [of.opened for of in self._open.values()]
        self._open.clear()

        def close_some() -> None:
            with suppress(IndexError):  # another thread had the last one
                while left:
                    left.pop().close()

        threads = [Thread(target=close_some) for _ in left[1:CLOSED_AT_A_TIME]]
        with suppress(RuntimeError):  # no more threads (ulimit -u): those that there are close all
            for thread in threads:
                thread.start()
        close_some()
        for thread in threads:
            if thread.ident is not None:
                thread.join()

    @contextmanager
    def _holding(self, cpus: Sequence[int]) -> Iterator[None]:
        """What fails because a CPU was taken away (cpuset, hotplug) raises CpuTaken."""
        try:
            yield
        except (CoreError, OSError):
            self._check_held(cpus)
            raise

    def _check_held(self, cpus: Sequence[int]) -> None:
        wanted = {*cpus, *self._aside}
        if gone := sorted(wanted - granted(wanted)):
            raise CpuTaken(
                f"{cpu_words(gone)}: taken away in mid-run (cpuset or hotplug); give back what "
                "the run began with, and go on with --resume"
            )

    def begin(self, request: RunSlice, behind: Ended | None = None) -> Begun:
        """``behind`` is the slice that has just ended, where this one was asked for before it did:
        no sender of this one has the CPU that asks, and counters that were read then are not read
        again."""
        of = self._open[request.cell]
        for check in self._checks:
            check.close()
        at_ns = time.time_ns()
        before: list[Counters | None] = []
        since: list[Moment] = []

        def first() -> None:
            before.append(self._before(of, behind))
            if behind is None:  # a sender may have the CPU that this thread is on, once it goes
                since.append(self._since(of, time.monotonic_ns()))

        with self._holding(of.sender.cpus), self._where_it_starts(of):
            of.opened.begin(of.slice_plan, first)
        if behind:
            since.append(self._since(of, behind.at_ns))
        return Begun(request, of, at_ns, before[0], since[0])

    def _before(self, of: _Open, behind: Ended | None) -> Counters | None:
        if of.topology is None:
            return None
        reader = self._readers[of.topology]
        is_next = behind and behind.begun.of.topology == of.topology
        return reader.last if is_next else reader.read()

    def _since(self, of: _Open, at_ns: int) -> Moment:
        """Carriers that were lost until now were not lost in the slice."""
        if of.topology is not None:
            with suppress(BenchError, OSError):  # where they cannot be read the slice's end tells
                self._readers[of.topology].carrier_lost()
        return self._moments.read(at_ns)

    @contextmanager
    def _where_it_starts(self, of: _Open) -> Iterator[None]:
        """Threads that are not pinned run where the one may that starts them: this one."""
        if not _is_free(of.cell):
            yield
            return
        os.sched_setaffinity(0, of.sender.cpus)
        try:
            yield
        finally:
            os.sched_setaffinity(0, self._aside)

    def end(self, begun: Begun) -> Ended:
        of = begun.of
        with self._holding(of.sender.cpus):
            measured = of.opened.end()
            return Ended(begun, measured, time.monotonic_ns(), self._settled(begun, measured))

    def told(self, ended: Ended, following: Begun | None = None) -> Sliced:
        """What takes time, and needs none of the kernel's counters. ``following`` is the slice that
        has begun since: one ends for the CPUs where the other begins."""
        until = following.since if following else self._moments.read(ended.at_ns)
        of = ended.begun.of
        accounting = ended.account()
        if of.shaper:
            completed = sum(thread.completed for thread in ended.measured.threads)
            most = int(of.shaper.most_frames(ended.measured.wall_ns, of.cell.frame_size))
            accounting = accounting.at_most(most, completed)
        sample = _sample(ended, until, accounting)
        if Problem(Code.NOT_PINNED) in sample.problems:
            self._check_held(of.sender.cpus)
        return Sliced(sample)

    def _settled(self, begun: Begun, measured: Slice) -> Callable[[], Accounting]:
        """What became of the frames, once no counter of the slice changes any more."""
        of, before = begun.of, begun.before
        topology, delivery, frame_size = of.topology, of.delivery, of.cell.frame_size
        completed = measured.slice_completed
        if topology is None or delivery is None or before is None:
            return lambda: Accounting.of_sender(completed)
        reader, pending = self._readers[topology], self._pending[topology]
        judge = functools.partial(
            account,
            delivery=delivery,
            frame_size=frame_size,
            completed=completed,
            refused=measured.slice_refused,
            pending=pending + measured.slice_submitted - completed,
            segments=of.segments,
        )
        now = reader.read()
        if adds_up(before, now, delivery, frame_size, completed):
            self._pending[topology] = max(0, pending + measured.slice_submitted - completed)
            return lambda: judge(delta(before, now))
        accounting, change = settle(reader, before, judge, delivery.late_s)
        is_short = bool(accounting.problem or accounting.lost)
        carrier_lost = reader.carrier_lost() if is_short else ""
        if carrier_lost:
            accounting = judge(change, carrier_lost=carrier_lost)
        left = measured.slice_submitted - accounting.delivered - accounting.lost
        self._pending[topology] = max(0, pending + left)
        return lambda: accounting


def _checked(opened: Sender, check: Callable[[Sender], object], is_wanted: bool) -> Sender:
    """A sender whose frames are right; it is closed if they are not."""
    try:
        if is_wanted:
            check(opened)
    except BaseException:
        opened.close()
        raise
    return opened


def _is_free(cell: Cell) -> bool:
    return cell.values["affinity"] == "free"


def _sample(ended: Ended, until: Moment, accounting: Accounting) -> Sample:
    begun, measured = ended.begun, ended.measured
    did = cpus_did(begun.since, until, begun.of.sender.cpus)
    softirqs = softirqs_ran(begun.since, until)
    is_moved = not _is_free(begun.of.cell) and any(thread.moved for thread in measured.threads)
    problems = [
        *([Problem(Code.NOT_PINNED)] if is_moved else []),
        *([Problem(Code.NOT_DRAINED)] if measured.undrained else []),
        *accounting.problems,
    ]
    return Sample(
        cell=begun.request.cell,
        round=begun.request.round,
        at_ns=begun.at_ns,
        wall_ns=measured.wall_ns,
        threads=measured.threads,
        slice_completed=measured.slice_completed,
        delivered=accounting.delivered,
        lost=accounting.lost,
        slice_refused=measured.slice_refused,
        qdisc_drops=accounting.qdisc_drops,
        device_drops=accounting.device_drops,
        softnet_drops=accounting.softnet_drops,
        foreign=accounting.foreign,
        softirq_tx=softirqs.net_tx,
        softirq_rx=softirqs.net_rx,
        cpus_ns=did.total_ns,
        steal_ns=did.steal_ns,
        softirq_ns=did.softirq_ns,
        interrupts=did.interrupts,
        problems=tuple(problems),
        carrier_lost=accounting.carrier_lost,
        per_sink=accounting.per_sink,
    )
