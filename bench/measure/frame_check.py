"""Are the frames on the receiving side the frames that were meant?

What is meant is built once more (frames.py), apart from the core's own ``frame.c``, and compared
byte by byte. A capturing socket changes what the receive side costs (every frame then has a taker),
so it is closed before the first window.
"""

from __future__ import annotations

import functools
import mmap
import os
import select
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass

from bench.base.errors import BenchError
from bench.engines.config import Form, Numbering, numbering_of
from bench.engines.core import Facts, OpenCell
from bench.measure.accounting import account, delivery_of
from bench.measure.counters import CounterReader, settle
from bench.measure.frames import (
    HEADER,
    NUMBER,
    PKTGEN_NUMBER,
    TAG_AT,
    as_meant,
    difference,
    expected_frame,
    pktgen_frame,
    without_own,
)
from bench.model.cells import Cell
from bench.topology import Port, Topology, entered, tap_reader

SLOW_PROTOCOLS = b"\x88\x09"


ETH_P_ALL = 3


SOL_PACKET = 263


PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 8, 23


_AUXDATA = struct.Struct("=III HHHH")
"""struct tpacket_auxdata: the last two are the tag that the kernel took out of the frame."""


TP_STATUS_VLAN_VALID = 1 << 4


SO_RCVBUFFORCE = 33


RCVBUF_MAX = 2**30 - 1
"""The kernel doubles it, in an int (net/core/sock.c, ``__sock_set_rcvbuf``)."""


SKB_OVERHEAD = mmap.PAGESIZE
"""More than the kernel charges a receive buffer beside a frame's own bytes: of an XDP frame, which
it does not copy, it charges the page."""


DEADLINE_NS = 5_000_000_000


ARRIVAL_MS = 1000
"""A drained frame has been handed to the receiver; ksoftirqd may still hold it for a while."""


MIRROR_S = 30.0
"""A tap's reader answers in a moment; one that does not for so long hangs."""


LOSSY_MS = 20
"""The same where some never arrive: a later one is looked for among those of the next burst."""

LOSSY_FRAMES = 200
"""So many are sent there before it is told that none arrives: nine in ten may be lost."""


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
        if not can_capture(self._topology):
            _check_counters(cell, opened, self._topology, facts)
            return
        numbering, position = numbering_of(cell), 0
        if numbering.form is Form.PKTGEN:
            self.close()  # with what it has sent as it was opened
        if not self._receivers:
            self._receivers = captures(self._topology)
        room = min(_make_room(receiver, cell) for receiver in self._receivers)
        try:
            for thread in range(cell.threads):
                if not numbering.goes_on:
                    position = 0
                check = _Check(
                    cell, self._topology, facts, numbering, self._receivers, room, thread
                )
                position = check.bursts(opened, position)
        except BaseException:
            self.close()  # with what may still arrive of this cell
            raise

    def close(self) -> None:
        for receiver in self._receivers:
            let_go(self._topology, receiver)
        self._receivers = []


def _bursts(
    cell: Cell,
    facts: Facts,
    send: Callable[[], tuple[int, list[bytes]]],
    unsure: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, list[bytes]]]:
    """Bursts of one thread until its ring has been gone around, and while it is ``unsure`` what
    they show.

    ``send`` sends one: the number of its frames, and those that were captured.
    """
    burst = int(cell.values["burst"] or 1)  # type: ignore[arg-type]
    left = max(facts.ring_frames, _flows(cell)) + 2 * burst
    idle = 0
    while left > 0 or unsure():
        sent, frames = send()
        idle = 0 if sent else idle + 1
        if idle > 1000:
            raise BenchError("no frame was accepted in 1000 tries")
        left -= sent
        yield sent, frames


def _flows(cell: Cell) -> int:
    return int(cell.values.get("flows") or 1)  # type: ignore[arg-type]


def _tag(cell: Cell) -> bytes:
    """Its VLAN tag as it stands in a frame (IEEE 802.1Q); empty where it has none."""
    vlan = cell.values.get("vlan")
    if not isinstance(vlan, dict):
        return b""
    return struct.pack("!HH", 0x8100, int(vlan["priority"]) << 13 | int(vlan["id"]))


def can_capture(topology: Topology) -> bool:
    return bool(topology.rx) or topology.mirror is not None


def captures(topology: Topology) -> list[socket.socket]:
    """What gives every frame that arrives: sockets on the ports, or a tap's reader."""
    if topology.mirror is None:
        return [_capture(port) for port in topology.rx]
    receiver = socket.socket(fileno=os.dup(topology.mirror))
    _ask_mirror(receiver, tap_reader.MIRROR)
    return [receiver]


def let_go(topology: Topology, receiver: socket.socket) -> None:
    """Of what ``captures`` gave. Raises BenchError."""
    if topology.mirror is not None:
        _ask_mirror(receiver, tap_reader.SILENCE)
    receiver.close()


def _ask_mirror(receiver: socket.socket, what: bytes) -> None:
    """Wait for the answer, and throw away what was read before. Raises BenchError."""
    receiver.settimeout(MIRROR_S)
    try:
        receiver.send(what)
        while receiver.recv(tap_reader.LONGEST) not in (what, b""):
            pass
    except OSError as error:
        receiver.close()
        raise BenchError(f"the tap's reader does not answer: {error}") from error
    receiver.settimeout(None)


def _capture(port: Port) -> socket.socket:
    with entered(port.netns_fd):
        receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        with suppress(OSError):  # before Linux 4.20 they are left out as they are read
            receiver.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        receiver.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        try:
            # Of any EtherType: a wrong one is to be named, not to be missed.
            receiver.bind((port.ifname, ETH_P_ALL))
        except OSError:
            receiver.close()
            raise
    return receiver


def _room_for(cell: Cell) -> int:
    """Bytes of two bursts, as the kernel charges them to a receive buffer."""
    burst = max(16, int(cell.values["burst"] or 1))  # type: ignore[arg-type]
    return min(2 * burst * (cell.frame_size + SKB_OVERHEAD), RCVBUF_MAX)


def _make_room(receiver: socket.socket, cell: Cell) -> int:
    """Bytes that its buffer has then: without CAP_NET_ADMIN not more than net.core.rmem_max."""
    room = _room_for(cell)
    try:
        receiver.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, room)
    except PermissionError:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    return receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2  # socket(7): doubled


class _Receivers:
    """Sockets that are read while bursts are under way.

    From Linux 7 on a ring's slot on lo comes back, and the burst ends, only when the receiver has
    let go of the frame.
    """

    def __init__(self, receivers: Sequence[socket.socket], copies: int, patience_ms: int) -> None:
        self._receivers = {receiver.fileno(): receiver for receiver in receivers}
        self._copies = copies
        self._patience_ms = patience_ms
        self._buffer = memoryview(bytearray(1 << 17))
        self._ended = os.eventfd(0, os.EFD_CLOEXEC)
        self._ready = select.poll()  # select() takes no descriptor above 1023
        for descriptor in (self._ended, *self._receivers):
            self._ready.register(descriptor, select.POLLIN)

    def during(self, sending: Future[int]) -> tuple[int, list[bytes]]:
        """The number of frames sent, and those that arrived: some more if there are too many."""
        sending.add_done_callback(lambda _: os.eventfd_write(self._ended, 1))
        frames: list[bytes] = []
        while not sending.done():
            self._read(frames, None)
        wanted = sending.result() * self._copies
        while len(frames) <= wanted and self._read(
            frames, self._patience_ms if len(frames) < wanted else 0
        ):
            pass
        return sending.result(), frames

    def _read(self, frames: list[bytes], patience_ms: int | None) -> bool:
        """Take the frames that have arrived; false if nothing happens meanwhile."""
        ready = self._ready.poll(patience_ms)
        for descriptor, _ in ready:
            if descriptor == self._ended:
                os.eventfd_read(self._ended)
            else:
                frames += waiting(self._receivers[descriptor], self._buffer)
        return bool(ready)

    def close(self) -> None:
        os.close(self._ended)


_AUXDATA_ROOM = socket.CMSG_SPACE(_AUXDATA.size)


def waiting(receiver: socket.socket, buffer: memoryview) -> Iterator[bytes]:
    """The frames that have arrived at a receiver, each read into the buffer."""
    with suppress(BlockingIOError):
        while True:
            length, beside, _, address = receiver.recvmsg_into(
                [buffer], _AUXDATA_ROOM, socket.MSG_DONTWAIT
            )
            frame = _with_tag(bytes(buffer[:length]), beside)
            is_ours = address and address[2] == socket.PACKET_OUTGOING
            if not is_ours and not _is_of_the_link(frame):
                yield frame


def _with_tag(frame: bytes, beside: Sequence[tuple[int, int, bytes]]) -> bytes:
    """A frame as it came: the kernel takes a tag out before anybody sees the frame, and tells it
    beside (net/core/dev.c, ``skb_vlan_untag``)."""
    for level, kind, data in beside:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, *_, tci, tpid = _AUXDATA.unpack(data)
            if status & TP_STATUS_VLAN_VALID:
                return frame[:TAG_AT] + struct.pack("!HH", tpid, tci) + frame[TAG_AT:]
    return frame


def _is_of_the_link(frame: bytes) -> bool:
    """Whether a bond's end sent this to the other by itself (LACP: IEEE 802.1AX)."""
    return frame[12:14] == SLOW_PROTOCOLS


@dataclass(frozen=True, slots=True)
class _Check:
    """Of the frames of one thread; ``room`` is what a receiver's buffer has, in bytes."""

    cell: Cell
    topology: Topology
    facts: Facts
    numbering: Numbering
    receivers: Sequence[socket.socket]
    room: int
    thread: int

    def bursts(self, opened: OpenCell, position: int) -> int:
        """Compare each burst that arrives; the position in the stream of frames after the last."""
        receivers = _Receivers(self.receivers, self.topology.delivery.copies, self._patience_ms)
        compare = _Some(self) if self.topology.may_lose else self
        with closing(receivers), ThreadPoolExecutor(1) as pool:

            def send() -> tuple[int, list[bytes]]:
                return receivers.during(pool.submit(self._several, opened))

            # On lo a ring's frames share their pages with the receiver: read before the next burst.
            for sent, frames in _bursts(self.cell, self.facts, send, compare.is_unsure):
                compare.compare(sent, frames, position)
                position += sent
        return position

    @property
    def _patience_ms(self) -> int:
        return (LOSSY_MS if self.topology.may_lose else ARRIVAL_MS) + round(
            self.topology.delivery.late_s * 1000
        )

    def _several(self, opened: OpenCell) -> int:
        """Send a burst, or of a ring as many as will fit the receiver's buffer: frames completed.

        Changing to the thread that sends takes longer than a small burst, and a ring of 1 GiB may
        have 524,288 slots.
        """
        burst = int(self.cell.values["burst"] or 1)  # type: ignore[arg-type]
        fit = self.room // (2 * (self.cell.frame_size + SKB_OVERHEAD))
        bursts = max(1, min(fit, self.facts.ring_frames) // burst)
        return sum(opened.burst(self.thread, DEADLINE_NS) for _ in range(bursts))

    def is_unsure(self) -> bool:
        return False

    def compare(self, sent: int, frames: list[bytes], position: int) -> None:
        copies = self.topology.delivery.copies
        if len(frames) != sent * copies:
            raise BenchError(self._miscounted(len(frames), sent * copies))
        meant = self.meant(sent, position)
        if self.topology.may_reorder:
            frames.sort(key=self._number_in)
            meant.sort(key=self._number_in)
        for k, (frame, wanted) in enumerate(zip(map(self.told, frames), meant, strict=True)):
            if self.topology.rewrites_source:
                wanted = wanted[:6] + frame[6:12] + wanted[12:]
            if frame != wanted:
                what = self.difference(frame, wanted)
                raise BenchError(f"wrong frames: frame {position + k // copies}: {what}")

    def told(self, frame: bytes) -> bytes:
        """What of a frame is the sender's, if the rest is sound."""
        numbering = self.numbering
        if numbering.form is Form.PKTGEN:
            return without_own(frame)
        if numbering.headers == HEADER or _flows(self.cell) > 1:
            return frame
        return as_meant(frame, numbering.headers, kernel_headers=numbering.kernel_headers)

    def difference(self, frame: bytes, wanted: bytes) -> str:
        return difference(frame, wanted, self.numbering.headers, len(_tag(self.cell)))

    def meant(self, sent: int, position: int) -> list[bytes]:
        """The frames of a burst of so many, as often as each arrives."""
        copies = self.topology.delivery.copies
        return [self._meant(position, k) for k in range(sent) for _ in range(copies)]

    def _meant(self, position: int, k: int) -> bytes:
        """Frame k of a burst that begins at a position of the stream."""
        numbering = self.numbering
        if numbering.form is Form.PKTGEN:
            addresses = self.topology.dst_mac, self.topology.src_mac
            return pktgen_frame(self.cell.frame_size, *addresses, numbering.number(position, k))
        frame = expected_frame(
            self.cell.frame_size,
            self.topology.dst_mac,
            self.topology.src_mac,
            self.thread if numbering.streams > 1 else 0,
            numbering.number(position, k),
            _flows(self.cell),
            _tag(self.cell),
            numbering.headers,
            0 if numbering.kernel_headers else (position + k) % numbering.segments,
        )
        if numbering.kernel_headers:
            return frame[:6] + self.topology.src_mac + frame[TAG_AT:]
        return frame

    def _number_in(self, frame: bytes) -> int:
        if self.numbering.form is Form.PKTGEN:
            return int.from_bytes(frame[PKTGEN_NUMBER : PKTGEN_NUMBER + 4])
        at = self.numbering.headers + len(_tag(self.cell))
        return int.from_bytes(frame[at : at + NUMBER], "little")

    def _miscounted(self, arrived: int, completed: int) -> str:
        if arrived < completed and self.room < _room_for(self.cell):
            return (
                f"its frames cannot be checked: {arrived} of {completed} fit into a receive buffer "
                f"of {self.room} bytes; raise net.core.rmem_max to {_room_for(self.cell)}"
            )
        return f"wrong frames: {arrived} arrived of {completed} completed"


class _Some:
    """The comparison where frames may be lost: each that arrives is one that was sent."""

    def __init__(self, check: _Check) -> None:
        self._check = check
        self._missing: Counter[bytes] = Counter()
        self._sent = self._arrived = 0

    def compare(self, sent: int, frames: list[bytes], position: int) -> None:
        self._missing.update(map(self._told, self._check.meant(sent, position)))
        self._sent += sent
        for frame in frames:
            told = self._told(frame)
            if not self._missing[told]:
                meant = next(iter(+self._missing), b"")  # none left: it is too long
                what = self._check.difference(told, meant)
                raise BenchError(f"wrong frames: frame {position}: {what}")
            self._missing[told] -= 1
        self._arrived += len(frames)

    def _told(self, frame: bytes) -> bytes:
        """Without a source that the link may have written."""
        frame = self._check.told(frame)
        rewritten = self._check.topology.rewrites_source
        return frame[:6] + bytes(6) + frame[12:] if rewritten else frame

    def is_unsure(self) -> bool:
        """Whether none has arrived yet. Raises BenchError where enough were sent to tell."""
        if not self._arrived and self._sent >= LOSSY_FRAMES:
            raise BenchError(f"wrong frames: none arrived of {self._sent} completed")
        return not self._arrived


def _uncaptured(opened: OpenCell, thread: int) -> tuple[int, list[bytes]]:
    return opened.burst(thread, DEADLINE_NS), []


def _check_counters(cell: Cell, opened: OpenCell, topology: Topology, facts: Facts) -> None:
    delivery = delivery_of(cell, topology.delivery)
    with CounterReader(topology) as reader:
        before = reader.read()
        sent = sum(
            frames
            for thread in range(cell.threads)
            for frames, _ in _bursts(cell, facts, functools.partial(_uncaptured, opened, thread))
        )
        judge = functools.partial(
            account, delivery=delivery, frame_size=cell.frame_size, completed=sent
        )
        accounting, _ = settle(reader, before, judge, delivery.late_s)
    # What others sent meanwhile does not make ours wrong.
    if accounting.problem and not (delivery.tolerates_foreign and accounting.foreign):
        raise BenchError(f"wrong frames: {accounting.problem}")
