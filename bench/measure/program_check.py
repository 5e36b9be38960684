"""Are the frames of a program of the length that is meant, and do they begin as it says?"""

from __future__ import annotations

import select
import socket
import time
from contextlib import ExitStack
from itertools import islice

from bench.base.errors import BenchError
from bench.measure.accounting import account, delivered, delivery_of, delta
from bench.measure.counters import CounterReader
from bench.measure.frame_check import can_capture, captures, let_go, waiting
from bench.measure.frames import HEADER, difference
from bench.measure.program import START_S, OpenProgram
from bench.model.cells import Cell
from bench.topology import Topology

CHECKED = 64
"""Frames that are compared; of more threads as many more."""
GREETING_S = 1.0
"""So long a program may send other frames first that says nothing of their content: how it agrees
with its other end (iperf3's control connection). Further frames are compared then."""
COUNTED_S = 0.02
"""It sends for so long where frames cannot be captured, but counted."""


def check(cell: Cell, topology: Topology, reader: CounterReader, opened: OpenProgram) -> None:
    """Look at some frames as they arrive; where none can be captured, at the counters.

    Raises BenchError, naming the first thing that is wrong.
    """
    if not can_capture(topology):
        _check_counters(cell, topology, reader, opened)
        return
    greeted = time.monotonic() + (0 if opened.content else GREETING_S)
    while True:
        frames = _captured(topology, CHECKED * cell.threads, opened)
        try:
            for frame in frames:
                _check(frame, cell.frame_size, opened.content, topology.rewrites_source)
            return
        except BenchError:
            if time.monotonic() > greeted:
                raise
        with opened.sending():
            time.sleep(GREETING_S / 10)


def _captured(topology: Topology, wanted: int, opened: OpenProgram) -> list[bytes]:
    """The next frames that arrive."""
    frames: list[bytes] = []
    receivers: dict[int, socket.socket] = {}
    arrival, buffer = select.poll(), memoryview(bytearray(1 << 17))
    with ExitStack() as stack:
        for receiver in captures(topology):
            stack.callback(let_go, topology, receiver)
            arrival.register(receiver, select.POLLIN)
            receivers[receiver.fileno()] = receiver
        check_alive = stack.enter_context(opened.sending())
        deadline = time.monotonic() + START_S
        while len(frames) < wanted and time.monotonic() < deadline:
            for descriptor, _ in arrival.poll(10):
                frames += islice(waiting(receivers[descriptor], buffer), wanted)
            check_alive()
    if not frames:
        raise BenchError(f"wrong frames: none arrived within {START_S:g} s")
    return frames


def _check(frame: bytes, size: int, content: bytes, rewrites_source: bool) -> None:
    if len(frame) != size:
        kind = int.from_bytes(frame[HEADER - 2 : HEADER])
        raise BenchError(
            f"wrong frames: {len(frame)} bytes long (EtherType {kind:#06x}), {size} meant"
        )
    meant = (content[:6] + frame[6:12] + content[12:]) if rewrites_source else content
    meant = meant[: len(content)]
    if not frame.startswith(meant):
        raise BenchError(f"wrong frames: {difference(frame[: len(meant)], meant)}")


def _check_counters(
    cell: Cell, topology: Topology, reader: CounterReader, opened: OpenProgram
) -> None:
    delivery, before = delivery_of(cell, topology.delivery), reader.read()
    with opened.sending():
        time.sleep(COUNTED_S)
    change = delta(before, reader.read())
    sent = delivered(change, delivery)
    found = account(change, delivery, frame_size=cell.frame_size, completed=sent)
    if found.problem:
        raise BenchError(f"wrong frames: {found.problem}")
