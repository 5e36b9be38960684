"""The tables of interface kinds and qdiscs, and setting one up.

An interface kind is one file here, which says how the kernel counts delivered frames, and one
row in KINDS; a qdisc is one row in QDISCS.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType

from pydantic import ValidationError

from bench.base.errors import UsageError
from bench.base.values import Value
from bench.matrix.complaints import complaint
from bench.model.shaper import Shaper
from bench.model.vocabulary import KindInfo
from bench.topology import (
    NO_QDISC,
    Delivery,
    Topology,
    bond,
    bridge,
    device,
    dummy,
    ifb,
    ipv4,
    link,
    lo,
    macvlan,
    qdisc,
    tap,
    veth,
    vlan,
)
from bench.topology.link import Allowed, Kind, Options
from bench.topology.qdisc import QDISCS

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.info.name: kind
        for kind in (
            lo.KIND,
            veth.KIND,
            ifb.KIND,
            dummy.KIND,
            tap.KIND,
            macvlan.KIND,
            vlan.KIND,
            bridge.KIND,
            bond.KIND,
            device.KIND,
        )
    }
)
INTERFACES: Mapping[str, KindInfo] = MappingProxyType(
    {name: kind.info for name, kind in KINDS.items()}
)
QDISC_KINDS: Mapping[str, KindInfo] = MappingProxyType(
    {name: row.info for name, row in QDISCS.items()}
)


def load_modules(interfaces: Iterable[Value]) -> None:
    """Load the modules of interfaces while this process still may; else the kernel does, later."""
    for interface in interfaces:
        _load_module(KINDS[_validated("interface", INTERFACES, interface)[0]])


def _load_module(kind: Kind) -> None:
    if kind.module is not None:
        link.load_module(*kind.module)


def is_borrowed(interface: Value) -> bool:
    """Whether an interface is there once, and not made. Raises UsageError as ``up`` does."""
    return KINDS[_validated("interface", INTERFACES, interface)[0]].info.is_borrowed


def receiver(interface: Value | None) -> str:
    """The engine that takes what arrives over an interface; "" if nobody does but the stack.

    Raises UsageError as ``up`` does.
    """
    if interface is None:
        return ""
    name, options = _validated("interface", INTERFACES, interface)
    return INTERFACES[name].receiver(options.model_dump())


@contextmanager
def up(
    interface: Value,
    qdisc_value: Value | None = NO_QDISC,
    mtu: int = 0,
    allowed: Allowed = Allowed(),  # noqa: B008 - a constant
    routed: bool = True,
) -> Iterator[Topology]:
    """Make an interface with its qdisc in new namespaces; all of it vanishes on exit.

    A device is not made but borrowed, if it is ``allowed``, and given back as it was; with
    qdisc None it keeps its own. ``mtu`` is the least MTU wanted, in bytes of payload: a kind's
    larger one is kept. ``routed``: senders by the kernel's routes find their way. On lo all that
    IPv4 sends is then for another host, as that has one neighbour for all addresses
    (net/ipv4/arp.c, ``arp_constructor``). Raises UsageError for a value that no table knows,
    NotAllowed for a device that must not be used, BenchError if the kernel lacks or refuses
    something; nothing is left behind then either.
    """
    kind_name, options = _validated("interface", INTERFACES, interface)
    qdisc_name, qdisc_options = _validated("qdisc", QDISC_KINDS, qdisc_value or NO_QDISC)
    kind = KINDS[kind_name]
    if not kind.info.takes_qdisc and qdisc_name != NO_QDISC:
        raise UsageError(f"interface {kind_name} takes no qdisc: {qdisc_name}; use {NO_QDISC}")
    keeps = kind.info.keeps_qdisc and qdisc_value is None
    _load_module(kind)
    with (
        kind.borrow(options, mtu, None if keeps else qdisc_name, allowed),
        kind.create(options, mtu) as made,
    ):
        if not kind.info.is_borrowed:
            if routed:
                ipv4.make_way(made.tx, made.dst_mac)
            ipv4.cut_super_frames(made.tx)
        queues = made.queues or (made.tx,)
        effective = qdisc.kept(made.tx) if keeps else {"kind": NO_QDISC}
        row = QDISCS[NO_QDISC if keeps else qdisc_name]
        for port in queues if kind.info.takes_qdisc and not keeps else ():
            effective = qdisc.install(port, qdisc_name, qdisc_options)
        yield Topology(
            qdisc=effective,
            tx=made.tx,
            rx=made.rx,
            sinks=made.sinks,
            queues=queues,
            droppers=made.droppers or (made.tx,),
            src_mac=made.src_mac,
            dst_mac=made.dst_mac,
            delivery=_later(made.delivery, row.delay_ns(qdisc_options)),
            mirror=made.mirror,
            rewrites_source=made.rewrites_source,
            may_reorder=made.may_reorder,
            may_lose=row.loses(qdisc_options)
            or (made.drops_untold and effective["kind"] != NO_QDISC),
        )


def _later(delivery: Delivery, delay_ns: int) -> Delivery:
    """The same where a qdisc holds each frame for so long after it gave it back."""
    return replace(delivery, late_s=delivery.late_s + 2 * delay_ns / 1e9) if delay_ns else delivery


def largest_frame(qdisc_value: Value | None) -> int | None:
    """The longest frame in bytes that a qdisc ever lets pass; None: no limit.

    tbf drops frames longer than its burst, and a queue bounded in bytes drops frames longer than
    its limit. Raises UsageError as ``up`` does.
    """
    name, options = _validated("qdisc", QDISC_KINDS, qdisc_value or NO_QDISC)
    return QDISCS[name].largest_frame(options)


def shaper(values: Mapping[str, Value | None]) -> Shaper | None:
    """What holds back the frames of a cell of these values; None: nothing that is known.

    The slaves of a bond have a qdisc each, and PACKET_QDISC_BYPASS passes by none of these. Raises
    UsageError as ``up`` does.
    """
    interface, qdisc_value, frame_size = (values[a] for a in ("interface", "qdisc", "frame_size"))
    if interface is None or qdisc_value is None:
        return None
    kind_name, options = _validated("interface", INTERFACES, interface)
    ways = KINDS[kind_name].ways
    if ways is None and values["qdisc_bypass"] is not False:  # None: AF_XDP always goes around it
        return None
    found = _shaper_of(qdisc_value, int(str(frame_size)))
    flows = int(str(values["flows"] or 1))
    return found.spread(ways(options, flows)) if found and ways else found


def is_shaped(qdisc_value: Value, frame_size: int) -> bool:
    """Whether a qdisc holds frames of a size (bytes) back to a rate. Raises UsageError."""
    return _shaper_of(qdisc_value, frame_size) is not None


def _shaper_of(qdisc_value: Value, frame_size: int) -> Shaper | None:
    name, options = _validated("qdisc", QDISC_KINDS, qdisc_value)
    return QDISCS[name].shaper(options, frame_size)


def _validated(what: str, table: Mapping[str, KindInfo], value: Value) -> tuple[str, Options]:
    """A value's kind and options; a bare name has the defaults."""
    given = dict(value) if isinstance(value, dict) else {"kind": value}
    name = given.pop("kind", None)
    if not isinstance(name, str) or name not in table:
        raise UsageError(f"{what} {name!r} is unknown; known are {', '.join(table)}")
    try:
        options: Options = table[name].options(**given)
    except ValidationError as error:
        raise UsageError(f"{what} {name}: {_first_problem(error, table[name])}") from error
    return name, options


def _first_problem(error: ValidationError, info: KindInfo) -> str:
    first = error.errors()[0]
    option = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"option {option} is missing"
    if first["type"] == "extra_forbidden":
        known = ", ".join(info.options.model_fields) or "none"
        return f"option {option} is unknown; known: {known}"
    return ": ".join(filter(None, [option, complaint(first)]))
