"""What every kind of interface is made of: the row that describes it, and its netlink calls."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from bench.errors import BenchError
from bench.model import KindInfo
from bench.topology.netns import entered

TX_NAME = "bench0"
RX_NAME = "bench1"
TX_MAC = bytes.fromhex("0262656e6300")
"""Locally administered: 02, then "benc", then the end of the link (00 sends, ff receives)."""
RX_MAC = bytes.fromhex("0262656e63ff")

ETHERNET_MTU = 1500
ETHERNET_HEADER = 14
CARRIER_TIMEOUT_S = 2.0

_IFF_UP = 0x1
_IFF_LOWER_UP = 0x10000
_CLSACT_EGRESS = 0xFFFFFFF3
"""TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS): include/uapi/linux/pkt_sched.h."""
_ETH_P_ALL = 3
_NO_FRAME = "0xffffffff/0xffffffff+8"
"""A u32 key that no test frame has: bytes 22 to 25 are the pattern's 22, 23, 24, 25."""
_TARGET = 0x10001

_UP_STATES = ("UP", "UNKNOWN")
"""RFC 2863 operational states in which frames pass; a device without link watch is UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Port:
    """One end of a link: an interface in a namespace."""

    netns_fd: int
    ifindex: int
    ifname: str


@dataclass(frozen=True, slots=True)
class Link:
    """An interface that is up, with all that belongs to it.

    Senders open their sockets at ``tx``; frames arrive and can be captured at ``rx`` (None
    where they are swallowed). ``sinks`` are the ports whose counters, summed, are the
    delivered frames. ``mtu`` in bytes of payload, as the kernel has it.
    """

    tx: Port
    rx: Port | None
    sinks: tuple[Port, ...]
    src_mac: bytes
    dst_mac: bytes
    mtu: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the kernel counts frames that were delivered over a kind of link.

    ``direction`` says which counters of the sinks: ``rx`` (rx_packets, rx_bytes) or ``tx``.
    ``header_left_out`` is how many bytes of each frame the byte counter does not count.
    ``hidden_backlog``: a frame dropped at a full softnet backlog shows in no drop counter of
    the sending device, only in /proc/net/softnet_stat.
    """

    direction: Literal["rx", "tx"] = "rx"
    header_left_out: int = 0
    hidden_backlog: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table of interface kinds.

    ``create`` takes the validated options and the least MTU in bytes; what it makes is gone
    when its context ends, also where it fails midway.
    """

    info: KindInfo
    create: Callable[[Any, int], AbstractContextManager[Link]]
    delivery: Delivery


MAX_FILTERS = 10_000


class Options(BaseModel):
    """The options of an interface kind or a qdisc: immutable, and no others than those named."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@contextmanager
def rtnl(netns_fd: int) -> Iterator[IPRoute]:
    """An rtnetlink socket in a namespace, with the calling thread in it meanwhile.

    (``IPRoute(netns=...)`` would fork a child for it.) Do not hand it to another thread:
    IPRoute opens a further socket there, in that thread's namespace.
    """
    with entered(netns_fd), IPRoute(ext_ack=True) as ip:
        yield ip


@contextmanager
def refusals(doing: str, lacking: str = "") -> Iterator[None]:
    """Turn a netlink error into a BenchError, in the kernel's words (its extended ack).

    ``doing`` names the thing and the value, ``lacking`` the kernel option that is off if the
    kernel does not know the kind at all.
    """
    try:
        yield
    except NetlinkError as error:
        code, words = error.args
        unknown = lacking if code in (errno.EOPNOTSUPP, errno.ENOENT) else ""
        need = "needs root (CAP_NET_ADMIN)" if code == errno.EPERM else ""
        raise BenchError("; ".join(filter(None, [f"{doing}: {words}", unknown, need]))) from error


def add_link(ip: IPRoute, kind: str, **attributes: Any) -> None:
    """Create an interface; raises BenchError if the kernel lacks the kind or refuses a value."""
    mtu = attributes["mtu"]
    lacking = f"this kernel may be without CONFIG_{kind.upper()}"
    with refusals(f"interface {kind} with MTU {mtu}", lacking):
        ip.link("add", kind=kind, **attributes)


def add_egress_filters(port: Port, number: int) -> None:
    """Put so many u32 filters that match nothing on a port's clsact egress hook.

    Each frame passes all of them before its qdisc (net/core/dev.c, ``sch_handle_egress``): what
    classifying costs, in steps of one filter. A qdisc bypass goes around them.
    """
    if not number:
        return
    lacking = "this kernel may be without CONFIG_NET_SCH_INGRESS or CONFIG_NET_CLS_U32"
    with rtnl(port.netns_fd) as ip, refusals(f"{number} egress filters", lacking):
        ip.tc("add", "clsact", port.ifindex)
        for _ in range(number):
            ip.tc(
                "add-filter",
                "u32",
                port.ifindex,
                parent=_CLSACT_EGRESS,
                prio=1,
                protocol=_ETH_P_ALL,
                keys=[_NO_FRAME],
                target=_TARGET,
            )


def set_up(netns_fd: int, ifname: str) -> Port:
    """Set an interface up, without waiting for its carrier."""
    with rtnl(netns_fd) as ip, refusals(f"interface {ifname}: cannot set it up"):
        ifindex = ip.link("get", ifname=ifname)[0]["index"]
        ip.link("set", index=ifindex, state="up")
    return Port(netns_fd, ifindex, ifname)


def wait_until_up(port: Port) -> int:
    """Wait for the carrier and the operational state of a port that was set up; its MTU in bytes.

    Before that, frames sent to it end in the noop qdisc (net/sched/sch_generic.c,
    ``dev_activate``). Raises BenchError after CARRIER_TIMEOUT_S.
    """
    deadline = time.monotonic() + CARRIER_TIMEOUT_S
    wanted = _IFF_UP | _IFF_LOWER_UP
    with rtnl(port.netns_fd) as ip, refusals(f"interface {port.ifname}"):
        while True:
            link = ip.link("get", index=port.ifindex)[0]
            state = link.get("operstate")
            if link["flags"] & wanted == wanted and state in _UP_STATES:
                return int(link.get("mtu"))
            if time.monotonic() > deadline:
                raise BenchError(
                    f"interface {port.ifname}: no carrier after {CARRIER_TIMEOUT_S:g} s, "
                    f"its state is {state}"
                )
            time.sleep(0.001)
