"""Are the frames on the receiving side the frames that were meant?

What is meant is built here once more, apart from the core's own ``frame.c``, and compared byte by
byte. A capturing socket changes what the receive side costs (every frame then has a taker), so it
is closed before the first window.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import suppress

from bench.counters import CounterReader, account, delta
from bench.errors import BenchError
from bench.model import Cell
from bench.native import Facts, OpenCell
from bench.topology import Port, Topology, entered

ETHERTYPE = 0x88B5
"""IEEE 802 local experimental EtherType 1."""
HEADER = 14
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
RCVBUF_MAX = 2**30 - 1
"""The kernel doubles it, in an int (net/core/sock.c, ``__sock_set_rcvbuf``)."""
SKB_OVERHEAD = 4096
"""More than the kernel charges a receive buffer beside a frame's own bytes."""
DEADLINE_NS = 5_000_000_000
ARRIVAL_MS = 1000
"""A drained frame has been handed to the receiver; ksoftirqd may still hold it for a while."""


def expected_frame(size: int, dst: bytes, src: bytes, thread: int, number: int) -> bytes:
    """The test frame: ``size`` bytes from destination MAC to end of payload.

    The source's last byte is the thread's index, the payload the number (64 bits, little endian)
    and then each byte its own offset modulo 251; a short frame has the low bytes of the number.
    """
    payload = number.to_bytes(8, "little") + bytes(i % 251 for i in range(HEADER + 8, size))
    frame = dst + src[:5] + bytes([thread]) + ETHERTYPE.to_bytes(2, "big") + payload
    return frame[:size]


class FrameCheck:
    """Checks the frames of one topology's cells, one cell after the other.

    The capturing socket stays open from one cell to the next, as closing it waits for an RCU
    grace period (``packet_release``); ``close`` it before the first window.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._receiver: socket.socket | None = None

    def check(self, cell: Cell, opened: OpenCell) -> None:
        """Send enough bursts to go once around every ring, and look at each frame that arrives.

        Where nothing can be captured (ifb), the kernel's counters must have as many frames, and
        as many bytes, as were sent. Raises BenchError, naming the first thing that is wrong.
        """
        facts = opened.facts()
        if self._topology.rx is None:
            _check_counters(cell, opened, self._topology, facts)
            return
        if self._receiver is None:
            self._receiver = _capture(self._topology.rx)
        _make_room(self._receiver, cell)
        try:
            for thread in range(cell.threads):
                _check_thread(cell, opened, self._topology, facts, self._receiver, thread)
        except BaseException:
            self.close()  # with what may still arrive of this cell
            raise

    def close(self) -> None:
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None


def _bursts(cell: Cell, opened: OpenCell, facts: Facts, thread: int) -> Iterator[int]:
    """Bursts of one thread until its ring has been gone around: the frames of each."""
    burst = int(cell.values["burst"] or 1)  # type: ignore[arg-type]
    left = facts.ring_frames + 2 * burst
    idle = 0
    while left > 0:
        sent = opened.burst(thread, DEADLINE_NS)
        idle = 0 if sent else idle + 1
        if idle > 1000:
            raise BenchError("no frame was accepted in 1000 tries")
        left -= sent
        yield sent


def _capture(port: Port) -> socket.socket:
    with entered(port.netns_fd):
        receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        with suppress(OSError):  # before Linux 4.20 they are left out as they are read
            receiver.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        try:
            # Of any EtherType: a wrong one is to be named, not to be missed.
            receiver.bind((port.ifname, ETH_P_ALL))
        except OSError:
            receiver.close()
            raise
    return receiver


def _make_room(receiver: socket.socket, cell: Cell) -> None:
    burst = max(16, int(cell.values["burst"] or 1))  # type: ignore[arg-type]
    room = min(2 * burst * (cell.frame_size + SKB_OVERHEAD), RCVBUF_MAX)
    try:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, room)
    except PermissionError:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)


def _receive(receiver: socket.socket, wanted: int) -> list[bytes]:
    """So many frames, or as many as there are, and one more if there is one too many."""
    frames: list[bytes] = []
    arrival = select.poll()  # select() takes no descriptor above 1023
    arrival.register(receiver, select.POLLIN)
    while len(frames) <= wanted:
        if not arrival.poll(ARRIVAL_MS if len(frames) < wanted else 0):
            break
        frame, address = receiver.recvfrom(1 << 17)
        if address[2] != socket.PACKET_OUTGOING:
            frames.append(frame)
    return frames


def _check_thread(
    cell: Cell,
    opened: OpenCell,
    topology: Topology,
    facts: Facts,
    receiver: socket.socket,
    thread: int,
) -> None:
    stream = thread if facts.streams > 1 else 0
    # A shared ring goes on where the thread before stopped; only slots are numbered in a row.
    in_order = not facts.number_period or (bool(facts.ring_frames) and cell.threads == 1)
    position = 0
    for sent in _bursts(cell, opened, facts, thread):
        # On lo a ring's frames share their pages with the receiver: read before the next burst.
        frames = _receive(receiver, sent)
        if len(frames) != sent:
            raise BenchError(f"wrong frames: {len(frames)} arrived of {sent} completed")
        for frame in frames:
            if in_order:
                number = position % facts.number_period if facts.number_period else position
            else:
                number = int.from_bytes(frame[HEADER : HEADER + 8], "little")
                number = min(number, facts.number_period - 1)
            meant = expected_frame(
                cell.frame_size, topology.dst_mac, topology.src_mac, stream, number
            )
            if frame != meant:
                raise BenchError(f"wrong frames: frame {position}: {difference(frame, meant)}")
            position += 1


def difference(frame: bytes, meant: bytes) -> str:
    """The first thing in which a frame differs from the one that was meant."""
    if len(frame) != len(meant):
        return f"{len(frame)} bytes long, {len(meant)} meant"
    offset = next(i for i, (a, b) in enumerate(zip(frame, meant, strict=True)) if a != b)
    parts = ((6, "destination MAC"), (12, "source MAC"), (14, "EtherType"), (22, "number"))
    part = next((name for end, name in parts if offset < end), "payload")
    return f"{part}: byte {offset} is {frame[offset]:#04x}, {meant[offset]:#04x} meant"


def _check_counters(cell: Cell, opened: OpenCell, topology: Topology, facts: Facts) -> None:
    with CounterReader(topology) as reader:
        before = reader.read()
        sent = sum(
            frames
            for thread in range(cell.threads)
            for frames in _bursts(cell, opened, facts, thread)
        )
        change = delta(before, reader.read())
    accounting = account(change, topology.delivery, frame_size=cell.frame_size, completed=sent)
    if accounting.problem:
        raise BenchError(f"wrong frames: {accounting.problem}")
