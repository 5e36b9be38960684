"""A cell as the core takes it, and what its engine says of it before anything is opened."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import compress
from operator import is_not
from typing import Any

from bench.base.units import parse_part
from bench.base.values import Value
from bench.engines.library import library, text_of
from bench.engines.options import Setter, setters
from bench.model.cells import ETHERNET_HEADER, Cell
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


@functools.cache
def _static_text(text: str) -> Any:
    """A string of C that nobody frees: a config only points to it."""
    return library().ffi.new("char[]", text.encode())


def _field(name: str, of_value: Callable[[Any], Any]) -> Setter:
    def set_field(config: Any, value: Value | None) -> None:
        setattr(config, name, of_value(value))

    return set_field


def _set_sndbuf(config: Any, value: Value | None) -> None:
    asked: Mapping[str, Any] = value if isinstance(value, dict) else {"bytes": 0, "force": False}
    config.sndbuf_bytes, config.sndbuf_force = asked["bytes"], asked["force"]


_FIELDS: Mapping[str, Setter] = {
    "method": _field("method", lambda value: _static_text(str(value))),
    "frame_size": _field("frame_size", int),
    "threads": _field("threads", int),
    "socket": _field("socket_shared", lambda value: value == "shared"),
    "burst": _field("burst", lambda value: value or 1),
    "fill": _field("prefilled", lambda value: value == "prefilled"),
    "sndbuf": _set_sndbuf,
    "msg_dontwait": _field("msg_dontwait", bool),
    "qdisc_bypass": _field("qdisc_bypass", bool),
    "flows": _field("flows", lambda value: value or 1),
    "vlan": _field("vlan_tag", vlan_tag),
    "malformed": _field("malformed", lambda value: parse_part(value or 0)),
    "protocol": _field("protocol", lambda value: ETH_P_ALL if value == "all" else 0),
}


@functools.cache
def _setters(method: str) -> Mapping[str, Setter]:
    return {**_FIELDS, **setters(method)}


def config_of(values: Mapping[str, Value | None]) -> Any:
    """A struct tx_config without endpoint and CPUs; None is what a method ignores."""
    config = library().ffi.new("struct tx_config *")
    for axis, set_axis in _setters(str(values["method"])).items():
        set_axis(config, values.get(axis))
    return config


class Asking:
    """Asks the core about one cell after another: most differ from the one before in little, and
    only that is set anew."""

    def __init__(self) -> None:
        core = library()
        self._lib = core.lib
        self._method: Value | None = None
        self._setters: Mapping[str, Setter] = {}
        self._set: tuple[Value | None, ...] = ()
        self._config: Any = None
        self._problems = core.ffi.new("struct core_problems *")
        self._memory = core.ffi.new("struct tx_memory *")
        self._numbering = core.ffi.new("struct tx_numbering *")

    def check(self, values: Mapping[str, Value | None], page_size: int) -> list[Problem]:
        """What a cell's engine refuses, on a kernel with pages of ``page_size`` bytes."""
        if engine_of(values["method"]) == EXEC:
            return []
        self._lib.core_check(self._about(values), page_size, self._problems)
        found = [self._problems.list[i] for i in range(self._problems.number)]
        return [Problem(text_of(problem.option), text_of(problem.text)) for problem in found]

    def memory(self, values: Mapping[str, Value | None]) -> Memory:
        if engine_of(values["method"]) == EXEC:
            return Memory()
        raw = self._memory
        self._lib.core_memory(self._about(values), raw)
        return Memory(raw.bytes, raw.locked, raw.ring_frames)

    def segments(self, values: Mapping[str, Value | None]) -> int:
        """Frames that the kernel cuts from one skb of a cell; 1: it cuts none."""
        if engine_of(values["method"]) == EXEC:
            return 1
        return int(self.numbering(values).segments) or 1

    def headers(self, values: Mapping[str, Value | None]) -> int:
        """Bytes of all headers of a cell's frames, without a tag. A program's are not known."""
        if engine_of(values["method"]) == EXEC:
            return ETHERNET_HEADER
        return int(self.numbering(values).headers)

    def numbering(self, values: Mapping[str, Value | None]) -> Any:
        """A struct tx_numbering, until the next one is asked for."""
        self._lib.core_numbering(self._about(values), self._numbering)
        return self._numbering

    def _about(self, values: Mapping[str, Value | None]) -> Any:
        if values["method"] is not self._method:
            self._method, self._config = values["method"], config_of(values)
            self._setters = _setters(str(self._method))
            self._set = tuple(map(values.get, self._setters))
            return self._config
        before, self._set = self._set, tuple(map(values.get, self._setters))
        pairs = zip(self._setters.values(), self._set, strict=True)
        for set_axis, value in compress(pairs, map(is_not, self._set, before)):  # True is not 1
            set_axis(self._config, value)
        return self._config


def check(values: Mapping[str, Value | None], page_size: int) -> list[Problem]:
    """As ``Asking.check``, of one cell."""
    return Asking().check(values, page_size)


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
    return Asking().memory(cell.values)


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
    lib, asking = library().lib, Asking()
    raw = asking.numbering(cell.values)
    (order,) = (order for order in Order if getattr(lib, order.value) == raw.kind)
    (form,) = (form for form in Form if getattr(lib, form.value) == raw.form)
    return Numbering(
        order, raw.period, raw.streams, raw.headers, raw.segments, bool(raw.kernel_headers), form
    )


def segments_of(values: Mapping[str, Value | None]) -> int:
    """As ``Asking.segments``, of one cell."""
    return Asking().segments(values)
