"""Counters of interfaces and qdiscs, asked for again and again: microseconds each.

(include/uapi/linux: rtnetlink.h, if_link.h, gen_stats.h.)
"""

from __future__ import annotations

import os
import socket
import struct
from typing import NamedTuple

from bench.base.errors import BenchError
from bench.system.netlink import codec
from bench.system.netlink.codec import Question, payload_of

_RTM_GETLINK, _RTM_GETQDISC, _RTM_GETSTATS = 18, 38, 94


_IFLA_STATS_LINK_64 = 1


_IFLA_EXT_MASK, _IFLA_CARRIER_DOWN_COUNT = 29, 48


_RTEXT_FILTER_SKIP_STATS = 1 << 3


_TCA_STATS2 = 7


_TCA_STATS_BASIC, _TCA_STATS_QUEUE = 1, 3


_TC_H_ROOT = 0xFFFFFFFF


_IF_STATS_MSG = struct.Struct("=BBHII")


_IF_INFO_MSG = struct.Struct("=BxHiII")


_U32 = struct.Struct("=I")


_TCMSG = struct.Struct("=BBHiIII")


_LINK_STATS = struct.Struct("=4Q24xQ")


_BASIC = struct.Struct("=QI")


_QUEUE = struct.Struct("=I4xI")


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


class LinkCounters:
    """RTM_GETSTATS of one interface, its link counters alone (net/core/rtnetlink.c).

    They stand in the same place of each answer of the same length.
    """

    def __init__(self, asking: socket.socket, ifindex: int) -> None:
        filter_mask = 1 << (_IFLA_STATS_LINK_64 - 1)
        body = _IF_STATS_MSG.pack(0, 0, 0, ifindex, filter_mask)
        self._question = Question(asking, _RTM_GETSTATS, 0, body)
        self._length = self._place = 0

    def read(self) -> LinkStats:
        told = _answer(self._question)
        if len(told) != self._length:
            self._length, self._place = len(told), place_of_link(told)
        return LinkStats(*_LINK_STATS.unpack_from(told, self._place))


class CarrierDowns:
    """RTM_GETLINK of one interface: how often it has lost its carrier.

    The answer has some hundred attributes, in the same places while it is as long.
    """

    def __init__(self, asking: socket.socket, ifindex: int) -> None:
        body = _IF_INFO_MSG.pack(0, 0, ifindex, 0, 0)
        body += codec.attribute(_IFLA_EXT_MASK, _U32.pack(_RTEXT_FILTER_SKIP_STATS))
        self._question = Question(asking, _RTM_GETLINK, 0, body)
        self._length = self._place = 0

    def read(self) -> int:
        told = _answer(self._question)[_IF_INFO_MSG.size :]
        if len(told) != self._length:
            self._length, self._place = len(told), codec.place_of(_IFLA_CARRIER_DOWN_COUNT, told)
        return int(_U32.unpack_from(told, self._place)[0])


class QdiscCounters:
    """RTM_GETQDISC of one root; not a dump, which lists the whole namespace.

    The kernel answers it as a notification, hence only if an echo is asked for
    (net/sched/sch_api.c, ``qdisc_get_notify``).
    """

    def __init__(self, asking: socket.socket, ifindex: int) -> None:
        body = _TCMSG.pack(0, 0, 0, ifindex, 0, _TC_H_ROOT, 0)
        self._question = Question(asking, _RTM_GETQDISC, codec.ECHO, body)

    def read(self) -> tuple[QdiscStats, int]:
        """What it counted, and the frames that are in it."""
        return parse_qdisc(_answer(self._question))


def _answer(question: Question) -> bytes:
    try:
        return question.answer()
    except codec.Refused as error:
        raise BenchError(f"cannot read the kernel's counters: {os.strerror(error.code)}") from error


def place_of_link(body: bytes) -> int:
    """Where the counters begin in the answer to RTM_GETSTATS. Raises BenchError."""
    head = _IF_STATS_MSG.size
    return head + codec.place_of(_IFLA_STATS_LINK_64, body[head:])


def parse_qdisc(body: bytes) -> tuple[QdiscStats, int]:
    """The answer to RTM_GETQDISC: what it counted, and the frames that are in it."""
    stats = payload_of(_TCA_STATS2, body[_TCMSG.size :])
    octets, packets = _BASIC.unpack_from(payload_of(_TCA_STATS_BASIC, stats))
    qlen, drops = _QUEUE.unpack_from(payload_of(_TCA_STATS_QUEUE, stats))
    return QdiscStats(octets, packets, drops), qlen
