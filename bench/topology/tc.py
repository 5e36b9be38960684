"""What all rows of the table of qdiscs have in common: their type, and messages to the kernel.

tc's sums in user space are done here in the kernel's own units. pyroute2 rounds a burst to whole
microseconds of its rate: at 10 Gbit/s a burst of 2000 bytes becomes 1200, and tbf drops every
frame longer than its burst.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from bench.base.errors import BenchError
from bench.base.written import Bytes
from bench.model.shaper import Shaper
from bench.model.vocabulary import KindInfo

if TYPE_CHECKING:
    from pyroute2 import IPRoute

ROOT = 0xFFFFFFFF
"""TC_H_ROOT: include/uapi/linux/pkt_sched.h"""
HANDLE, OTHER_HANDLE = 0x10000, 0x20000
"""1: and 2:, as tc shows them."""
U32_MAX = 2**32 - 1
TICK_NS = 64
"""PSCHED_SHIFT is 6: include/net/pkt_sched.h"""
LINKLAYER_ETHERNET = 1
"""With a link layer given, the kernel needs no rate table: net/sched/sch_api.c."""


def between(low: int, high: int) -> AfterValidator:
    """Bounds; those of Field(ge=, le=) would leak into the JSON Schema, where text is allowed."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise ValueError(f"{value} is out of range; write {low} to {high}")
        return value

    return AfterValidator(check)


Frames = Annotated[int, Field(strict=True, ge=1, le=U32_MAX)]
ByteLimit = Annotated[Bytes, between(1, U32_MAX)]


@dataclass(frozen=True, slots=True)
class Qdisc:
    """One row of the table of qdiscs.

    ``install`` sets it at the root of an interface (netlink, ifindex, options); ``read`` returns
    the same options as the kernel has them now. ``largest_frame`` is the longest frame in bytes
    that ever passes (None: no limit). ``shaper`` takes options and a frame size in bytes (None:
    frames leave as fast as the device takes them). ``loses``: it drops frames without a word to
    who sent them. ``delay_ns``: how long a frame stays in it by itself. ``missing`` says why a
    kernel does not know it (empty: it lacks the option named after the qdisc).
    """

    info: KindInfo
    install: Callable[[IPRoute, int, Any], None]
    read: Callable[[IPRoute, int, Any], dict[str, Any]]
    largest_frame: Callable[[Any], int | None] = lambda _options: None
    shaper: Callable[[Any, int], Shaper | None] = lambda _options, _frame_size: None
    loses: Callable[[Any], bool] = lambda _options: False
    delay_ns: Callable[[Any], int] = lambda _options: 0
    missing: str = ""


# Messages to and from the kernel, in its own units


def at(ip: IPRoute, ifindex: int, parent: int) -> Any:
    """The qdisc below a parent; None: the kernel lists none."""
    for message in ip.get_qdiscs(index=ifindex):
        if (message["index"], message["parent"]) == (ifindex, parent):
            return message
    return None


def qdisc_at(ip: IPRoute, ifindex: int, parent: int, kind: str) -> Any:
    """The TCA_OPTIONS of the qdisc below a parent, which must be of this kind."""
    present = at(ip, ifindex, parent)
    found = present.get_attr("TCA_KIND") if present else "none there"
    if found != kind:
        raise BenchError(f"qdisc {kind} was set, but the kernel has {found}")
    return present.get_attr("TCA_OPTIONS")


def replace_root(ip: IPRoute, ifindex: int, kind: str, options: Mapping[str, Any]) -> int:
    """Set a root qdisc, with another handle than the present one. Returns the new handle.

    With the same handle the kernel would change the present qdisc instead of replacing it, and
    refuses another kind (net/sched/sch_api.c, ``tc_modify_qdisc``).
    """
    present = at(ip, ifindex, ROOT)
    handle = OTHER_HANDLE if present and present["handle"] == HANDLE else HANDLE
    given = {"options": options} if options else {}  # mq has none, not even empty ones
    ip.tc("replace", kind, ifindex, handle=handle, **given)
    return handle


def rate_fields(name: str, bit_rate: int) -> dict[str, int]:
    """A struct tc_ratespec; its rate has 32 bits, the attribute beside it has all 64."""
    return {name: min(bit_rate // 8, U32_MAX), f"{name}_linklayer": LINKLAYER_ETHERNET}


def bit_rate(options: Any, parms: Any, attribute: str) -> int:
    """Bits per second; the kernel sends the 64-bit attribute only if 32 bits are too few."""
    return int((options.get_attr(attribute) or parms["rate"]) * 8)


def burst_ticks(burst: int, bit_rate: int) -> int:
    """Ticks to send a burst at a rate, rounded up so that it fits."""
    return -(-burst * 8 * 10**9 // (bit_rate * TICK_NS))


def burst_bytes(ticks: int, bit_rate: int) -> int:
    return ticks * TICK_NS * bit_rate // (8 * 10**9)
