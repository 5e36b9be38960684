"""A cell that a program sends, open: its slices, which the kernel alone counts.

The program runs from the opening on, and is stopped but for its slices. In one it is continued, and
once it has been sending for a moment the window opens: two readings of the interface's counters,
and the time between. CPU time is of the whole slice, from standstill to standstill, where it is
exact: that of a process that runs is told in timer ticks. The window has its share of that by
frames, so CPU time per frame is the whole slice's.
"""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from bench.base.errors import BenchError
from bench.base.stderr import say
from bench.engines.core import Slice, SlicePlan
from bench.engines.programs import CpuTime, RunningProgram
from bench.measure.accounting import Counters, account, delivered, delivery_of, delta
from bench.measure.counters import CounterReader
from bench.measure.frame_check import capture, waiting
from bench.measure.frames import HEADER, difference, expected_frame
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
CHECKED = 64
"""Frames that are compared; of more threads as many more."""
COUNTED_S = 0.02
"""It sends for so long where frames cannot be captured, but counted."""
QUIET_S = 0.001
"""Counters that stand still for so long tell that nothing is sent."""
PCAP_FRAMES = 1000


@dataclass(frozen=True, slots=True)
class ProgramFacts:
    """The file that runs, and its SHA-256."""

    program: str
    sha256: str


class OpenProgram:
    """The program of a cell, started in its topology's namespace.

    ``reader`` reads the counters of that, on which nobody else sends. Raises BenchError if the
    program cannot be started, ends, or does not send; it is ended then. Close it.
    """

    def __init__(
        self, cell: Cell, topology: Topology, cpus: Sequence[int], reader: CounterReader
    ) -> None:
        self._cell, self._topology, self._cpus, self._reader = cell, topology, cpus, reader
        self._program = program_of(cell.values["method"])
        self._delivery = delivery_of(cell, topology.delivery)
        self._values = _values(cell, topology, cpus)
        with ExitStack() as stack:
            words = [name for word in self._program.command for name in placeholders(word)]
            if "pcap" in words:
                frames = _pcap(_frame(cell, topology))
                stack.callback(os.close, frames)
                self._values["pcap"] = f"/proc/self/fd/{frames}"
            at_start = _arrived(reader.read())
            self._running = RunningProgram(
                cell.method,
                filled(self._program.command, self._values),
                cpus,
                topology.tx.netns_fd,
                {f"BENCH_{n.upper()}": v for n, v in self._values.items() if n not in _LONG},
                [frames] if "pcap" in words else [],
            )
        try:
            self._wait_for_frames(at_start, START_S)
            time.sleep(WARM_S)
            self._spent = self._stopped()
        except BaseException:
            self.close()
            raise

    def facts(self) -> ProgramFacts:
        path = Path(shutil.which(self._program.command[0]) or "").resolve()
        return ProgramFacts(str(path), hashlib.sha256(path.read_bytes()).hexdigest())

    def check_frames(self) -> None:
        """Look at some of its frames as they arrive; where none can be captured, at the counters.

        Raises BenchError, naming the first thing that is wrong.
        """
        if self._topology.rx:
            for frame in self._captured():
                self._check(frame)
        else:
            self._check_counters()

    def run_slice(self, plan: SlicePlan, first: Callable[[], object]) -> Slice:
        """One slice, after ``first``; it has no warm-up or drain but those that a program needs."""
        first()
        try:
            return self._sliced(plan)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it, and all that it started."""
        if ignored := self._running.close():
            say(f"{self._cell.method} {ignored}, and was killed")

    def _sliced(self, plan: SlicePlan) -> Slice:
        started_ns, rest = time.monotonic_ns(), self._reader.read()
        self._running.go()
        self._wait_for_frames(_arrived(rest), plan.drain_ns / 1e9)
        time.sleep(SETTLE_S)
        opened_ns, before = time.monotonic_ns(), self._reader.read()
        time.sleep(plan.window_ns / 1e9)
        closed_ns, after = time.monotonic_ns(), self._reader.read()
        spent = self._stopped()
        used, self._spent = spent.since(self._spent), spent
        whole = delivered(delta(rest, self._reader.read()), self._delivery)
        window = _Window(
            wall_ns=closed_ns - opened_ns,
            frames=delivered(delta(before, after), self._delivery),
            of_frames=whole,
            of_ns=time.monotonic_ns() - started_ns,
        )
        return Slice(
            wall_ns=window.wall_ns,
            threads=window.threads(self._cpus, used),
            slice_completed=whole,
            slice_submitted=whole,
            slice_refused=0,
            undrained=False,
        )

    def _wait_for_frames(self, since: int, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while _arrived(self._reader.read()) == since:
            self._running.check()
            if time.monotonic() > deadline:
                words = self._running.said
                raise BenchError(
                    f"{self._cell.method} sends nothing: no frame within {patience_s:g} s"
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
            if _arrived(now) == _arrived(before) and not now.queued:
                return spent
            if time.monotonic() > deadline:
                raise BenchError(
                    f"{self._cell.method}: frames leave {REST_S:g} s after SIGSTOP, which stopped "
                    "all of its processes; let it send without queues, or kernel threads"
                )

    def _captured(self) -> list[bytes]:
        """The next frames that it sends."""
        wanted, buffer = CHECKED * self._cell.threads, memoryview(bytearray(1 << 17))
        frames: list[bytes] = []
        receivers: dict[int, socket.socket] = {}
        arrival = select.poll()
        with ExitStack() as stack:
            for port in self._topology.rx:
                receiver = stack.enter_context(capture(port))
                arrival.register(receiver, select.POLLIN)
                receivers[receiver.fileno()] = receiver
            self._running.go()
            deadline = time.monotonic() + START_S
            while len(frames) < wanted and time.monotonic() < deadline:
                for descriptor, _ in arrival.poll(10):
                    frames += islice(waiting(receivers[descriptor], buffer), wanted)
                self._running.check()
            self._spent = self._stopped()
        if not frames:
            raise BenchError(f"{self._cell.method} sends nothing: no frame within {START_S:g} s")
        return frames

    def _check(self, frame: bytes) -> None:
        if len(frame) != self._cell.frame_size:
            kind = int.from_bytes(frame[HEADER - 2 : HEADER])
            raise BenchError(
                f"wrong frames: {len(frame)} bytes long (EtherType {kind:#06x}), "
                f"{self._cell.frame_size} meant"
            )
        meant = bytes.fromhex(filled([self._program.content], self._bytes)[0])
        if self._topology.rewrites_source:
            meant = (meant[:6] + frame[6:12] + meant[12:])[: len(meant)]
        begin = frame[: len(meant)]
        if begin != meant:
            raise BenchError(f"wrong frames: {difference(begin, meant)}")

    @property
    def _bytes(self) -> dict[str, str]:
        return {name: text.replace(":", "") for name, text in self._values.items()}

    def _check_counters(self) -> None:
        before = self._reader.read()
        self._running.go()
        time.sleep(COUNTED_S)
        self._spent = self._stopped()
        change = delta(before, self._reader.read())
        sent = delivered(change, self._delivery)
        found = account(change, self._delivery, frame_size=self._cell.frame_size, completed=sent)
        if found.problem:
            raise BenchError(f"wrong frames: {found.problem}")


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


def _arrived(counters: Counters) -> int:
    """Frames at the sinks so far: only a rise means something."""
    return sum(sink.rx_packets + sink.tx_packets for sink in counters.sinks)


@dataclass(frozen=True, slots=True)
class _Window:
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
