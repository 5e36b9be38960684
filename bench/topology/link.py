"""The parts of every interface kind: the row that describes it, and its netlink calls."""

from __future__ import annotations

import errno
import functools
import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bench.base import signals
from bench.base.errors import BenchError, UsageError
from bench.model.vocabulary import KindInfo
from bench.system import privileges
from bench.system.netlink import codec
from bench.system.netns import entered
from bench.topology import Delivery, Port

if TYPE_CHECKING:
    from pyroute2 import IPRoute

TX_NAME = "bench0"
RX_NAME = "bench1"
TX_MAC = bytes.fromhex("0262656e6300")
"""Locally administered: 02, then "benc", then the end of the link (00 sends, ff receives)."""
RX_MAC = bytes.fromhex("0262656e63ff")

ETHERNET_MTU = 1500
ETHERNET_HEADER = 14
CARRIER_TIMEOUT_S = 10.0
"""The kernel reports a carrier once a second (net/core/link_watch.c), later on a busy machine."""

_IFF_UP = 0x1
_IFF_LOWER_UP = 0x10000
_CLSACT_EGRESS = 0xFFFFFFF3
"""TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS): include/uapi/linux/pkt_sched.h."""
_ETH_P_ALL = 3
_NO_FRAME = "0xffffffff/0xffffffff+8"
"""A u32 key that no test frame has: bytes 22 to 25 are the pattern's 22, 23, 24, 25."""
_TARGET = 0x10001

_RTM_GETLINK, _RTM_SETLINK = 18, 19
_IFINFOMSG = struct.Struct("=BxHiII")
_IFLA_OPERSTATE, _IFLA_AF_SPEC, _IFLA_EXT_MASK = 16, 26, 29
_IFLA_INET6_ADDR_GEN_MODE, _ADDR_GEN_MODE_NONE = 8, 1
_RTEXT_FILTER_SKIP_STATS = 1 << 3
"""include/uapi/linux: rtnetlink.h, if_link.h"""

_STATES = ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"]
_UP_STATES = ("UP", "UNKNOWN")
"""RFC 2863 operational states in which frames pass; a device without link watch is UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Link:
    """An interface that is up, with all its ports.

    Senders open their sockets at ``tx``; frames arrive and can be captured at ``rx`` (none
    where they are swallowed). The counters of ``sinks``, summed, are the delivered frames, as
    ``delivery`` describes. ``queues`` are the ports that get the qdisc, if not ``tx``, and
    ``droppers`` those whose tx_dropped, summed, are the frames that were dropped on the way, if not
    ``tx``. ``mirror`` is a socket's descriptor: who reads all frames gives copies of them there to
    whoever asks (topology/tap_reader.py).
    ``rewrites_source``: the link may write another source address into a frame.
    ``may_reorder``: a frame may arrive before one that was sent earlier. ``drops_untold``: where a
    qdisc stands before it, it may drop a frame, and the sender never learns.
    """

    tx: Port
    rx: tuple[Port, ...]
    sinks: tuple[Port, ...]
    src_mac: bytes
    dst_mac: bytes
    delivery: Delivery = field(default_factory=Delivery)
    queues: tuple[Port, ...] = ()
    droppers: tuple[Port, ...] = ()
    mirror: int | None = None
    rewrites_source: bool = False
    may_reorder: bool = False
    drops_untold: bool = False


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the command line allows: real interfaces (``in_use``: even if others use them), and to
    run ``programs`` that a matrix names."""

    devices: tuple[str, ...] = ()
    in_use: bool = False
    programs: bool = False


@contextmanager
def _ours(_options: Any, _mtu: int, _qdisc: str | None, _allowed: Allowed) -> Iterator[None]:
    yield


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table of interface kinds.

    ``create`` takes the validated options and the least MTU in bytes; the interface is gone
    when its context ends, also if it fails midway. ``borrow`` surrounds it for an interface that
    is found, not made: it takes the kind of qdisc that will be set, too (None: none).
    ``module`` has the arguments of load_module(). ``ways`` takes the options and a number of flows:
    over how many ports, each with a qdisc of its own, frames are spread (None: there is but one).
    """

    info: KindInfo
    create: Callable[[Any, int], AbstractContextManager[Link]]
    borrow: Callable[[Any, int, str | None, Allowed], AbstractContextManager[None]] = _ours
    module: tuple[str, str] | None = None
    ways: Callable[[Any, int], int] | None = None


class Options(BaseModel):
    """The options of an interface kind or a qdisc: immutable; an unknown one is refused.

    The text below each is its description in the JSON Schema (matrix.schema.documented).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


MOST_FILTERS = 10_000
MOST_TXQUEUELEN = 524_288
"""pfifo_fast and a tap have an array of so many pointers, which is one allocation, at most of
KMALLOC_MAX_SIZE: include/linux/ptr_ring.h"""
MOST_QUEUES = 4096
"""rtnl_create_link() refuses more: net/core/rtnetlink.c"""
LEAST_MTU, MOST_MTU = 68, 65535


def mtu_up_to(most: int) -> AfterValidator:
    """An MTU, or 0."""

    def check(value: int) -> int:
        if value and not LEAST_MTU <= value <= most:
            raise ValueError(
                f"{value} is out of range; write {LEAST_MTU} to {most}, or 0 for what the cells "
                "need"
            )
        return value

    return AfterValidator(check)


class EthernetOptions(Options):
    """The options of every virtual Ethernet device that is made for a run."""

    mtu: Annotated[int, Field(strict=True), mtu_up_to(MOST_MTU)] = 0
    """Bytes of payload; 0: what the cells need, and 1500 at the least."""
    queues: int = Field(default=1, strict=True, ge=1, le=MOST_QUEUES)
    """Transmit queues (numtxqueues), and as many receive queues of the peer."""
    filters: int = Field(default=0, strict=True, ge=0, le=MOST_FILTERS)
    """u32 filters on the sending end's egress hook, none of which matches."""
    txqueuelen: int = Field(default=0, strict=True, ge=0, le=MOST_TXQUEUELEN)
    """Frames that pfifo_fast holds at the sending end; 0: the driver's own (veth 1000, ifb 32)."""


def queue_length(options: EthernetOptions) -> dict[str, int]:
    """The attribute of a new link that sets it, if it is asked for."""
    return {"txqlen": options.txqueuelen} if options.txqueuelen else {}


def mtu_of(options: EthernetOptions, needed: int) -> int:
    """The MTU to set, in bytes of payload."""
    return options.mtu or max(needed, ETHERNET_MTU)


@functools.cache
def pyroute() -> ModuleType:
    """The one module that imports pyroute2; only a process that needs it pays for that."""
    with signals.held():  # an import would swallow the exception of a signal
        from bench.system.netlink import pyroute as module
    return module


@contextmanager
def rtnl(netns_fd: int) -> Iterator[IPRoute]:
    """An rtnetlink socket in a namespace; the calling thread stays in it meanwhile.

    (``IPRoute(netns=...)`` would fork a child for it.) Do not hand it to another thread:
    IPRoute opens a further socket there, in that thread's namespace.
    """
    make = pyroute().IPRoute
    with entered(netns_fd), make(ext_ack=True) as ip:
        yield ip


@contextmanager
def refusals(doing: str, unknown: str = "") -> Iterator[None]:
    """Turn a netlink error into a BenchError, in the kernel's words (its extended ack).

    ``doing`` names the thing and the value; ``unknown`` is added if the kernel does not know the
    kind at all. A missing privilege is a UsageError.
    """
    try:
        yield
    except codec.Refused as error:
        raise _refusal(doing, unknown, error.code, os.strerror(error.code)) from error
    except pyroute().NetlinkError as error:
        raise _refusal(doing, unknown, *error.args) from error


def _refusal(doing: str, unknown: str, code: int, words: str) -> BenchError:
    if code == errno.EPERM:
        return UsageError(f"{doing}: not allowed: {privileges.remedy('CAP_NET_ADMIN')}")
    missing = unknown if code in (errno.EOPNOTSUPP, errno.ENOENT) else ""
    return BenchError("; ".join(filter(None, [f"{doing}: {words}", missing])))


def needs_config(*options: str) -> str:
    """The likely reason why a kernel does not know something: it was built without an option."""
    return f"this kernel may be without {' or '.join(options)}"


@functools.cache
def load_module(name: str, parameter: str) -> None:
    """Load a module that would make interfaces of its own on the host if the kernel loaded it.

    Does nothing if it is loaded, there is no modprobe, or CAP_SYS_MODULE is missing: the kernel
    then loads it on demand, without parameters, or refuses the kind.
    """
    if Path("/sys/module", name).exists():
        return
    with suppress(OSError):
        command = ["modprobe", "--quiet", name, parameter]
        subprocess.run(command, capture_output=True, check=False)


_CONFIG = {"vlan": "CONFIG_VLAN_8021Q"}
"""Of kinds that are not called as their option is."""


def add_link(ip: IPRoute, kind: str, **attributes: Any) -> None:
    """Create an interface; raises BenchError if the kernel lacks the kind or refuses a value."""
    doing = f"interface {kind} with MTU {attributes['mtu']}"
    with refusals(doing, needs_config(_CONFIG.get(kind, f"CONFIG_{kind.upper()}"))):
        ip.link("add", kind=kind, **attributes)


def port_of(netns_fd: int, ifname: str) -> Port:
    """An interface by its name in a namespace. Raises BenchError if there is none."""
    with entered(netns_fd):
        try:
            return Port(netns_fd, socket.if_nametoindex(ifname), ifname)
        except OSError as error:
            raise BenchError(f"interface {ifname}: there is none of this name") from error


def add_egress_filters(port: Port, number: int) -> None:
    """Put ``number`` u32 filters that match nothing on a port's clsact egress hook.

    Each frame passes all of them before its qdisc (net/core/dev.c, ``sch_handle_egress``): they
    show the cost of classifying, in steps of one filter. A qdisc bypass goes around them.
    """
    if not number:
        return
    unknown = needs_config("CONFIG_NET_SCH_INGRESS", "CONFIG_NET_CLS_U32")
    with rtnl(port.netns_fd) as ip, refusals(f"{number} egress filters", unknown):
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
    port = port_of(netns_fd, ifname)
    setting = refusals(f"interface {ifname}: cannot set it up")
    with codec.opened(netns_fd) as asking, setting:
        _keep_quiet(asking, port.ifindex)
        up = _IFINFOMSG.pack(0, 0, port.ifindex, _IFF_UP, _IFF_UP)
        codec.ask(asking, _RTM_SETLINK, 0, up)
    return port


def _keep_quiet(asking: socket.socket, ifindex: int) -> None:
    """Give it no IPv6 address when it comes up: then it announces none (addrconf.c)."""
    mode = codec.attribute(_IFLA_INET6_ADDR_GEN_MODE, bytes([_ADDR_GEN_MODE_NONE]))
    inet6 = codec.attribute(socket.AF_INET6, mode)
    body = _IFINFOMSG.pack(0, 0, ifindex, 0, 0) + codec.attribute(_IFLA_AF_SPEC, inet6)
    try:
        codec.ask(asking, _RTM_SETLINK, 0, body)
    except codec.Refused as error:
        if error.code != errno.EAFNOSUPPORT:  # no IPv6, or the MTU is too small for it
            raise


def wait_until_up(port: Port, timeout_s: float | None = None) -> None:
    """Wait for the carrier and the operational state of a port that was set up.

    Before that, frames sent to it end in the noop qdisc (net/sched/sch_generic.c,
    ``dev_activate``). Raises BenchError after ``timeout_s``, by default CARRIER_TIMEOUT_S.
    """
    timeout_s = CARRIER_TIMEOUT_S if timeout_s is None else timeout_s
    deadline, nap_s = time.monotonic() + timeout_s, 0.0005
    wanted = _IFF_UP | _IFF_LOWER_UP
    with codec.opened(port.netns_fd) as asking:
        while True:
            flags, state = _condition(asking, port)
            if flags & wanted == wanted and state in _UP_STATES:
                return
            if time.monotonic() > deadline:
                raise BenchError(
                    f"interface {port.ifname}: no carrier after {timeout_s:g} s, "
                    f"its state is {state}"
                )
            time.sleep(nap_s)
            nap_s = min(2 * nap_s, 0.02)


def _condition(asking: socket.socket, port: Port) -> tuple[int, str]:
    """The flags and the operational state of an interface."""
    body = _IFINFOMSG.pack(0, 0, port.ifindex, 0, 0)
    body += codec.attribute(_IFLA_EXT_MASK, struct.pack("=I", _RTEXT_FILTER_SKIP_STATS))
    try:
        (message,) = codec.ask(asking, _RTM_GETLINK, 0, body)
    except BenchError as error:
        raise BenchError(f"interface {port.ifname}: {error}") from error
    _, _, _, flags, _ = _IFINFOMSG.unpack_from(message)
    told = dict(codec.attributes(message[_IFINFOMSG.size :]))
    return flags, _STATES[told[_IFLA_OPERSTATE][0]]
