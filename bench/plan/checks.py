"""What cannot work in any cell, found without setting anything up."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from math import ceil
from typing import NamedTuple

from bench.base.values import Value, value_text
from bench.model.cells import ETHERNET_HEADER, VLAN_TAG, Cell, header_of
from bench.model.matrix import Mark, Matrix
from bench.model.programs import engine_of
from bench.model.shaper import Shaper
from bench.model.vocabulary import SHAPED, KindInfo, Vocabulary
from bench.plan.queue import Queue, queue_of
from bench.plan.schedule import DRAIN_NS
from bench.plan.space import Combination, Space, kind_of
from bench.system.cpus import Choice
from bench.system.procfs import ProcFs

LEAST_SNDBUF = 4608
"""SOCK_MIN_SNDBUF: the kernel gives no socket less (include/net/sock.h)."""


def cpus_text(count: int) -> str:
    return f"{count} CPU{'' if count == 1 else 's'}"


def problems_of(
    space: Space,
    cells: Mapping[Combination, Combination],
    rows: Mapping[Combination, int],
    made: Mapping[Combination, Cell],
    chosen: Choice,
    unfit: Collection[str],
    machine: ProcFs,
) -> list[str]:
    """What cannot work in any cell, one line per axis value, in the order of the file."""
    found: dict[str, Mark] = {}
    words, window_ns = space.vocabulary, space.matrix.measure.window_ns
    problems_there = space.once(_PLACED, lambda v: [*_place_problems(v, words, len(chosen.cpus))])
    limits = space.once(_LIMITED, lambda values: _limits(values, words))
    held = space.once(SHAPED, words.shaper)
    one_address = space.once(("interface", "flows"), lambda values: _one_address(values, words))
    for signature, combination in cells.items():
        cell = made[signature]
        found_here = [
            *problems_there(signature),
            *(
                _address_problems(cell.values, why, words)
                if (why := one_address(signature))
                else ()
            ),
            *_length_problems(cell.values, limits(signature), words),
            *_engine_problems(cell.values, words),
        ]
        if not found_here and (by := held(signature)):  # what cannot be at all need not leave
            found_here = [*_drain_problems(cell.values, by, words, machine, window_ns)]
        for axis, problem in found_here:
            if axis == "threads" and cell.id in unfit:
                continue
            row = rows.get(signature)
            path = _path_of(space.matrix, axis, combination[space.position[axis]], row)
            problem = _as_the_ring_is_written(problem, space, combination, row)
            found[f"{space.matrix.where(*path)}: {problem}"] = space.matrix.mark(*path)
    return sorted(found, key=lambda text: found[text])


def _path_of(matrix: Matrix, axis: str, index: int, row: int | None) -> tuple[str | int, ...]:
    """Where a cell's value of an axis stands in the file: in its row of ``include``, if the cell
    is from one that names the axis, else in ``axes``."""
    if row is not None and axis in matrix.include[row]:
        return ("include", row, axis)
    return ("axes", axis, index) if axis in matrix.axes else ("axes", axis)


RING = "ring"
_RING_PROPOSAL = re.compile(r"write (frame_size: \d+)(?:, block_\w+: \d+)*( in ring)?")
"""What the core proposes of a ring's geometry, which it knows in blocks alone."""


def _as_the_ring_is_written(
    problem: str, space: Space, combination: Combination, row: int | None
) -> str:
    """A problem whose proposal fits a ring that is written in slots, or not at all."""
    matrix = space.matrix
    if not _RING_PROPOSAL.search(problem):
        return problem
    if RING not in matrix.axes and (row is None or RING not in matrix.include[row]):
        ring = space.value(combination, RING)
        assert isinstance(ring, dict)
        slots = ring["block_size"] // ring["frame_size"] * ring["block_nr"]
        return _RING_PROPOSAL.sub(rf"write ring: {{slots: {slots}, \1}}", problem)
    path = _path_of(matrix, RING, combination[space.position[RING]], row)
    if (*path, "slots") in matrix.marks or "slots" in matrix.settings.get(RING, ""):
        return _RING_PROPOSAL.sub(r"write \1\2", problem)
    return problem


# What a cell asks of its place

_PLACED = ("method", "interface", "qdisc", "frame_size", "threads", "flows", "vlan")
"""The axes that say whether a cell can be in its place."""


def _place_problems(
    values: Mapping[str, Value | None], vocabulary: Vocabulary, cpus: int
) -> Iterator[tuple[str, str]]:
    """(axis, what is wrong; what is allowed) for each thing that a cell cannot have there."""
    threads = values["threads"]
    if isinstance(threads, int) and threads > cpus:
        yield "threads", f"{threads} threads on {cpus_text(cpus)}; at most {cpus}"
    yield from _mtu_problems(values)
    yield from _xdp_problems(values, vocabulary)
    yield from _route_problems(values, vocabulary)
    if values["qdisc"] is not None:
        yield from _qdisc_problems(values, values["qdisc"], vocabulary)


def _mtu_problems(values: Mapping[str, Value | None]) -> Iterator[tuple[str, str]]:
    frame_size, interface = values["frame_size"], values["interface"]
    assert isinstance(frame_size, int)
    mtu = interface.get("mtu") if isinstance(interface, dict) else None
    if mtu and frame_size > (most := mtu + header_of(values)):
        tagged = mtu + ETHERNET_HEADER + VLAN_TAG
        with_tag = f" ({tagged} with a tag: vlan)" if most < frame_size <= tagged else ""
        yield (
            "frame_size",
            f"frame of {frame_size} bytes on an interface with MTU {mtu}; at most "
            f"{most}{with_tag}, or exclude the pair",
        )


def _xdp_problems(
    values: Mapping[str, Value | None], vocabulary: Vocabulary
) -> Iterator[tuple[str, str]]:
    """Frames that no driver takes are lost without a word."""
    method = vocabulary.methods[engine_of(values["method"])]
    interface = values["interface"]
    if not method.sends_xdp or not isinstance(interface, dict):
        return
    if why := kind_of(interface, vocabulary).refuses_xdp(interface):
        yield "interface", f"method {method.name} sends XDP frames: {why}, or exclude the pair"


def _one_address(values: Mapping[str, Value | None], vocabulary: Vocabulary) -> str:
    """Why frames arrive at one address only; "" where they arrive at any."""
    interface = values["interface"]
    if not isinstance(interface, dict):
        return ""
    return kind_of(interface, vocabulary).refuses_flows(interface)


def _address_problems(
    values: Mapping[str, Value | None], why: str, vocabulary: Vocabulary
) -> Iterator[tuple[str, str]]:
    """Frames of several flows go to another host's address, and so do all of UDP and TCP."""
    flows = values["flows"]
    if isinstance(flows, int) and flows > 1:
        yield "flows", f"{flows} flows have an address each: {why}, or exclude the pair"
    elif vocabulary.headers(values) > ETHERNET_HEADER:
        method = engine_of(values["method"])
        yield "method", f"frames of {method} have another address: {why}, or exclude the pair"


def _route_problems(
    values: Mapping[str, Value | None], vocabulary: Vocabulary
) -> Iterator[tuple[str, str]]:
    """What bench sets up at interfaces that it makes, and changes at no other."""
    method = vocabulary.methods[engine_of(values["method"])]
    if method.by_route and _is_borrowed(values["interface"], vocabulary):
        yield (
            "interface",
            f"method {method.name} sends by a route, which bench sets at no interface that it "
            "borrows; exclude the pair",
        )


def _is_borrowed(interface: Value | None, vocabulary: Vocabulary) -> bool:
    return interface is not None and kind_of(interface, vocabulary).is_borrowed


def _qdisc_problems(
    values: Mapping[str, Value | None], qdisc: Value, vocabulary: Vocabulary
) -> Iterator[tuple[str, str]]:
    kind, frame_size = kind_of(values["interface"], vocabulary), values["frame_size"]
    assert isinstance(frame_size, int)
    if not kind.takes_qdisc:
        yield "qdisc", f"qdisc {value_text(qdisc)} on {kind.name}, which has none; exclude the pair"
    if not _has_queues(values, vocabulary.qdiscs, kind):
        yield (
            "interface",
            f"qdisc {value_text(qdisc)} on {kind.name} with one transmit queue; "
            f"{'write queues: 2 or more in interface, or ' if _may_have_queues(kind) else ''}"
            "exclude the pair",
        )
    method = vocabulary.methods[engine_of(values["method"])]
    if method.untold and vocabulary.is_shaped(qdisc, frame_size):
        yield (
            "qdisc",
            f"method {method.name} is not told when a frame has left qdisc {value_text(qdisc)}, "
            "which makes a queue; exclude the pair",
        )


def _has_queues(
    values: Mapping[str, Value | None], qdiscs: Mapping[str, KindInfo], kind: KindInfo
) -> bool:
    """Whether an interface has the queues that its qdisc wants; of one that is not ours: maybe."""
    qdisc, interface = values["qdisc"], values["interface"]
    assert isinstance(qdisc, dict)
    assert isinstance(interface, dict)
    if not qdiscs[qdisc["kind"]].needs_queues or kind.is_borrowed or not kind.takes_qdisc:
        return True
    return int(interface.get("queues", 1)) > 1


def _may_have_queues(kind: KindInfo) -> bool:
    return "queues" in kind.options.model_fields


# What a place allows the frames of an skb

_LIMITED = ("interface", "qdisc", "frame_size")


class _Limits(NamedTuple):
    """Whether the interface is borrowed, whether its qdisc is a shaper, and the longest frame in
    bytes that this ever lets pass."""

    is_borrowed: bool
    is_shaped: bool
    longest: int | None


_NO_LIMITS = _Limits(is_borrowed=False, is_shaped=False, longest=None)


def _limits(values: Mapping[str, Value | None], vocabulary: Vocabulary) -> _Limits:
    interface, qdisc, frame_size = (values[axis] for axis in _LIMITED)
    is_borrowed = _is_borrowed(interface, vocabulary)
    if qdisc is None:
        return _NO_LIMITS._replace(is_borrowed=is_borrowed)
    assert isinstance(frame_size, int)
    is_shaped = vocabulary.is_shaped(qdisc, frame_size)
    return _Limits(is_borrowed, is_shaped, vocabulary.largest_frame(qdisc))


def _length_problems(
    values: Mapping[str, Value | None], limits: _Limits, vocabulary: Vocabulary
) -> Iterator[tuple[str, str]]:
    if limits == _NO_LIMITS:
        return
    segments, qdisc, frame_size = vocabulary.segments(values), values["qdisc"], values["frame_size"]
    assert isinstance(frame_size, int)
    if segments > 1 and limits.is_borrowed:
        yield (
            "interface",
            f"super-frames of {segments} segments: a device that cuts them may count "
            "them whole; segments: 1, or exclude the pair",
        )
    if segments > 1 and limits.is_shaped:
        yield (
            "qdisc",
            f"super-frames of {segments} segments: qdisc {value_text(qdisc)} makes a "
            "queue, in which nobody counts their frames; segments: 1, or exclude the pair",
        )
    if limits.longest is not None and limits.longest < frame_size * segments:
        of_several = f"super-frame of {segments} frames" if segments > 1 else "frame"
        yield (
            "frame_size",
            f"{of_several} of {frame_size} bytes: qdisc {value_text(qdisc)} drops every one longer "
            f"than {limits.longest}; exclude the pair or raise its burst or limit",
        )


# What an engine refuses, and what does not leave in time


def _engine_problems(
    values: Mapping[str, Value | None], vocabulary: Vocabulary
) -> Iterator[tuple[str, str]]:
    for problem in vocabulary.check(values, vocabulary.page_size):
        yield problem.axis, problem.text


def _drain_problems(
    values: Mapping[str, Value | None],
    held: Shaper,
    vocabulary: Vocabulary,
    machine: ProcFs,
    window_ns: int,
) -> Iterator[tuple[str, str]]:
    """Frames that outlast the wait of a slice would be among those of the next."""
    slots = vocabulary.ring_frames(values)
    queue = queue_of(values, held, slots, machine)
    frames = queue.most_frames(window_ns)
    left_ns = frames * queue.frame_ns
    if left_ns > DRAIN_NS:
        yield (
            "qdisc",
            f"some {frames:.0f} frames of {values['frame_size']} bytes queue before "
            f"{value_text(values['qdisc'])} and take {left_ns / 1e9:.1f} s to leave; a slice waits "
            f"{DRAIN_NS / 1e9:g} s for them: {_shorter(values['qdisc'], queue, left_ns, held)}",
        )


def _shorter(qdisc: Value | None, queue: Queue, left_ns: float, held: Shaper) -> str:
    """What to change, with values that pass."""
    rate, leaving = held.rate // held.ways, int(DRAIN_NS / queue.frame_ns)
    otherwise = f"raise its rate to {ceil(rate * left_ns / DRAIN_NS / 1000)}kbit"
    if not queue.in_ring and queue.room == held.room and leaving >= held.ways:
        # Where latency says it, a higher rate would make a longer queue.
        assert isinstance(qdisc, dict)
        limit = qdisc["limit"] * (leaving // held.ways) * held.ways // held.room
        otherwise = f"lower its limit to {limit}"
    kib = leaving // queue.sockets * queue.charge // 2 // 1024
    if queue.in_ring or 2 * kib * 1024 < LEAST_SNDBUF:
        return otherwise
    return f"lower sndbuf to {kib}KiB, or {otherwise}"
