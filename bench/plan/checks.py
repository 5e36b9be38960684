"""What cannot work in any cell, found without setting anything up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from bench.base.values import Value, value_text
from bench.model.cells import ETHERNET_HEADER, VLAN_TAG, Cell, header_of
from bench.model.matrix import Mark, Matrix
from bench.model.vocabulary import KindInfo, Vocabulary
from bench.plan.space import Combination, Space, kind_of
from bench.system.cpus import Choice


def cpus_text(count: int) -> str:
    return f"{count} CPU{'' if count == 1 else 's'}"


def problems_of(
    space: Space,
    cells: Mapping[Combination, Combination],
    rows: Mapping[Combination, int],
    made: Mapping[Combination, Cell],
    chosen: Choice,
    unfit: Collection[str],
) -> list[str]:
    """What cannot work in any cell, one line per axis value, in the order of the file."""
    found: dict[str, Mark] = {}
    for signature, combination in cells.items():
        cell = made[signature]
        for axis, problem in _cell_problems(cell.values, space.vocabulary, len(chosen.cpus)):
            if axis == "threads" and cell.id in unfit:
                continue
            index = combination[space.position[axis]]
            path = _path_of(space.matrix, axis, index, rows.get(signature))
            found[f"{space.matrix.where(*path)}: {problem}"] = space.matrix.mark(*path)
    return sorted(found, key=lambda text: found[text])


def _path_of(matrix: Matrix, axis: str, index: int, row: int | None) -> tuple[str | int, ...]:
    """Where a cell's value of an axis stands in the file: in its row of ``include``, if the cell
    is from one that names the axis, else in ``axes``."""
    if row is not None and axis in matrix.include[row]:
        return ("include", row, axis)
    return ("axes", axis, index) if axis in matrix.axes else ("axes", axis)


def _cell_problems(
    values: Mapping[str, Value | None], vocabulary: Vocabulary, cpus: int
) -> Iterator[tuple[str, str]]:
    """(axis, what is wrong; what is allowed) for each thing that this cell cannot have."""
    threads = values["threads"]
    if isinstance(threads, int) and threads > cpus:
        yield "threads", f"{threads} threads on {cpus_text(cpus)}; at most {cpus}"
    yield from _mtu_problems(values)
    yield from _xdp_problems(values, vocabulary)
    if values["qdisc"] is not None:
        yield from _qdisc_problems(values, values["qdisc"], vocabulary)
    for problem in vocabulary.check(values, vocabulary.page_size):
        yield problem.axis, problem.text


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
    method, interface = vocabulary.methods[str(values["method"])], values["interface"]
    if not method.sends_xdp or not isinstance(interface, dict):
        return
    if why := kind_of(interface, vocabulary).refuses_xdp(interface):
        yield "interface", f"method {method.name} sends XDP frames: {why}, or exclude the pair"


def _qdisc_problems(
    values: Mapping[str, Value | None], qdisc: Value, vocabulary: Vocabulary
) -> Iterator[tuple[str, str]]:
    kind, frame_size = kind_of(values["interface"], vocabulary), values["frame_size"]
    longest = vocabulary.largest_frame(qdisc)
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
    method = vocabulary.methods[str(values["method"])]
    if method.untold and vocabulary.is_shaped(qdisc, frame_size):
        yield (
            "qdisc",
            f"method {method.name} is not told when a frame has left qdisc {value_text(qdisc)}, "
            "which makes a queue; exclude the pair",
        )
    if longest is not None and longest < frame_size:
        yield (
            "frame_size",
            f"frame of {frame_size} bytes: qdisc {value_text(qdisc)} drops every one longer than "
            f"{longest}; exclude the pair or raise its burst or limit",
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
