"""A cell as the core takes it, and what its engine says of it before anything is opened."""

from __future__ import annotations

import enum
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.base.units import parse_part
from bench.base.values import Value
from bench.engines.library import library, text_of
from bench.engines.options import raw_values
from bench.model.cells import Cell
from bench.model.needs import Memory
from bench.model.programs import EXEC, engine_of
from bench.model.vocabulary import Problem

TPID = 0x8100
"""IEEE 802.1Q, and include/uapi/linux/if_ether.h"""
ETH_P_ALL = 3


def vlan_tag(vlan: Value | None) -> int:
    """The 32 bits of a frame's tag; 0: it has none."""
    if not isinstance(vlan, dict):
        return 0
    return TPID << 16 | int(vlan["priority"]) << 13 | int(vlan["id"])


def config_of(values: Mapping[str, Value | None]) -> Any:
    """A struct tx_config without endpoint and CPUs; None is what a method ignores."""
    sndbuf: Any = values.get("sndbuf")
    sndbuf = sndbuf if isinstance(sndbuf, dict) else {"bytes": 0, "force": False}
    fields = {
        "method": _static_text(str(values["method"])),
        "frame_size": values["frame_size"],
        "threads": values["threads"],
        "socket_shared": values.get("socket") == "shared",
        "burst": values.get("burst") or 1,
        "prefilled": values.get("fill") == "prefilled",
        "sndbuf_bytes": sndbuf["bytes"],
        "sndbuf_force": bool(sndbuf["force"]),
        "msg_dontwait": bool(values.get("msg_dontwait")),
        "qdisc_bypass": bool(values.get("qdisc_bypass")),
        "flows": values.get("flows") or 1,
        "vlan_tag": vlan_tag(values.get("vlan")),
        "malformed": parse_part(values.get("malformed") or 0),
        "protocol": ETH_P_ALL if values.get("protocol") == "all" else 0,
        "options": raw_values(values),
    }
    return library().ffi.new("struct tx_config *", fields)


@functools.cache
def _static_text(text: str) -> Any:
    """A string of C that nobody frees: a config only points to it."""
    return library().ffi.new("char[]", text.encode())


def check(values: Mapping[str, Value | None], page_size: int) -> list[Problem]:
    """What a cell's engine refuses, on a kernel with pages of ``page_size`` bytes."""
    if engine_of(values["method"]) == EXEC:
        return []
    core = library()
    problems = core.ffi.new("struct core_problems *")
    core.lib.core_check(config_of(values), page_size, problems)
    found = [problems.list[i] for i in range(problems.number)]
    return [Problem(text_of(problem.option), text_of(problem.text)) for problem in found]


@functools.cache
def _row(method: str) -> Any:
    lib = library().lib
    rows = [lib.core_method(i) for i in range(lib.core_method_count())]
    return {text_of(row.name): row for row in rows}[method]


def sends_xdp(method: str) -> bool:
    """Whether devices get XDP frames of it, not skbs. Raises KeyError of a method there is not."""
    return method != EXEC and bool(_row(method).sends_xdp)


def call_ns(method: str) -> int:
    """About what a call of it waits beside its frames, in nanoseconds; a slice of it has one."""
    return 0 if method == EXEC else int(_row(method).call_ns)


def memory_of(cell: Cell) -> Memory:
    if cell.engine == EXEC:
        return Memory()
    core = library()
    raw = core.ffi.new("struct tx_memory *")
    core.lib.core_memory(config_of(cell.values), raw)
    return Memory(raw.bytes, raw.locked, raw.ring_frames)


class Order(enum.Enum):
    """How an engine numbers its frames; csrc/api.h says it of each."""

    CONTINUES = "NUMBERING_CONTINUES"
    PER_BURST = "NUMBERING_PER_BURST"
    PER_SLOT = "NUMBERING_PER_SLOT"


class Form(enum.Enum):
    """What an engine's frames are; csrc/api.h says it of each."""

    OURS = "FORM_OURS"
    PKTGEN = "FORM_PKTGEN"


@dataclass(frozen=True, slots=True)
class Numbering:
    """Which number a frame has.

    Numbers repeat after ``period`` frames (0: never). ``streams`` is how many source addresses
    there are, each with numbers of its own: one of all threads, or one of each. Before the number
    stand ``headers`` bytes, without a VLAN tag; with ``kernel_headers`` the kernel writes them. So
    many frames as ``segments`` are cut from one super-frame (1: none are). ``form``: what a frame
    is beside its number.
    """

    order: Order
    period: int
    streams: int
    headers: int = 14
    segments: int = 1
    kernel_headers: bool = False
    form: Form = Form.OURS

    def number(self, position: int, k: int) -> int:
        """Of frame k of a burst that begins at a position of the stream."""
        number = k if self.order is Order.PER_BURST else position + k
        return number % self.period if self.period else number

    @property
    def goes_on(self) -> bool:
        """Whether a thread goes on where the one before it stopped: at the next slot of a ring."""
        return self.order is Order.PER_SLOT and self.streams == 1


def numbering_of(cell: Cell) -> Numbering:
    lib, raw = library().lib, _numbering(cell.values)
    (order,) = (order for order in Order if getattr(lib, order.value) == raw.kind)
    (form,) = (form for form in Form if getattr(lib, form.value) == raw.form)
    return Numbering(
        order, raw.period, raw.streams, raw.headers, raw.segments, bool(raw.kernel_headers), form
    )


def segments_of(values: Mapping[str, Value | None]) -> int:
    """Frames that the kernel cuts from one skb of a cell; 1: it cuts none."""
    if engine_of(values["method"]) == EXEC:
        return 1
    return int(_numbering(values).segments) or 1


def _numbering(values: Mapping[str, Value | None]) -> Any:
    core = library()
    raw = core.ffi.new("struct tx_numbering *")
    core.lib.core_numbering(config_of(values), raw)
    return raw
