"""The kernel's own counters around a slice, and whether they agree with what was sent.

A reading takes microseconds: one hand-packed rtnetlink request per interface and qdisc, and two
files under /proc that stay open. Counters are cumulative; only differences mean anything.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from bench.cpus import CpuTime, cpu_time
from bench.errors import BenchError
from bench.topology import NO_QDISC, Delivery, Port, Topology, entered

ETH_ZLEN, ETH_FCS_LEN = 60, 4
"""include/uapi/linux/if_ether.h"""
_RETRY_S = 0.0005
FOREIGN_SHARE = 0.01
"""Of the completed frames: what others may send by a real device beside them. It could hide as
many that were lost, so it is less than the least difference that a comparison calls one (3 %)."""

# What is read


class LinkStats(NamedTuple):
    """Of an interface's counters (struct rtnl_link_stats64) those that are asked."""

    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    tx_dropped: int


class QdiscStats(NamedTuple):
    """A root qdisc's counters, of what left it (packets, bytes) and of what did not."""

    bytes: int
    packets: int
    drops: int


class Softirqs(NamedTuple):
    """How often the softirqs NET_TX and NET_RX ran: of the whole machine, over all CPUs."""

    net_tx: int
    net_rx: int


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading.

    ``tx`` is the sending interface, ``sinks`` are those that count delivered frames. ``qdisc`` and
    ``queued`` (frames) are sums over the interface's qdiscs, zeros where there is none.
    ``softnet_drops`` are those at the backlogs of the whole machine.
    """

    tx: LinkStats
    sinks: tuple[LinkStats, ...]
    qdisc: QdiscStats
    queued: int
    softnet_drops: int
    softirqs: Softirqs


@dataclass(frozen=True, slots=True)
class Delta:
    """By how much the counters rose between two readings, and how much was queued at each."""

    tx: LinkStats
    sinks: tuple[LinkStats, ...]
    qdisc: QdiscStats
    softnet_drops: int
    softirqs: Softirqs
    queued_before: int
    queued_after: int


@dataclass(frozen=True, slots=True)
class Accounting:
    """What became of a slice's frames, by the kernel's counters; all in frames.

    ``lost`` frames were completed but not delivered, and drops explain it. The drops are as
    counted, those of refused frames included, and each is counted once: ``softnet_drops`` are what
    a full backlog dropped where the device does not tell (``hidden_backlog``), at most the missing
    frames, as softnet's counter is the whole machine's. ``foreign`` frames were delivered but not
    sent by us; a few of them explain themselves on a real device. ``problem`` is empty if all adds
    up, else what does not. ``per_sink`` is what each of several sinks counted. ``carrier_lost``
    names the ports that lost their carrier, if it explains lost frames.
    """

    delivered: int
    lost: int
    qdisc_drops: int
    device_drops: int
    softnet_drops: int
    foreign: int
    problem: str
    per_sink: tuple[int, ...] = ()
    carrier_lost: str = ""


# What a reading means


def delta(before: Counters, after: Counters) -> Delta:
    """The difference of two readings, also across a counter's wrap."""
    u32, u64 = 1 << 32, 1 << 64
    return Delta(
        tx=LinkStats(*_risen(before.tx, after.tx, u64)),
        sinks=tuple(
            LinkStats(*_risen(old, new, u64))
            for old, new in zip(before.sinks, after.sinks, strict=True)
        ),
        # Its bytes have 64 bits, the others 32: include/uapi/linux/gen_stats.h
        qdisc=QdiscStats(
            *_risen(before.qdisc[:1], after.qdisc[:1], u64),
            *_risen(before.qdisc[1:], after.qdisc[1:], u32),
        ),
        softnet_drops=(after.softnet_drops - before.softnet_drops) % u32,
        softirqs=Softirqs(*_risen(before.softirqs, after.softirqs, u32)),
        queued_before=before.queued,
        queued_after=after.queued,
    )


def arrivals(change: Delta, delivery: Delivery) -> tuple[int, ...]:
    """Frames that each sink counted."""
    rx = delivery.direction == "rx"
    return tuple(sink.rx_packets if rx else sink.tx_packets for sink in change.sinks)


def delivered(change: Delta, delivery: Delivery) -> int:
    """Frames delivered, as the sinks' interface counters have it."""
    return sum(arrivals(change, delivery)) // delivery.copies


def delivered_bytes(change: Delta, delivery: Delivery) -> int:
    """Bytes of the frames that the sinks counted from destination MAC to end of payload."""
    rx = delivery.direction == "rx"
    counted = sum(sink.rx_bytes if rx else sink.tx_bytes for sink in change.sinks)
    return counted + sum(arrivals(change, delivery)) * delivery.header_left_out


def account(
    change: Delta,
    delivery: Delivery,
    *,
    frame_size: int,
    completed: int,
    refused: int = 0,
    carrier_lost: str = "",
) -> Accounting:
    """Set the frames that the sender counted against those that the kernel counted.

    ``completed`` frames were given back by the kernel as sent; ``refused`` is how often the
    sender was told that a frame was dropped (ENOBUFS): those are among the drops, and not
    missing. Further drops explain completed frames that were not delivered. Frames of
    ``frame_size`` bytes are checked through the byte counters. ``carrier_lost`` names ports that
    lost their carrier meanwhile: what is sent to one ends in its noop qdisc, which on most kernels
    counts nothing (net/sched/sch_generic.c, ``noop_enqueue``).
    """
    arrived = delivered(change, delivery)
    drops = change.qdisc.drops + change.tx.tx_dropped
    if delivery.hidden_backlog:
        drops += change.softnet_drops
    foreign = max(0, arrived - completed)
    still_queued = change.queued_after
    missing = max(0, completed - arrived - still_queued)
    lost = missing if carrier_lost else min(missing, max(0, drops - refused))
    unexplained = missing - lost
    problems = [
        _queued_before(change.queued_before),
        f"{_frames(still_queued)} still in the qdisc" if still_queued else "",
        "" if delivery.is_real and foreign <= FOREIGN_SHARE * completed else _foreign(foreign),
        f"delivered {arrived} of {completed} completed, {unexplained} unexplained"
        if unexplained
        else "",
        "" if foreign else _wrong_length(change, delivery, frame_size),
    ]
    return Accounting(
        delivered=arrived,
        lost=lost,
        qdisc_drops=change.qdisc.drops,
        device_drops=change.tx.tx_dropped,
        softnet_drops=min(missing, change.softnet_drops) if delivery.hidden_backlog else 0,
        foreign=foreign,
        problem="; ".join(filter(None, problems)),
        per_sink=arrivals(change, delivery) if len(change.sinks) > 1 else (),
        carrier_lost=carrier_lost if lost else "",
    )


def _risen(before: Sequence[int], after: Sequence[int], wrap: int) -> list[int]:
    return [(new - old) % wrap for old, new in zip(before, after, strict=True)]


def _frames(count: int) -> str:
    return f"{count} frame{'' if count == 1 else 's'}"


def _queued_before(count: int) -> str:
    return f"{_frames(count)} in the qdisc before the slice" if count else ""


def _foreign(count: int) -> str:
    return f"{count} foreign frame{'' if count == 1 else 's'}" if count else ""


def _wrong_length(change: Delta, delivery: Delivery, frame_size: int) -> str:
    arrived, arrived_bytes = sum(arrivals(change, delivery)), delivered_bytes(change, delivery)
    lengths = [frame_size]
    if delivery.is_real:  # some drivers count before padding, some after it, some with the FCS
        padded = max(frame_size, ETH_ZLEN)
        lengths += [padded, padded + ETH_FCS_LEN]
    if not arrived or arrived_bytes in [arrived * length for length in lengths]:
        return ""
    return f"wrong length: {arrived_bytes / arrived:.10g} bytes per frame, {frame_size} meant"


# Reading


class CounterReader:
    """Reads the counters of one topology, from any namespace, for as long as it is open.

    Use it as a context manager: it holds a netlink socket in each namespace whose interfaces
    it reads, and two open files. Raises BenchError if the kernel refuses a request.
    """

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        tx, sinks, queues = self._topology.tx, self._topology.sinks, self._topology.queues
        with ExitStack() as stack:
            namespaces = {port.netns_fd for port in (tx, *sinks, *queues)}
            sockets = {fd: stack.enter_context(_route_socket(fd)) for fd in namespaces}
            self._tx = _Question(sockets[tx.netns_fd], _stats_request(tx))
            self._qdiscs = [
                _Question(sockets[port.netns_fd], _qdisc_request(port))
                for port in (queues if self._topology.qdisc["kind"] != NO_QDISC else ())
            ]
            self._sinks = [
                _Question(sockets[sink.netns_fd], _stats_request(sink))
                for sink in (sinks if sinks != (tx,) else ())
            ]
            self._carriers = [
                (port.ifname, _Question(sockets[port.netns_fd], _link_request(port)))
                for port in queues
            ]
            self._downs = self._carrier_downs()
            self._softnet = stack.enter_context(_proc_file("/proc/net/softnet_stat"))
            self._softirqs = stack.enter_context(_proc_file("/proc/softirqs"))
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._resources.close()

    def carrier_lost(self) -> str:
        """The ports of the topology that lost their carrier since this was asked last."""
        before, self._downs = self._downs, self._carrier_downs()
        return ", ".join(name for name in before if self._downs[name] != before[name])

    def _carrier_downs(self) -> dict[str, int]:
        return {name: parse_carrier_downs(link.answer()) for name, link in self._carriers}

    def read(self) -> Counters:
        """One reading: counters are read one after the other, within tens of microseconds."""
        tx = parse_link(self._tx.answer())
        qdiscs = [parse_qdisc(qdisc.answer()) for qdisc in self._qdiscs]
        return Counters(
            tx=tx,
            sinks=tuple(parse_link(sink.answer()) for sink in self._sinks) or (tx,),
            qdisc=QdiscStats(*_sums([stats for stats, _ in qdiscs], QdiscStats._fields)),
            queued=sum(queued for _, queued in qdiscs),
            softnet_drops=parse_softnet(_content(self._softnet)),
            softirqs=parse_softirqs(_content(self._softirqs)),
        )


def settle(
    reader: CounterReader,
    before: Counters,
    judge: Callable[[Delta], Accounting],
    late_s: float,
) -> tuple[Accounting, Delta]:
    """``judge`` what changed, and again while what does not add up may be a late counter."""
    deadline = time.monotonic() + late_s
    while True:
        change = delta(before, reader.read())
        accounting = judge(change)
        is_final = not accounting.problem or accounting.foreign  # these do not become fewer
        if is_final or time.monotonic() >= deadline:
            return accounting, change
        time.sleep(_RETRY_S)


def _sums(rows: Sequence[Sequence[int]], fields: Sequence[str]) -> list[int]:
    return [sum(row[column] for row in rows) for column in range(len(fields))]


class CpuReader:
    """Reads what CPUs did, for as long as it is open; use it as a context manager.

    /proc/stat takes 10 us where there are twenty interrupts, /proc/interrupts, which would tell
    the CPU of each, 60.
    """

    def __enter__(self) -> Self:
        self._resources = ExitStack()
        self._stat = self._resources.enter_context(_proc_file("/proc/stat"))
        return self

    def __exit__(self, *exc: object) -> None:
        self._resources.close()

    def read(self, cpus: Collection[int]) -> CpuTime:
        return cpu_time(_content(self._stat).decode(), cpus)


@contextmanager
def _route_socket(netns_fd: int) -> Iterator[socket.socket]:
    with entered(netns_fd):
        route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with route:
        route.bind((0, 0))
        yield route


@contextmanager
def _proc_file(path: str) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _content(fd: int) -> bytes:
    """All of a file under /proc as it is now; a seq_file gives no more than a page at a time."""
    content = b""
    while part := os.pread(fd, _READ_SIZE, len(content)):
        content += part
    return content


_READ_SIZE = 1 << 16


# rtnetlink (include/uapi/linux: netlink.h, rtnetlink.h, if_link.h, gen_stats.h), native byte order

_NLMSG_ERROR = 2
_NLM_F_REQUEST, _NLM_F_ECHO = 0x1, 0x8
_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_RTM_NEWQDISC, _RTM_GETQDISC = 36, 38
_RTM_NEWSTATS, _RTM_GETSTATS = 92, 94
_IFLA_STATS_LINK_64 = 1
_IFLA_CARRIER_DOWN_COUNT = 48
_TCA_STATS2 = 7
_TCA_STATS_BASIC, _TCA_STATS_QUEUE = 1, 3
_TC_H_ROOT = 0xFFFFFFFF
_NLA_TYPE_MASK = 0x3FFF

_NLMSGHDR = struct.Struct("=IHHII")
_NLATTR = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
_IF_STATS_MSG = struct.Struct("=BBHII")
_IF_INFO_MSG = struct.Struct("=BxHiII")
_U32 = struct.Struct("=I")
_TCMSG = struct.Struct("=BBHiIII")
_LINK_STATS = struct.Struct("=4Q24xQ")
_BASIC = struct.Struct("=QI")
_QUEUE = struct.Struct("=I4xI")


class _Question:
    """A request that is asked again and again, and the one message that answers it."""

    def __init__(self, route: socket.socket, request: bytes) -> None:
        self._socket = route
        self._request = request

    def answer(self) -> bytes:
        self._socket.send(self._request)
        # rtnetlink answers a single request within the call that makes it.
        message = self._socket.recv(_READ_SIZE, socket.MSG_DONTWAIT)
        if _NLMSGHDR.unpack_from(message)[1] == _NLMSG_ERROR:
            (code,) = _ERROR.unpack_from(message, _NLMSGHDR.size)
            raise BenchError(f"cannot read the kernel's counters: {os.strerror(-code)}")
        return message


def _stats_request(port: Port) -> bytes:
    """RTM_GETSTATS of one interface, its link counters alone (net/core/rtnetlink.c)."""
    filter_mask = 1 << (_IFLA_STATS_LINK_64 - 1)
    return _message(_RTM_GETSTATS, _IF_STATS_MSG.pack(0, 0, 0, port.ifindex, filter_mask))


def _link_request(port: Port) -> bytes:
    """RTM_GETLINK of one interface."""
    return _message(_RTM_GETLINK, _IF_INFO_MSG.pack(0, 0, port.ifindex, 0, 0))


def _qdisc_request(port: Port) -> bytes:
    """RTM_GETQDISC of one root; not a dump, which lists the whole namespace.

    The kernel answers it as a notification, hence only if an echo is asked for
    (net/sched/sch_api.c, ``qdisc_get_notify``).
    """
    return _message(_RTM_GETQDISC, _TCMSG.pack(0, 0, 0, port.ifindex, 0, _TC_H_ROOT, 0))


def _message(kind: int, body: bytes) -> bytes:
    flags = _NLM_F_REQUEST | _NLM_F_ECHO
    return _NLMSGHDR.pack(_NLMSGHDR.size + len(body), kind, flags, 0, 0) + body


def parse_link(message: bytes) -> LinkStats:
    """The answer to RTM_GETSTATS."""
    start, _ = _attribute(message, _NLMSGHDR.size + _IF_STATS_MSG.size, _IFLA_STATS_LINK_64)
    return LinkStats(*_LINK_STATS.unpack_from(message, start))


def parse_carrier_downs(message: bytes) -> int:
    """The answer to RTM_GETLINK: how often the interface has lost its carrier."""
    start, _ = _attribute(message, _NLMSGHDR.size + _IF_INFO_MSG.size, _IFLA_CARRIER_DOWN_COUNT)
    return int(_U32.unpack_from(message, start)[0])


def parse_qdisc(message: bytes) -> tuple[QdiscStats, int]:
    """The answer to RTM_GETQDISC: what it counted, and the frames that are in it."""
    stats, end = _attribute(message, _NLMSGHDR.size + _TCMSG.size, _TCA_STATS2)
    basic, _ = _attribute(message, stats, _TCA_STATS_BASIC, end)
    queue, _ = _attribute(message, stats, _TCA_STATS_QUEUE, end)
    octets, packets = _BASIC.unpack_from(message, basic)
    qlen, drops = _QUEUE.unpack_from(message, queue)
    return QdiscStats(octets, packets, drops), qlen


def _attribute(message: bytes, at: int, wanted: int, end: int | None = None) -> tuple[int, int]:
    """Where the payload of an attribute begins and ends, searched from an offset."""
    end = len(message) if end is None else end
    while at + _NLATTR.size <= end:
        length, kind = _NLATTR.unpack_from(message, at)
        if kind & _NLA_TYPE_MASK == wanted:
            return at + _NLATTR.size, at + length
        at += max(_NLATTR.size, (length + 3) & ~3)
    raise BenchError(f"the kernel's answer has no attribute {wanted}: cannot read its counters")


# /proc


def parse_softnet(text: bytes) -> int:
    """/proc/net/softnet_stat: a line per CPU, in hexadecimal (net/core/net-procfs.c).

    Its second column: frames that a full backlog dropped, of the whole machine.
    """
    return sum(int(line.split(maxsplit=2)[1], 16) for line in text.splitlines())


def parse_softirqs(text: bytes) -> Softirqs:
    """/proc/softirqs: a line per softirq, a column per CPU (fs/proc/softirqs.c)."""
    return Softirqs(_row_sum(text, b"NET_TX:"), _row_sum(text, b"NET_RX:"))


def _row_sum(text: bytes, label: bytes) -> int:
    start = text.index(label) + len(label)
    return sum(map(int, text[start : text.index(b"\n", start)].split()))
