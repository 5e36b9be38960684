"""A cell that a program sends, open: its slices, which the kernel alone counts.

The program runs from the opening on, and is stopped but for its slices. In one it is continued, and
once it has been sending for a moment the window opens: two readings of the interface's counters,
and the time between. CPU time is of the whole slice, from standstill to standstill, where it is
exact: that of a process that runs is told in timer ticks. The window has its share of that by
frames, so CPU time per frame is the whole slice's.
"""

from __future__ import annotations

import os
import shutil
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import BenchError
from bench.base.stderr import say
from bench.engines.core import Slice, SlicePlan
from bench.engines.programs import CpuTime, RunningProgram
from bench.measure.accounting import delivered, delivery_of, delta
from bench.measure.counters import CounterReader, arrived
from bench.measure.frames import HEADER, expected_frame
from bench.model.cells import Cell
from bench.model.programs import filled, placeholders, program_of
from bench.model.samples import ThreadSample
from bench.topology import Topology

START_S = 10.0
"""For the first frame of a program."""
REST_S = 2.0
"""For its last frames, when it has stopped."""
WARM_S = 0.2
"""It goes on for so long after that: what it says to others first is no frame of a slice."""
SETTLE_S = 0.005
"""It sends for so long before a window opens."""
QUIET_S = 0.001
"""Counters that stand still for so long tell that nothing is sent."""
PCAP_FRAMES = 1000


@dataclass(frozen=True, slots=True)
class ProgramFacts:
    """The file that runs."""

    program: str


class OpenProgram:
    """The program of a cell, started in its topology's namespace.

    ``reader`` reads the counters of that, on which nobody else sends. Raises BenchError if the
    program cannot be started, ends, or does not send; it is ended then. Close it.
    """

    def __init__(
        self, cell: Cell, topology: Topology, cpus: Sequence[int], reader: CounterReader
    ) -> None:
        self._cell, self._cpus, self._reader = cell, cpus, reader
        self._program = program_of(cell.values["method"])
        self._delivery = delivery_of(cell, topology.delivery)
        self._window_s = 0.0
        self._values = _values(cell, topology, cpus)
        with ExitStack() as stack:
            words = [name for word in self._program.command for name in placeholders(word)]
            if "pcap" in words:
                frames = _pcap(_frame(cell, topology))
                stack.callback(os.close, frames)
                self._values["pcap"] = f"/proc/self/fd/{frames}"
            at_start = reader.arrived()
            self._running = RunningProgram(
                cell.method,
                filled(self._program.command, self._values),
                cpus,
                topology.tx.netns_fd,
                {f"BENCH_{n.upper()}": v for n, v in self._values.items() if n not in _LONG},
                [frames] if "pcap" in words else [],
            )
        try:
            self._wait_for_frames(at_start)
            time.sleep(WARM_S)
            self._spent = self._stopped()
        except BaseException:
            self.close()
            raise

    def facts(self) -> ProgramFacts:
        return ProgramFacts(str(Path(shutil.which(self._program.command[0]) or "").resolve()))

    @property
    def content(self) -> bytes:
        """How each of its frames begins; empty if it does not say."""
        values = {name: text.replace(":", "") for name, text in self._values.items()}
        return bytes.fromhex(filled([self._program.content], values)[0])

    @contextmanager
    def sending(self) -> Iterator[Callable[[], None]]:
        """It sends meanwhile; the value raises BenchError once it has ended."""
        try:
            self._running.go()
            yield self._running.check
            self._spent = self._stopped()
        except BaseException:
            self.close()
            raise

    def run_slice(self, plan: SlicePlan, first: Callable[[], object] = lambda: None) -> Slice:
        """One slice, after ``first``; it has no warm-up or drain but those that a program needs."""
        self.begin(plan, first)
        return self.end()

    def begin(self, plan: SlicePlan, first: Callable[[], object] = lambda: None) -> None:
        """It sends in ``end`` alone."""
        first()
        self._window_s = plan.window_ns / 1e9

    def end(self) -> Slice:
        started_ns, rest, spent = time.monotonic_ns(), self._reader.read(), self._spent
        with self.sending():
            self._wait_for_frames(arrived(rest.sinks))
            time.sleep(SETTLE_S)
            opened_ns, before = time.monotonic_ns(), self._reader.read()
            time.sleep(self._window_s)
            closed_ns, after = time.monotonic_ns(), self._reader.read()
        whole = delivered(delta(rest, self._reader.read()), self._delivery)
        window = Window(
            wall_ns=closed_ns - opened_ns,
            frames=delivered(delta(before, after), self._delivery),
            of_frames=whole,
            of_ns=time.monotonic_ns() - started_ns,
        )
        threads = window.threads(self._cpus, self._spent.since(spent))
        return Slice(
            wall_ns=window.wall_ns,
            sampled=lambda: threads,
            slice_completed=whole,
            slice_submitted=whole,
            slice_refused=0,
            undrained=False,
        )

    def close(self) -> None:
        """End it, and all that it started."""
        if ignored := self._running.close():
            say(f"{self._cell.method} {ignored}, and was killed")

    def _wait_for_frames(self, since: int) -> None:
        deadline = time.monotonic() + START_S
        while self._reader.arrived() == since:
            self._running.check()
            if time.monotonic() > deadline:
                words = self._running.said
                raise BenchError(
                    f"{self._cell.method} sends nothing: no frame within {START_S:g} s"
                    + (f"; it says: {words}" if words else "")
                )
            time.sleep(0.0005)

    def _stopped(self) -> CpuTime:
        """Stop it, until no frame is on its way; its CPU time so far."""
        spent = self._running.stop()
        deadline = time.monotonic() + REST_S
        now = self._reader.read()
        while True:
            time.sleep(QUIET_S)
            before, now = now, self._reader.read()
            if arrived(now.sinks) == arrived(before.sinks) and not now.queued:
                return spent
            if time.monotonic() > deadline:
                raise BenchError(
                    f"{self._cell.method}: frames leave {REST_S:g} s after SIGSTOP, which stopped "
                    "all of its processes; let it send without queues, or kernel threads"
                )


# What its command is filled with

_LONG = ("frame", "pcap")
"""Not in the environment: a word of it has 128 KiB at most (execve(2))."""


def _values(cell: Cell, topology: Topology, cpus: Sequence[int]) -> dict[str, str]:
    return {
        "interface": topology.tx.ifname,
        "ifindex": str(topology.tx.ifindex),
        "source": topology.src_mac.hex(":"),
        "destination": topology.dst_mac.hex(":"),
        "frame_size": str(cell.frame_size),
        "payload": str(cell.frame_size - HEADER),
        "threads": str(cell.threads),
        "cpu": str(cpus[0]),
        "cpus": ",".join(map(str, cpus)),
        "frame": _frame(cell, topology).hex(":"),
    }


def _frame(cell: Cell, topology: Topology) -> bytes:
    return expected_frame(cell.frame_size, topology.dst_mac, topology.src_mac, 0, 0)


def _pcap(frame: bytes) -> int:
    """A capture of some equal frames, a microsecond apart, in memory (pcap-savefile(5))."""
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, 1)
    length = len(frame)
    records = (struct.pack("<IIII", 0, i, length, length) + frame for i in range(PCAP_FRAMES))
    file = os.memfd_create("frames.pcap")
    with open(file, "wb", closefd=False) as opened:
        opened.write(header + b"".join(records))
    return file


# What it did


@dataclass(frozen=True, slots=True)
class Window:
    """The window of a slice: its time and frames, and those of the whole slice."""

    wall_ns: int
    frames: int
    of_frames: int
    of_ns: int

    def threads(self, cpus: Sequence[int], used: CpuTime) -> tuple[ThreadSample, ...]:
        """What each of as many threads did as it has CPUs, had all done the same: nobody tells
        which of them sent which frame. ``used`` is the whole slice's CPU time."""
        part = self.frames / max(1, self.of_frames) / len(cpus)
        cpu_ns = round(used.total_ns * part)
        waited_ns = round(used.waited_ns * self.wall_ns / self.of_ns / len(cpus))
        shared, rest = divmod(self.frames, len(cpus))
        return tuple(
            ThreadSample(
                cpu=cpu,
                wall_ns=self.wall_ns,
                cpu_ns=cpu_ns,
                user_ns=round(used.user_ns * part),
                system_ns=round(used.system_ns * part),
                blocked_ns=max(0, self.wall_ns - cpu_ns - waited_ns),
                run_delay_ns=waited_ns,
                requested=frames,
                submitted=frames,
                completed=frames,
            )
            for number, cpu in enumerate(cpus)
            for frames in [shared + (number < rest)]
        )
