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
from types import TracebackType
from typing import Self

from bench.base.errors import BenchError
from bench.measure.accounting import (
    Accounting,
    Counters,
    Delta,
    LinkStats,
    QdiscStats,
    Softirqs,
    delta,
)
from bench.system.cpus import CpuTime, cpu_time
from bench.topology import NO_QDISC, Port, Topology, entered

_RETRY_S = 0.0005


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
