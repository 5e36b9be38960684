"""The qdiscs that hosts have beside plain queues and shapers: fq_codel, fq, prio, netem, mq."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from bench.base.errors import BenchError
from bench.base.units import duration_text, parse_duration, parse_part
from bench.base.written import Bytes, Part, duration_between
from bench.model.vocabulary import KindInfo
from bench.topology import tc
from bench.topology.link import ETHERNET_HEADER, ETHERNET_MTU, Options, needs_config, refusals
from bench.topology.tc import Frames, Qdisc, between

if TYPE_CHECKING:
    from pyroute2 import IPRoute

MOST_MEMORY = 2**31
"""fq_codel_change() cuts more to it without a word."""
MOST_DELAY_NS = 500_000_000
"""A slice waits for the frames in the queue, and so long a slice may take."""
_SECOND_NS = 10**9


Wait = Annotated[str, duration_between(1000, _SECOND_NS)]

# fq_codel


class FqCodelOptions(Options):
    """fq_codel drops a frame that waited too long, or the oldest one of the longest flow where its
    room is used up. Its sender never learns (NET_XMIT_CN is no error): frames are lost."""

    limit: Frames = 10_240
    """Most frames in all flows."""
    flows: Annotated[int, Field(strict=True, ge=1, le=65_536)] = 1024
    """Queues that a hash spreads flows over."""
    target: Wait = "5ms"
    """How long a frame may wait."""
    interval: Wait = "100ms"
    """For how long frames may wait longer before one is dropped."""
    quantum: Annotated[Bytes, between(256, 2**20)] = ETHERNET_MTU + ETHERNET_HEADER
    """Bytes that a flow sends before the next one's turn."""
    memory_limit: Annotated[Bytes, between(1, MOST_MEMORY)] = 32 << 20
    """Most bytes of all frames, as the kernel charges them."""


_FQ_CODEL = {
    "limit": "TCA_FQ_CODEL_LIMIT",
    "flows": "TCA_FQ_CODEL_FLOWS",
    "quantum": "TCA_FQ_CODEL_QUANTUM",
    "memory_limit": "TCA_FQ_CODEL_MEMORY_LIMIT",
}
_FQ_CODEL_US = {"target": "TCA_FQ_CODEL_TARGET", "interval": "TCA_FQ_CODEL_INTERVAL"}
_CODEL_UNIT_NS = 1024
"""CODEL_SHIFT is 10: 5 ms come back as 4999 us (include/net/codel.h)."""


def _install_fq_codel(ip: IPRoute, ifindex: int, options: FqCodelOptions) -> None:
    asked = options.model_dump()
    attributes = [(name, asked[key]) for key, name in _FQ_CODEL.items()]
    attributes += [(n, -(-parse_duration(asked[k]) // 1000)) for k, n in _FQ_CODEL_US.items()]
    tc.replace_root(ip, ifindex, "fq_codel", {"attrs": attributes})


def _read_fq_codel(ip: IPRoute, ifindex: int, asked: FqCodelOptions) -> dict[str, Any]:
    options = tc.qdisc_at(ip, ifindex, tc.ROOT, "fq_codel")
    wanted = asked.model_dump()
    waits = {
        key: _rounded(wanted[key], options.get_attr(name) * 1000)
        for key, name in _FQ_CODEL_US.items()
    }
    return {key: options.get_attr(name) for key, name in _FQ_CODEL.items()} | waits


def _rounded(asked: str, found_ns: int) -> str:
    """A duration as it was asked for, if the kernel only rounded it."""
    off_ns = abs(parse_duration(asked) - found_ns)
    return asked if off_ns <= _CODEL_UNIT_NS + 1000 else duration_text(found_ns)


# fq


class FqOptions(Options):
    """fq queues each socket for itself, and refuses more frames than its limits: ENOBUFS."""

    limit: Frames = 10_000
    """Most frames in all flows."""
    flow_limit: Frames = 100
    """Most frames in one flow: of one socket."""


_FQ = {"limit": "TCA_FQ_PLIMIT", "flow_limit": "TCA_FQ_FLOW_PLIMIT"}


def _install_fq(ip: IPRoute, ifindex: int, options: FqOptions) -> None:
    asked = options.model_dump()
    attributes = [(name, asked[key]) for key, name in _FQ.items()]
    tc.replace_root(ip, ifindex, "fq", {"attrs": attributes})


def _read_fq(ip: IPRoute, ifindex: int, _options: FqOptions) -> dict[str, Any]:
    options = tc.qdisc_at(ip, ifindex, tc.ROOT, "fq")
    return {key: options.get_attr(name) for key, name in _FQ.items()}


# prio


class PrioOptions(Options):
    """Each band of prio is a pfifo as long as the interface's txqueuelen."""

    bands: Annotated[int, Field(strict=True, ge=2, le=16)] = 3
    """Bands, the first one first; frames of a socket without a priority are of the second."""


_PRIOMAP = (1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
"""The band of each priority, as tc has it by default."""


def _install_prio(ip: IPRoute, ifindex: int, options: PrioOptions) -> None:
    priomap = bytes(min(band, options.bands - 1) for band in _PRIOMAP)
    tc.replace_root(ip, ifindex, "prio", {"bands": options.bands, "priomap": priomap})


def _read_prio(ip: IPRoute, ifindex: int, _options: PrioOptions) -> dict[str, Any]:
    return {"bands": tc.qdisc_at(ip, ifindex, tc.ROOT, "prio")["bands"]}


# netem


def _loss(part: str) -> int:
    """A part as the kernel draws it: of 2**32 - 1."""
    return round(parse_part(part) / 1_000_000 * tc.U32_MAX)


class NetemOptions(Options):
    """netem sits in front of the interface. A frame that it delays counts as sent when it enters
    (``skb_orphan_partial``), one that it loses as well."""

    limit: Frames = 1000
    """Most frames that wait; a further one is refused: ENOBUFS."""
    delay: Annotated[str, duration_between(0, MOST_DELAY_NS)] = "0ns"
    """How long each frame waits."""
    loss: Part = "0%"
    """The part of the frames that are dropped at random, of which the sender never learns."""


def _install_netem(ip: IPRoute, ifindex: int, options: NetemOptions) -> None:
    given = {
        "limit": options.limit,
        "loss": _loss(options.loss),
        "attrs": [("TCA_NETEM_LATENCY64", parse_duration(options.delay))],
    }
    tc.replace_root(ip, ifindex, "netem", given)


def _read_netem(ip: IPRoute, ifindex: int, asked: NetemOptions) -> dict[str, Any]:
    options = tc.qdisc_at(ip, ifindex, tc.ROOT, "netem")
    loss = options["loss"]
    return {
        "limit": options["limit"],
        "delay": duration_text(options.get_attr("TCA_NETEM_LATENCY64")),
        "loss": asked.loss if loss == _loss(asked.loss) else f"{loss / tc.U32_MAX * 100:g}%",
    }


# mq


class MqOptions(Options):
    """mq has a qdisc for each transmit queue, and so a lock for each."""

    each: Literal["pfifo_fast", "pfifo", "fq_codel", "fq"] = "pfifo_fast"
    """The qdisc of each queue, with its defaults."""


def _queues(ip: IPRoute, ifindex: int) -> list[Any]:
    """The qdiscs below the root's handle, one of each transmit queue."""
    handle = tc.at(ip, ifindex, tc.ROOT)["handle"]
    below = (m for m in ip.get_qdiscs(index=ifindex) if m["index"] == ifindex)
    return [m for m in below if m["parent"] & 0xFFFF0000 == handle]


def _install_mq(ip: IPRoute, ifindex: int, options: MqOptions) -> None:
    tc.replace_root(ip, ifindex, "mq", {})
    unknown = needs_config(f"CONFIG_NET_SCH_{options.each.upper()}")
    with refusals(f"qdisc {options.each} below mq", unknown):
        for queue in _queues(ip, ifindex):
            if queue.get_attr("TCA_KIND") != options.each:
                ip.tc("replace", options.each, ifindex, parent=queue["parent"])


def _read_mq(ip: IPRoute, ifindex: int, _options: MqOptions) -> dict[str, Any]:
    tc.qdisc_at(ip, ifindex, tc.ROOT, "mq")
    (each, *others) = {queue.get_attr("TCA_KIND") for queue in _queues(ip, ifindex)} or {"none"}
    if others:
        raise BenchError(f"qdisc mq: its queues have {each} and {', '.join(others)}")
    return {"each": each}


# Rows of the table

ROWS = (
    Qdisc(
        info=KindInfo("fq_codel", "fair queues that drop what waits too long", FqCodelOptions),
        install=_install_fq_codel,
        read=_read_fq_codel,
    ),
    Qdisc(
        info=KindInfo("fq", "a fair queue of each socket", FqOptions),
        install=_install_fq,
        read=_read_fq,
    ),
    Qdisc(
        info=KindInfo("prio", "bands of strict priority, a pfifo each", PrioOptions),
        install=_install_prio,
        read=_read_prio,
    ),
    Qdisc(
        info=KindInfo("netem", "delays frames, or loses some", NetemOptions),
        install=_install_netem,
        read=_read_netem,
        loses=lambda options: parse_part(options.loss) > 0,
        delay_ns=lambda options: parse_duration(options.delay),
    ),
    Qdisc(
        info=KindInfo("mq", "a qdisc of each transmit queue", MqOptions, needs_queues=True),
        install=_install_mq,
        read=_read_mq,
        missing="it takes an interface with several transmit queues",
    ),
)
