"""What cannot work in any cell, found without setting anything up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from bench.base.values import Value, value_text
from bench.model.cells import Cell
from bench.model.matrix import Mark, Matrix
from bench.model.vocabulary import Limits, Vocabulary
from bench.plan.space import POSITION, Combination, Space, kind_of
from bench.system.cpus import Choice

ETHERNET_HEADER = 14


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
            index = combination[POSITION[axis]]
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
    method = vocabulary.methods[str(values["method"])]
    threads, burst, ring = values["threads"], values["burst"], values["ring"]
    if isinstance(threads, int) and threads > cpus:
        yield "threads", f"{threads} threads on {cpus_text(cpus)}; at most {cpus}"
    if isinstance(burst, int) and method.max_burst and burst > method.max_burst:
        yield "burst", f"{burst} frames in one {method.name} call; at most {method.max_burst}"
    yield from _frame_size_problems(values, vocabulary.limits)
    if values["qdisc"] is not None:
        yield from _qdisc_problems(values, values["qdisc"], vocabulary)
    if isinstance(ring, dict):
        yield from (("ring", problem) for problem in _ring_problems(ring, vocabulary))
        yield from _ring_fit(values, ring, vocabulary)


def _frame_size_problems(
    values: Mapping[str, Value | None], limits: Limits
) -> Iterator[tuple[str, str]]:
    frame_size, flows, interface = values["frame_size"], values["flows"], values["interface"]
    assert isinstance(frame_size, int)
    if isinstance(flows, int) and flows > 1 and frame_size < limits.min_flow_frame:
        yield (
            "frame_size",
            f"frame of {frame_size} bytes has no room for the addresses and ports of {flows} "
            f"flows; at least {limits.min_flow_frame}, or exclude the pair",
        )
    mtu = interface.get("mtu") if isinstance(interface, dict) else None
    if mtu and frame_size > mtu + ETHERNET_HEADER:
        yield (
            "frame_size",
            f"frame of {frame_size} bytes on an interface with MTU {mtu}; at most "
            f"{mtu + ETHERNET_HEADER}, or exclude the pair",
        )


def _qdisc_problems(
    values: Mapping[str, Value | None], qdisc: Value, vocabulary: Vocabulary
) -> Iterator[tuple[str, str]]:
    kind, frame_size = kind_of(values["interface"], vocabulary), values["frame_size"]
    longest = vocabulary.largest_frame(qdisc)
    assert isinstance(frame_size, int)
    if not kind.takes_qdisc:
        yield "qdisc", f"qdisc {value_text(qdisc)} on {kind.name}, which has none; exclude the pair"
    if longest is not None and longest < frame_size:
        yield (
            "frame_size",
            f"frame of {frame_size} bytes: qdisc {value_text(qdisc)} drops every one longer than "
            f"{longest}; exclude the pair or raise its burst or limit",
        )


def _ring_problems(ring: Mapping[str, int], vocabulary: Vocabulary) -> Iterator[str]:
    """What packet_set_ring() would refuse (net/packet/af_packet.c), before it has to.

    Two rules are ours: every byte of a block belongs to a slot, where the kernel would leave a rest
    unused; and less than 4 GiB, which it asks for before Linux 5.0 only.
    """
    page, block, frame = vocabulary.page_size, ring["block_size"], ring["frame_size"]
    smallest = vocabulary.ring_data_offset(ring["version"]) + vocabulary.limits.ring_slot_rest
    if block % page:
        yield (
            f"ring block_size {block} is no multiple of the page size {page}; write slots instead "
            "of block_size and block_nr: blocks then fit any page"
        )
    if frame % vocabulary.limits.ring_alignment:
        yield f"ring frame_size {frame} is no multiple of {vocabulary.limits.ring_alignment}"
    if frame < smallest:
        yield f"ring frame_size {frame} is smaller than its header; at least {smallest}"
    elif block % frame:
        yield f"ring block_size {block} is no multiple of its frame_size {frame}"
    if block * ring["block_nr"] > 2**32 - 1:
        yield f"ring of {block * ring['block_nr']} bytes; less than 4 GiB"


def _ring_fit(
    values: Mapping[str, Value | None], ring: Mapping[str, int], vocabulary: Vocabulary
) -> Iterator[tuple[str, str]]:
    frame_size, burst = values["frame_size"], values["burst"]
    offset = vocabulary.ring_data_offset(ring["version"])
    offset += vocabulary.limits.vnet_hdr if values["vnet_hdr"] else 0
    slots = ring["block_size"] // max(1, ring["frame_size"]) * ring["block_nr"]
    room = ring["frame_size"] - offset
    assert isinstance(frame_size, int)
    assert isinstance(burst, int)
    if frame_size > room:
        yield (
            "frame_size",
            f"frame of {frame_size} bytes does not fit a ring slot of {ring['frame_size']}: "
            f"v{ring['version']} leaves {max(0, room)} bytes; exclude the pair or raise "
            "ring frame_size",
        )
    if burst > slots:
        yield "burst", f"burst of {burst} frames in a ring of {slots} slots; at most {slots}"
    flows = values["flows"] or 1
    assert isinstance(flows, int)
    if flows > slots and values["fill"] == "prefilled":
        yield (
            "flows",
            f"{flows} flows in a prefilled ring of {slots} slots, each of which keeps its flow; "
            f"at most {slots}, or fill: copy",
        )
