"""Are the frames on the receiving side the frames that were meant?

What is meant is built here once more, apart from the core's own ``frame.c``, and compared byte by
byte. A capturing socket changes what the receive side costs (every frame then has a taker), so it
is closed before the first window.
"""

from __future__ import annotations

import functools
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress

from bench.counters import CounterReader, account, settle
from bench.errors import BenchError
from bench.model import Cell
from bench.native import Facts, OpenCell
from bench.topology import Port, Topology, entered

ETHERTYPE = 0x88B5
"""IEEE 802 local experimental EtherType 1."""
HEADER = 14
FLOW_HEADERS = 42
"""Ethernet, IPv4, UDP."""
SLOW_PROTOCOLS = b"\x88\x09"
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
RCVBUF_MAX = 2**30 - 1
"""The kernel doubles it, in an int (net/core/sock.c, ``__sock_set_rcvbuf``)."""
SKB_OVERHEAD = 4096
"""More than the kernel charges a receive buffer beside a frame's own bytes."""
_PATTERN = bytes(range(251)) * 262
DEADLINE_NS = 5_000_000_000
ARRIVAL_MS = 1000
"""A drained frame has been handed to the receiver; ksoftirqd may still hold it for a while."""


def expected_frame(
    size: int, dst: bytes, src: bytes, thread: int, number: int, flows: int = 1
) -> bytes:
    """The test frame: ``size`` bytes from destination MAC to end of payload.

    The source's last byte is the thread's index, the payload the number (64 bits, little endian)
    and then each byte its own offset modulo 251; a short frame has the low bytes of the number.
    Of several flows, a frame belongs to number modulo flows and has headers before its payload.
    """
    if flows == 1:
        head = dst + src[:5] + bytes([thread]) + ETHERTYPE.to_bytes(2, "big")
    else:
        head = _flow_headers(size, dst, src, thread, number % flows)
    frame = head + number.to_bytes(8, "little")
    return (frame + _PATTERN[len(frame) : size])[:size]


def _flow_headers(size: int, dst: bytes, src: bytes, thread: int, flow: int) -> bytes:
    """Ethernet, IPv4 and UDP of one flow (csrc/frame.c says why): its number is in the low bytes
    of the destination MAC (xor; the lowest bit of the fourth is turned), twice in the destination
    address 198.19.0.0 and four times in the source port 32768."""
    mac = dst[:3] + (int.from_bytes(dst[3:]) ^ 0x10000 ^ flow).to_bytes(3)
    source, target = bytes([198, 18, 0, thread]), bytes([198, 19]) + (2 * flow).to_bytes(2)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size - HEADER, 0, 0, 64, 17, 0, source, target)
    # RFC 1071: the complement of the sum of 16-bit words, carries added back
    checksum = 0xFFFF - (sum(struct.unpack("!10H", ip)) % 0xFFFF or 0xFFFF)
    udp = struct.pack("!HHHH", 32768 + 4 * flow, 9, size - HEADER - len(ip), 0)
    return (
        mac
        + src[:5]
        + bytes([thread])
        + b"\x08\x00"
        + ip[:10]
        + checksum.to_bytes(2)
        + ip[12:]
        + udp
    )


class FrameCheck:
    """Checks the frames of one topology's cells, one cell after the other.

    The capturing sockets stay open from one cell to the next, as closing one waits for an RCU
    grace period (``packet_release``); ``close`` them before the first window.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._receivers: list[socket.socket] = []

    def check(self, cell: Cell, opened: OpenCell) -> None:
        """Send enough bursts to go once around every ring, and look at each frame that arrives.

        Where nothing can be captured (ifb, device), the kernel's counters must have as many
        frames, and as many bytes, as were sent. Raises BenchError, naming the first thing that is
        wrong.
        """
        facts = opened.facts()
        if not self._topology.rx:
            _check_counters(cell, opened, self._topology, facts)
            return
        if not self._receivers:
            self._receivers = [_capture(port) for port in self._topology.rx]
        for receiver in self._receivers:
            _make_room(receiver, cell)
        try:
            for thread in range(cell.threads):
                _check_thread(cell, opened, self._topology, facts, self._receivers, thread)
        except BaseException:
            self.close()  # with what may still arrive of this cell
            raise

    def close(self) -> None:
        for receiver in self._receivers:
            receiver.close()
        self._receivers = []


def _bursts(cell: Cell, opened: OpenCell, facts: Facts, thread: int) -> Iterator[int]:
    """Bursts of one thread until its ring has been gone around: the frames of each."""
    burst = int(cell.values["burst"] or 1)  # type: ignore[arg-type]
    left = max(facts.ring_frames, _flows(cell)) + 2 * burst
    idle = 0
    while left > 0:
        sent = opened.burst(thread, DEADLINE_NS)
        idle = 0 if sent else idle + 1
        if idle > 1000:
            raise BenchError("no frame was accepted in 1000 tries")
        left -= sent
        yield sent


def _flows(cell: Cell) -> int:
    return int(cell.values.get("flows") or 1)  # type: ignore[arg-type]


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


def _receive(receivers: Sequence[socket.socket], wanted: int) -> list[bytes]:
    """So many frames, or as many as there are, and one more if there is one too many."""
    frames: list[bytes] = []
    arrival = select.poll()  # select() takes no descriptor above 1023
    by_descriptor = {receiver.fileno(): receiver for receiver in receivers}
    for descriptor in by_descriptor:
        arrival.register(descriptor, select.POLLIN)
    while len(frames) <= wanted:
        ready = arrival.poll(ARRIVAL_MS if len(frames) < wanted else 0)
        if not ready:
            break
        for descriptor, _ in ready:
            frame, address = by_descriptor[descriptor].recvfrom(1 << 17)
            if address[2] != socket.PACKET_OUTGOING and not _is_of_the_link(frame):
                frames.append(frame)
    return frames


def _is_of_the_link(frame: bytes) -> bool:
    """Whether a bond's end sent this to the other by itself (LACP: IEEE 802.1AX)."""
    return frame[12:14] == SLOW_PROTOCOLS


def _check_thread(
    cell: Cell,
    opened: OpenCell,
    topology: Topology,
    facts: Facts,
    receivers: Sequence[socket.socket],
    thread: int,
) -> None:
    stream = thread if facts.streams > 1 else 0
    flows, copies = _flows(cell), topology.delivery.copies
    number_at = slice(HEADER, HEADER + 8) if flows == 1 else slice(FLOW_HEADERS, FLOW_HEADERS + 8)

    def number_in(frame: bytes) -> int:
        return int.from_bytes(frame[number_at], "little")

    # A shared ring goes on where the thread before stopped; only slots are numbered in a row.
    slots_in_order = bool(facts.ring_frames) and cell.threads == 1 and not topology.unordered
    in_order = not facts.number_period or slots_in_order
    position = 0
    for sent in _bursts(cell, opened, facts, thread):
        # On lo a ring's frames share their pages with the receiver: read before the next burst.
        frames = _receive(receivers, sent * copies)
        if len(frames) != sent * copies:
            raise BenchError(f"wrong frames: {len(frames)} arrived of {sent * copies} completed")
        if topology.unordered:
            frames.sort(key=number_in)
        for frame in frames:
            if in_order:
                number = position // copies
                number = number % facts.number_period if facts.number_period else number
            else:
                number = min(number_in(frame), facts.number_period - 1)
            meant = expected_frame(
                cell.frame_size, topology.dst_mac, topology.src_mac, stream, number, flows
            )
            if topology.readdressed:
                meant = meant[:6] + frame[6:12] + meant[12:]
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
        judge = functools.partial(
            account, delivery=topology.delivery, frame_size=cell.frame_size, completed=sent
        )
        accounting, _ = settle(reader, before, judge, topology.delivery.late_s)
    # What others sent meanwhile by a real device does not make ours wrong.
    if accounting.problem and not (topology.delivery.is_real and accounting.foreign):
        raise BenchError(f"wrong frames: {accounting.problem}")
