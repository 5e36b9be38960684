"""What a matrix may name: axes, methods with their knobs, interface kinds, qdiscs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.base.errors import BenchError
from bench.base.values import Value
from bench.model.axes import AXES, Axis, Bound, in_order
from bench.model.shaper import Shaper

# What there is to choose from


@dataclass(frozen=True, slots=True)
class MethodInfo:
    """A transmit method as the core describes it.

    ``knobs`` names the axes it reads, its own options among them; ``max_burst`` is the most frames
    that one of its system calls takes (0: no limit of its own), ``longest`` the longest frame in
    bytes that it takes here (0: any). ``path`` is its way through the kernel. Two cells of a method
    that wants to be ``alone`` cannot be open on one interface. ``sends_xdp``: devices get XDP
    frames of it, not skbs, and qdiscs nothing. ``untold``: nobody is told when a frame of it has
    left a queue. ``by_route``: the kernel's routes send its frames.
    """

    name: str
    help: str
    path: str
    knobs: frozenset[str]
    max_burst: int = 0
    options: tuple[Axis, ...] = ()
    sends_xdp: bool = False
    untold: bool = False
    alone: bool = False
    by_route: bool = False
    longest: int = 0


def axes_of(methods: Mapping[str, MethodInfo]) -> Mapping[str, Axis]:
    """The axes of the table and the options of all methods, in the order of tables.

    Raises BenchError where an option has the name of another axis that is not the same.
    """
    declared: dict[str, tuple[str, Axis]] = {}
    for method in methods.values():
        for option in method.options:
            if option.name in AXES:
                raise BenchError(
                    f"method {method.name} declares the option {option.name}, which is an axis "
                    "of every matrix; read that, or give the option another name"
                )
            first, known = declared.setdefault(option.name, (method.name, option))
            if option != known:
                raise BenchError(
                    f"methods {first} and {method.name} declare the option {option.name} "
                    f"differently ({_difference(known, option)}); declare it alike, or give one "
                    "of them another name"
                )
    rows = {**AXES, **{name: option for name, (_, option) in declared.items()}}
    return {n: rows[n] for n in in_order({o.name: o.after for _, o in declared.values()})}


def _difference(one: Axis, other: Axis) -> str:
    """The first field in which two rows differ: ``default 1, default 2``."""
    field = next(f for f in Axis.__slots__ if getattr(one, f) != getattr(other, f))
    return f"{field} {getattr(one, field)}, {field} {getattr(other, field)}"


@dataclass(frozen=True, slots=True)
class Problem:
    """What cannot work, with what is allowed; ``axis`` is the one to change."""

    axis: str
    text: str


DEVICE = "device"
"""The interface kind that is no interface of ours: a real one, named by its option ``name``."""


SHAPED = ("interface", "qdisc", "qdisc_bypass", "frame_size", "flows")
"""The axes that say what holds back the frames of a cell."""


@dataclass(frozen=True, slots=True)
class KindInfo:
    """An interface kind or a qdisc as a matrix may name it.

    ``options`` is a pydantic model class whose fields are the options of the kind, each with
    its default. ``takes_qdisc`` is False for a kind on which a qdisc means nothing (lo),
    ``keeps_qdisc`` True for one that has its own where the matrix does not name the axis.
    ``is_borrowed`` is True for one that is not made but there already: its option ``name`` says
    which real interface, and nothing is sent on it that the command line does not allow.
    ``refuses_xdp`` says of options why such an interface takes no XDP frames; "" if it may;
    ``refuses_flows`` why frames arrive at one address only.
    ``needs_queues``: a qdisc that takes an interface with several transmit queues, which the
    interface's option ``queues`` has, or else one. ``receiver`` says of options which engine takes
    what arrives over such an interface; "" if nobody does but the stack.
    """

    name: str
    help: str
    options: type[Any]
    takes_qdisc: bool = True
    keeps_qdisc: bool = False
    is_borrowed: bool = False
    refuses_xdp: Callable[[Mapping[str, Any]], str] = lambda _options: ""
    refuses_flows: Callable[[Mapping[str, Any]], str] = lambda _options: ""
    needs_queues: bool = False
    receiver: Callable[[Mapping[str, Any]], str] = lambda _options: ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the core takes (csrc/api.h); sizes in bytes."""

    max_threads: int
    max_flows: int
    min_frame: int
    """An Ethernet header."""
    max_frame: int

    def of(self, bound: Bound) -> int:
        """The number that a bound of an axis means."""
        return bound if isinstance(bound, int) else int(getattr(self, bound))


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """All that a matrix may name, gathered from the core and from the topology tables.

    Equal only to itself: its models are made once (matrix_schema.py).
    """

    methods: Mapping[str, MethodInfo]
    interfaces: Mapping[str, KindInfo]
    qdiscs: Mapping[str, KindInfo]
    limits: Limits
    check: Callable[[Mapping[str, Value | None], int], Sequence[Problem]]
    """What a cell's engine refuses: of values and the kernel's page size in bytes."""
    largest_frame: Callable[[Value], int | None] = lambda _qdisc: None
    """The longest frame in bytes that a qdisc ever lets pass; None where it has no limit."""
    shaper: Callable[[Mapping[str, Value | None]], Shaper | None] = lambda _values: None
    """What holds back a cell's frames, of its values of SHAPED; None: nothing that is known."""
    ring_frames: Callable[[Mapping[str, Value | None]], int] = lambda _values: 0
    """Slots of each ring of such a cell; 0: it has none."""
    is_shaped: Callable[[Value, int], bool] = lambda _qdisc, _frame_size: False
    """Whether a qdisc holds frames of a size (bytes) back to a rate, and so has a queue of them."""
    segments: Callable[[Mapping[str, Value | None]], int] = lambda _values: 1
    """Frames that the kernel cuts from one skb of such a cell."""
    headers: Callable[[Mapping[str, Value | None]], int] = lambda _values: 14
    """Bytes of all headers of such a cell's frames, without a tag."""
    page_size: int = 4096
    """Bytes of a page of the kernel: a ring's blocks are whole pages."""
    axes: Mapping[str, Axis] = field(init=False)
    """Every axis that a matrix may name, in the order of tables: options of methods, too."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "axes", axes_of(self.methods))

    def unread(self, method: str) -> frozenset[str]:
        """The axes that a method does not read, while others do.

        One that none reads, as ``replica``, is no method's business: every cell has it.
        """
        read = (other.knobs for other in self.methods.values())
        return frozenset().union(*read) - self.methods[method].knobs
