"""The queueing disciplines that a matrix may name, set at the root and read back.

Plain queues and shapers are here, the others in schedulers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from bench.base.errors import BenchError
from bench.base.units import duration_text, parse_bytes, parse_duration, parse_rate
from bench.base.written import BitRate, DurationNs
from bench.model.shaper import Shaper
from bench.model.vocabulary import KindInfo
from bench.topology import Port, schedulers, tc
from bench.topology.link import (
    ETHERNET_HEADER,
    ETHERNET_MTU,
    Options,
    needs_config,
    refusals,
    rtnl,
)
from bench.topology.tc import ByteLimit, Frames, Qdisc, between

if TYPE_CHECKING:
    from pyroute2 import IPRoute

MOST_LATENCY_NS = 3600 * 10**9
_ROUNDING = 0.01
_BYTE_NS = 8 * 10**9
"""Nanoseconds that a byte takes at 1 bit/s."""


Rate = Annotated[BitRate, between(1000, 10**15)]


class Bucket(Options):
    """A token bucket: the common part of tbf and htb."""

    rate: Rate
    """Bits per second that leave the queue."""
    burst: ByteLimit
    """Bytes that may leave at once after a pause."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if tc.burst_ticks(self.burst, self.rate) > tc.U32_MAX:
            raise ValueError(
                f"burst {self.burst} lasts {self.burst * 8 // self.rate} s at rate {self.rate}; "
                f"at most {tc.U32_MAX * tc.TICK_NS // 10**9} s are allowed"
            )
        return self


def install(port: Port, kind: str, options: Options) -> dict[str, Any]:
    """Set a qdisc at the root of a port and read it back. Returns the canonical value in effect.

    A value that the kernel rounds is returned rounded. Raises BenchError if the kernel lacks the
    qdisc, refuses an option or ignores one.
    """
    row = QDISCS[kind]
    config = needs_config(f"CONFIG_NET_{_CONFIG.get(kind, f'SCH_{kind.upper()}')}")
    unknown = row.missing or config
    with rtnl(port.netns_fd) as ip, refusals(f"qdisc {kind} on {port.ifname}", unknown):
        row.install(ip, port.ifindex, options)
        effective = row.read(ip, port.ifindex, options)
    _check(kind, options.model_dump(), effective)
    return {"kind": kind, **effective}


def kept(port: Port) -> dict[str, Any]:
    """The qdisc that a port already has at its root, by its kind alone."""
    with rtnl(port.netns_fd) as ip, refusals(f"qdisc of {port.ifname}"):
        present = tc.at(ip, port.ifindex, tc.ROOT)
    return {"kind": present.get_attr("TCA_KIND") if present else "noqueue"}


def _check(kind: str, asked: Mapping[str, Any], effective: Mapping[str, Any]) -> None:
    """Raises BenchError unless the kernel has the values asked for, except for rounding."""
    for name, value in asked.items():
        if not _is_met(name, asked, effective[name]):
            raise BenchError(
                f"qdisc {kind}: {name} {value} was asked, the kernel set {effective[name]}; "
                "ask for a value that it can hold"
            )


def _is_met(name: str, asked: Mapping[str, Any], found: Any) -> bool:
    wanted = asked[name]
    if isinstance(wanted, str):
        return bool(wanted == found)
    slack = max(_ROUNDING * wanted, _tick_bytes(asked) if name == "burst" else 0)
    return bool(abs(found - wanted) <= slack)


def _tick_bytes(asked: Mapping[str, Any]) -> float:
    return int(asked["rate"]) / 8 * tc.TICK_NS / 1e9


# noqueue


class NoqueueOptions(Options):
    """noqueue has no options."""


def _install_noqueue(ip: IPRoute, ifindex: int, _options: NoqueueOptions) -> None:
    ip.tc("replace", "noqueue", ifindex)


def _read_noqueue(ip: IPRoute, ifindex: int, _options: NoqueueOptions) -> dict[str, int]:
    tc.qdisc_at(ip, ifindex, tc.ROOT, "noqueue")
    return {}


# pfifo and bfifo


class PfifoOptions(Options):
    limit: Frames = 1000
    """Most frames in the queue; 1000 is the kernel's default on a veth (its txqueuelen)."""


class BfifoOptions(Options):
    limit: ByteLimit = 1000 * (ETHERNET_MTU + ETHERNET_HEADER)
    """Most bytes in the queue; the default is the kernel's on a veth: 1000 frames of 1514."""


def _fifo_installer(kind: str) -> Callable[[IPRoute, int, Any], None]:
    def install_fifo(ip: IPRoute, ifindex: int, options: PfifoOptions | BfifoOptions) -> None:
        tc.replace_root(ip, ifindex, kind, {"limit": options.limit})

    return install_fifo


def _fifo_reader(kind: str) -> Callable[[IPRoute, int, Any], dict[str, int]]:
    def read_fifo(ip: IPRoute, ifindex: int, _options: Options) -> dict[str, int]:
        return {"limit": tc.qdisc_at(ip, ifindex, tc.ROOT, kind)["limit"]}

    return read_fifo


# pfifo_fast


class PfifoFastOptions(Options):
    """pfifo_fast has no options: its length is the interface's txqueuelen."""


def _install_pfifo_fast(ip: IPRoute, ifindex: int, _options: PfifoFastOptions) -> None:
    tc.replace_root(ip, ifindex, "pfifo_fast", {})


def _read_pfifo_fast(ip: IPRoute, ifindex: int, _options: PfifoFastOptions) -> dict[str, int]:
    tc.qdisc_at(ip, ifindex, tc.ROOT, "pfifo_fast")
    return {}


# tbf


def _limit_or_latency(schema: dict[str, Any]) -> None:
    if "limit" in schema.get("required", ()):
        schema["required"] = [name for name in schema["required"] if name != "limit"]
        schema["oneOf"] = [{"required": ["limit"]}, {"required": ["latency"]}]


class TbfOptions(Bucket):
    model_config = ConfigDict(json_schema_extra=_limit_or_latency)

    burst: ByteLimit
    """Size of the bucket in bytes; no frame longer than this ever passes."""
    limit: ByteLimit
    """Most bytes that wait for tokens."""
    latency: Annotated[DurationNs, between(1, MOST_LATENCY_NS)] | None = Field(None, exclude=True)
    """Instead of limit, as tc(8) has it: how long a frame may wait for tokens."""

    @model_validator(mode="before")
    @classmethod
    def _limit_of_latency(cls, given: Any) -> Any:
        """The bytes that leave in so long, and the bucket's. Raises ValueError.

        Where another option is missing or wrong, that is told of it alone.
        """
        if not isinstance(given, dict) or given.get("latency") is None:
            return given
        if "limit" in given:
            raise ValueError("latency and limit are two ways to say one thing; write one of them")
        try:
            latency_ns, rate = parse_duration(given["latency"]), parse_rate(given["rate"])
            burst = parse_bytes(given["burst"])
        except (KeyError, ValueError):
            return given | {"limit": 1}
        limit = burst + rate * latency_ns // _BYTE_NS
        if burst < tc.U32_MAX < limit and rate > 0 and latency_ns <= MOST_LATENCY_NS:
            longest = duration_text((tc.U32_MAX - burst) * _BYTE_NS // rate)
            raise ValueError(
                f"latency {given['latency']} at this rate is a queue of {limit} bytes; "
                f"at most {tc.U32_MAX}: write latency: {longest}"
            )
        return given | {"limit": limit}


def _install_tbf(ip: IPRoute, ifindex: int, options: TbfOptions) -> None:
    parms = {**tc.rate_fields("rate", options.rate), "limit": options.limit}
    attributes = [
        ("TCA_TBF_PARMS", parms),
        ("TCA_TBF_RATE64", options.rate // 8),
        ("TCA_TBF_BURST", options.burst),
    ]
    tc.replace_root(ip, ifindex, "tbf", {"attrs": attributes})


def _read_tbf(ip: IPRoute, ifindex: int, asked: TbfOptions) -> dict[str, int]:
    """net/sched/sch_tbf.c, ``tbf_dump``: the bucket comes back as a time, in ticks."""
    options = tc.qdisc_at(ip, ifindex, tc.ROOT, "tbf")
    parms = options.get_attr("TCA_TBF_PARMS")
    rate = tc.bit_rate(options, parms, "TCA_TBF_RATE64")
    as_asked = abs(parms["buffer"] - tc.burst_ticks(asked.burst, rate)) <= 1
    burst = asked.burst if as_asked else tc.burst_bytes(parms["buffer"], rate)
    return {"rate": rate, "burst": burst, "limit": parms["limit"]}


# htb


class HtbOptions(Bucket):
    """One class that takes every frame, with a pfifo in it; its ceiling is its rate."""

    burst: ByteLimit = 1600
    """Bytes that may leave at once after a pause; the default is tc's."""
    limit: Frames = 1000
    """Most frames in the class's pfifo."""


_HTB_CLASS = 1
"""The number of the class below its qdisc's handle."""
_HTB_VERSION = 3
_HTB_R2Q = 10
_HTB_QUANTUM = 60_000


def _install_htb(ip: IPRoute, ifindex: int, options: HtbOptions) -> None:
    glob = {
        "version": _HTB_VERSION,
        "rate2quantum": _HTB_R2Q,
        "defcls": _HTB_CLASS,
    }
    ticks = tc.burst_ticks(options.burst, options.rate)
    parms = {
        **tc.rate_fields("rate", options.rate),
        **tc.rate_fields("ceil", options.rate),
        "buffer": ticks,
        "cbuffer": ticks,
        # Bytes that a class sends before its siblings; it has none, but the kernel warns about 0.
        "quantum": _HTB_QUANTUM,
    }
    of_class = [
        ("TCA_HTB_PARMS", parms),
        ("TCA_HTB_RATE64", options.rate // 8),
        ("TCA_HTB_CEIL64", options.rate // 8),
    ]
    of_root = [("TCA_HTB_INIT", glob)]
    root = tc.replace_root(ip, ifindex, "htb", {"attrs": of_root})
    only = root | _HTB_CLASS
    ip.tc("add-class", "htb", ifindex, handle=only, parent=root, options={"attrs": of_class})
    ip.tc("add", "pfifo", ifindex, handle="10:", parent=only, options={"limit": options.limit})


def _read_htb(ip: IPRoute, ifindex: int, _asked: HtbOptions) -> dict[str, int]:
    tc.qdisc_at(ip, ifindex, tc.ROOT, "htb")
    (shaped,) = ip.get_classes(index=ifindex)
    options = shaped.get_attr("TCA_OPTIONS")
    parms = options.get_attr("TCA_HTB_PARMS")
    rate = tc.bit_rate(options, parms, "TCA_HTB_RATE64")
    return {
        "rate": rate,
        "burst": tc.burst_bytes(parms["buffer"], rate),
        "limit": tc.qdisc_at(ip, ifindex, shaped["handle"], "pfifo")["limit"],
    }


# The table

_CONFIG = {"pfifo": "SCH_FIFO", "bfifo": "SCH_FIFO", "pfifo_fast": "SCHED"}
"""Kernel options whose name is not the qdisc's."""

_ROWS = (
    Qdisc(
        info=KindInfo("noqueue", "no qdisc: the device is called at once", NoqueueOptions),
        install=_install_noqueue,
        read=_read_noqueue,
    ),
    Qdisc(
        info=KindInfo("pfifo", "first in, first out, bounded in frames", PfifoOptions),
        install=_fifo_installer("pfifo"),
        read=_fifo_reader("pfifo"),
    ),
    Qdisc(
        info=KindInfo("bfifo", "first in, first out, bounded in bytes", BfifoOptions),
        install=_fifo_installer("bfifo"),
        read=_fifo_reader("bfifo"),
        largest_frame=lambda options: int(options.limit),
    ),
    Qdisc(
        info=KindInfo(
            "pfifo_fast", "the kernel's own default: three bands without a lock", PfifoFastOptions
        ),
        install=_install_pfifo_fast,
        read=_read_pfifo_fast,
    ),
    Qdisc(
        info=KindInfo("tbf", "token bucket: shapes to a rate, and so makes a queue", TbfOptions),
        install=_install_tbf,
        read=_read_tbf,
        largest_frame=lambda options: int(min(options.burst, options.limit)),
        shaper=lambda options, size: Shaper(options.rate, options.burst, options.limit // size),
    ),
    Qdisc(
        info=KindInfo("htb", "hierarchical token bucket with one class", HtbOptions),
        install=_install_htb,
        read=_read_htb,
        shaper=lambda options, _size: Shaper(options.rate, options.burst, options.limit),
    ),
    *schedulers.ROWS,
)

QDISCS: Mapping[str, Qdisc] = MappingProxyType({row.info.name: row for row in _ROWS})
