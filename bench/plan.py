"""From a matrix to the cells that run: expand, exclude, collapse, validate, order.

Nothing here needs more of a machine than its page size and its CPUs, and nothing is set up.
"""

from __future__ import annotations

import difflib
import functools
import itertools
import json
import math
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench import cpus
from bench.cpus import Choice
from bench.errors import UsageError
from bench.machine import Machine
from bench.model import (
    AXES,
    DEFAULTS,
    Cell,
    KindInfo,
    Limits,
    Mark,
    Matrix,
    Needs,
    Value,
    Vocabulary,
    cell_id,
    defaults,
    value_text,
)

ETHERNET_HEADER = 14
WARMUP_NS = 300_000
DRAIN_NS = 2_000_000_000
"""The longest wait for the last frames of a warm-up, and of a window."""
MOST_COMBINATIONS = 1_000_000
"""Before excluding and collapsing: a plan of so many takes a quarter of a minute."""


def _calibration(**values: Value) -> Cell:
    full = dict.fromkeys(AXES) | {"frame_size": 64, "threads": 1, "replica": 0} | values
    return Cell(cell_id(full), full)


CALIBRATION = (
    _calibration(method="syscall"),
    _calibration(method="null", frame_size=9000, burst=64, fill="copy"),
)
"""Cells of every run beside its own: how fast this machine enters its kernel, and copies memory,
in each round. They say whether it was the same machine throughout."""

Combination = tuple[int, ...]
"""For each axis of AXES the index of its value; -1 where the cell ignores the axis."""
HERE = Machine()


@dataclass(frozen=True, slots=True)
class TopologySpec:
    """An interface with its qdisc, canonical, and the MTU in bytes that its cells ask for.

    ``qdisc`` is None where the interface has none, or its own.
    """

    interface: Value
    qdisc: Value | None
    mtu: int


@dataclass(frozen=True)
class Plan:
    """What would run.

    ``combinations`` counts the product and the included rows; ``excluded`` those that a rule
    left out, ``collapsed`` those that became the same cell as an earlier one. ``baselines`` maps
    a cell's id to its baseline's, ``topology_of`` to an index of ``topologies`` (neither has an
    entry for a cell without one). Thread i of a cell is pinned to ``cpus[i]``; ``cpus_why`` says
    what put them into this order. ``unfit`` has the cells that want more CPUs than there are, and
    their reasons.
    """

    cells: tuple[Cell, ...]
    combinations: int
    excluded: int
    collapsed: int
    baselines: Mapping[str, str]
    topologies: tuple[TopologySpec, ...]
    topology_of: Mapping[str, int]
    cpus: tuple[int, ...]
    cpus_why: str = ""
    unfit: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Cells whose minimum effect in comparisons is their own, a fraction."""

    @property
    def runnable(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.id not in self.unfit)


def make_plan(matrix: Matrix, vocabulary: Vocabulary, machine: Machine = HERE) -> Plan:
    """The cells of a matrix. Raises UsageError with every problem, each with its place."""
    space = _Space(matrix, vocabulary)
    alike: dict[Combination, list[Combination]] = {}  # signature -> what gave it, in order
    combinations = excluded = 0
    rules = space.exclude_rules()
    for combination in space.product():
        combinations += 1
        if any(all(combination[axis] in hit for axis, hit in rule) for rule in rules):
            excluded += 1
        else:
            alike.setdefault(space.signature(combination), []).append(combination)
    rows: dict[Combination, int] = {}  # signature -> the row of include that alone has the cell
    for row, combination in enumerate(space.included()):
        combinations += 1
        signature = space.signature(combination)
        if signature not in alike:
            rows[signature] = row
        alike.setdefault(signature, []).append(combination)
    cells = {signature: first for signature, (first, *_) in alike.items()}
    made = {signature: space.cell(signature) for signature in cells}
    chosen = _chosen_cpus(matrix, machine, list(made.values()))
    unfit = _unfit(matrix, list(made.values()), chosen)
    problems = _problems(space, cells, rows, made, chosen, unfit)
    if not cells:
        problems = [f"{matrix.where('exclude')}: every combination is excluded; keep at least one"]
    bases = _bases(space, alike)
    problems += _baseline_problems(space, bases)
    baselines = {made[cell].id: made[base].id for cell, (base, *_) in bases.items()}
    if matrix.baseline is not None and not baselines and not problems:
        problems = [
            f"{matrix.where('baseline')}: no cell of the matrix is a baseline; "
            "it must name values that some cell has"
        ]
    if problems:
        raise UsageError("\n".join(problems))
    plan = Plan(
        cells=(),
        combinations=combinations,
        excluded=excluded,
        collapsed=combinations - excluded - len(cells),
        baselines=baselines,
        topologies=(),
        topology_of={},
        cpus=chosen.cpus,
        cpus_why=chosen.why,
        unfit=unfit,
        thresholds=_thresholds(matrix, list(made.values())),
    )
    return _with_cells(plan, list(made.values()))


def _with_cells(plan: Plan, cells: Sequence[Cell]) -> Plan:
    """The plan with these cells and the topologies that they need."""
    mtus: dict[str, int] = {}
    specs: dict[str, tuple[Value, Value | None]] = {}
    keys: dict[str, str] = {}
    for cell in cells:
        interface = cell.values["interface"]
        if interface is None or cell.id in plan.unfit:
            continue
        qdisc = cell.values["qdisc"]
        key = keys[cell.id] = json.dumps([interface, qdisc], sort_keys=True)
        specs[key] = (interface, qdisc)
        mtus[key] = max(mtus.get(key, 0), cell.frame_size - ETHERNET_HEADER)
    order = {key: index for index, key in enumerate(specs)}
    ids = {cell.id for cell in cells}
    return replace(
        plan,
        cells=tuple(cells),
        baselines={cell: base for cell, base in plan.baselines.items() if {cell, base} <= ids},
        topologies=tuple(TopologySpec(*specs[key], mtus[key]) for key in specs),
        topology_of={cell: order[key] for cell, key in keys.items()},
        unfit={cell: reason for cell, reason in plan.unfit.items() if cell in ids},
    )


# Expanding


class _Space:
    """The values of every axis by index; an axis that the file does not name has its default."""

    def __init__(self, matrix: Matrix, vocabulary: Vocabulary) -> None:
        self.matrix = matrix
        self.vocabulary = vocabulary
        unnamed = defaults(vocabulary.page_size)
        self.axes = [list(matrix.axes.get(axis, (unnamed[axis],))) for axis in AXES]

    def value(self, combination: Combination, axis: str) -> Value:
        position = AXES.index(axis)
        return self.axes[position][combination[position]]

    def index(self, axis: str, value: Value) -> int:
        """The index of a value; one that only ``include`` or ``baseline`` names is added."""
        known = self.axes[AXES.index(axis)]
        if value not in known:
            known.append(value)
        return known.index(value)

    def product(self) -> Iterator[Combination]:
        """Every combination; the axes of a zip group advance together. Raises UsageError."""
        groups = {axis: group for group in self.matrix.zip for axis in group}
        dimensions = list(dict.fromkeys(groups.get(axis, (axis,)) for axis in AXES))
        lengths = {group: len(self.axes[AXES.index(group[0])]) for group in dimensions}
        self._refuse_too_many(lengths)
        source = [next(i for i, group in enumerate(dimensions) if axis in group) for axis in AXES]
        for steps in itertools.product(*map(range, lengths.values())):
            yield tuple(steps[i] for i in source)

    def _refuse_too_many(self, lengths: Mapping[tuple[str, ...], int]) -> None:
        number = math.prod(lengths.values())
        if number > MOST_COMBINATIONS:
            largest = sorted(lengths, key=lambda group: -lengths[group])[:2]
            named = ", ".join(f"{' and '.join(group)} ({lengths[group]})" for group in largest)
            raise UsageError(
                f"{self.matrix.where('axes')}: {number:,} combinations; at most "
                f"{MOST_COMBINATIONS:,}: the most values have {named}"
            )

    def included(self) -> list[Combination]:
        return [
            tuple(self.index(axis, row[axis]) if axis in row else 0 for axis in AXES)
            for row in self.matrix.include
        ]

    def exclude_rules(self) -> list[list[tuple[int, frozenset[int]]]]:
        """Each rule as (axis position, indices that match it); a rule applies where all do."""
        return [
            [
                (AXES.index(axis), self._matching(AXES.index(axis), allowed))
                for axis, allowed in rule.items()
            ]
            for rule in self.matrix.exclude
        ]

    def _matching(self, position: int, allowed: Sequence[Value]) -> frozenset[int]:
        known = enumerate(self.axes[position])
        return frozenset(i for i, value in known if any(_covers(want, value) for want in allowed))

    @functools.cache  # noqa: B019 - lives as long as one plan
    def _ignored(self, method: int, interface: int, qdisc: int) -> frozenset[int]:
        """Positions of the axes that a method does not read, or that its interface has not.

        Where there is no qdisc, none is no axis; any other is kept, as a problem to be told. What
        has one of its own keeps it where the matrix does not name the axis.
        """
        knobs = self.vocabulary.methods[str(self.axes[_METHOD][method])].knobs
        ignored = {p for p, axis in enumerate(AXES) if axis not in knobs} - {_METHOD, _REPLICA}
        kind = _kind_of(self.axes[_INTERFACE][interface], self.vocabulary)
        if self.axes[_QDISC][qdisc] == DEFAULTS["qdisc"] and (
            not kind.takes_qdisc or (kind.keeps_qdisc and not self._names("qdisc"))
        ):
            ignored.add(_QDISC)
        return frozenset(ignored)

    def _names(self, axis: str) -> bool:
        rows = (self.matrix.axes, *self.matrix.include)
        return any(axis in row for row in rows)

    def signature(self, combination: Combination) -> Combination:
        """The combination with -1 for ignored axes: the same for all that are one cell."""
        ignored = self._ignored(*(combination[p] for p in (_METHOD, _INTERFACE, _QDISC)))
        return tuple(-1 if p in ignored else index for p, index in enumerate(combination))

    def cell(self, signature: Combination) -> Cell:
        values = {
            axis: None if index < 0 else known[index]
            for axis, known, index in zip(AXES, self.axes, signature, strict=True)
        }
        return Cell(cell_id(_identity(values, self.vocabulary)), values)


_METHOD, _INTERFACE, _QDISC, _REPLICA = (
    AXES.index(axis) for axis in ("method", "interface", "qdisc", "replica")
)


def _identity(
    values: Mapping[str, Value | None], vocabulary: Vocabulary
) -> dict[str, Value | None]:
    """What an id is made of: options of a kind that are at their default are left out of it."""
    tables = {"interface": vocabulary.interfaces, "qdisc": vocabulary.qdiscs}
    found = dict(values)
    for axis, table in tables.items():
        value = values.get(axis)
        if isinstance(value, dict):
            fields = table[value["kind"]].options.model_fields
            found[axis] = {
                key: option
                for key, option in value.items()
                if key not in fields or option != fields[key].default
            }
    return found


def _kind_of(interface: Value | None, vocabulary: Vocabulary) -> KindInfo:
    assert isinstance(interface, dict)
    return vocabulary.interfaces[interface["kind"]]


def _covers(wanted: Value, value: Value) -> bool:
    """Whether a rule's value names this one; a mapping in a rule needs to name only a part."""
    if isinstance(wanted, dict) and isinstance(value, dict):
        return all(key in value and value[key] == part for key, part in wanted.items())
    return wanted == value and type(wanted) is type(value)


def _bases(
    space: _Space, alike: Mapping[Combination, Sequence[Combination]]
) -> dict[Combination, tuple[Combination, ...]]:
    """For each cell those that differ in the baseline's axes alone, if the matrix has any.

    There are several where the baseline reads an axis that the cell ignores. A cell and its bases
    are signatures.
    """
    if space.matrix.baseline is None:
        return {}
    wanted = {AXES.index(a): space.index(a, v) for a, v in space.matrix.baseline.items()}
    found = {}
    for cell, combinations in alike.items():
        named = (tuple(wanted.get(p, i) for p, i in enumerate(c)) for c in combinations)
        bases = dict.fromkeys(space.signature(base) for base in named)
        if there := tuple(base for base in bases if base in alike):
            found[cell] = there
    return found


def _baseline_problems(
    space: _Space, bases: Mapping[Combination, Sequence[Combination]]
) -> list[str]:
    """One line if cells have several: which one is meant must not hang on the order of a list."""
    methods: dict[Value, None] = {}
    choices: dict[str, dict[str, None]] = {}
    for cell, those in bases.items():
        for axis, known, indices in zip(AXES, space.axes, zip(*those, strict=True), strict=True):
            named = dict.fromkeys(_spelled(known[index]) for index in indices if index >= 0)
            if len(named) > 1:
                methods[space.axes[_METHOD][cell[_METHOD]]] = None
                choices.setdefault(axis, {}).update(named)
    if not choices:
        return []
    names = " and ".join(map(str, methods))
    additions = " and ".join(
        f"{axis}: one of {', '.join(texts)}" for axis, texts in choices.items()
    )
    return [
        f"{space.matrix.where('baseline')}: baseline: names several cells for {names}, which "
        f"differ in {' and '.join(choices)}; add {additions}, or exclude all but one for {names}"
    ]


def _spelled(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else value_text(value)


def _thresholds(matrix: Matrix, cells: Sequence[Cell]) -> dict[str, float]:
    """Of each cell that a rule matches, by the last rule that does."""
    return {
        cell.id: effect
        for rule, effect in matrix.thresholds
        for cell in cells
        if all(
            (value := cell.values[axis]) is not None and any(_covers(w, value) for w in wanted)
            for axis, wanted in rule.items()
        )
    }


# Checks that need no machine


def _chosen_cpus(matrix: Matrix, machine: Machine, cells: Sequence[Cell]) -> Choice:
    """CPUs for threads: as the matrix has them, else all that may be used, the best first."""
    allowed = cpus.allowed(machine)
    if matrix.measure.cpus is None:
        devices = [cpus.device(machine, name) for name in named_devices(cells)]
        return cpus.choose(cpus.layout(machine), allowed, devices)
    missing = [cpu for cpu in matrix.measure.cpus if cpu not in allowed]
    if missing:
        raise UsageError(
            f"{matrix.where('measure', 'cpus')}: CPU {missing[0]} is not there or may not be "
            f"used; allowed: {', '.join(map(str, allowed))}"
        )
    return Choice(matrix.measure.cpus, "as the matrix names them")


def named_devices(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The real interfaces that cells name, each once."""
    values = [cell.values["interface"] for cell in cells]
    named = [str(value["name"]) for value in values if isinstance(value, dict) and "name" in value]
    return tuple(dict.fromkeys(named))


def _unfit(matrix: Matrix, cells: Sequence[Cell], chosen: Choice) -> dict[str, str]:
    """Cells that want more CPUs than there are, where the matrix leaves the choice to the machine.

    They are no error, as the matrix may be right for another machine, unless nothing else is in it.
    """
    if matrix.measure.cpus is not None:
        return {}
    here = len(chosen.cpus)
    found = {c.id: f"{c.threads} threads: {_cpus(here)} here" for c in cells if c.threads > here}
    return found if len(found) < len(cells) else {}


def _cpus(count: int) -> str:
    return f"{count} CPU{'' if count == 1 else 's'}"


def _problems(
    space: _Space,
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
            index = combination[AXES.index(axis)]
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
        yield "threads", f"{threads} threads on {_cpus(cpus)}; at most {cpus}"
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
    kind, frame_size = _kind_of(values["interface"], vocabulary), values["frame_size"]
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


# Selecting, ordering


def parse_filters(texts: Sequence[str]) -> dict[str, list[str]]:
    """``["method=tx_ring", "burst=1,64"]`` as axis -> allowed texts. Raises UsageError."""
    filters: dict[str, list[str]] = {}
    for text in texts:
        axis, equals, values = text.partition("=")
        if not equals or not values:
            raise UsageError(f"--filter {text}: not of the form AXIS=VALUE or AXIS=VALUE,VALUE")
        if axis not in AXES:
            near = difflib.get_close_matches(axis, AXES, 1)
            hint = f", did you mean {near[0]}?" if near else ""
            raise UsageError(f"--filter {text}: unknown axis{hint}; one of {', '.join(AXES)}")
        filters.setdefault(axis, []).extend(values.split(","))
    return filters


def passes(cell: Cell, filters: Mapping[str, Sequence[str]]) -> bool:
    """Whether a cell has, on every filtered axis, one of the values.

    A value is named as the table shows it, as YAML writes it, or by its kind.
    """
    for axis, texts in filters.items():
        value = cell.values.get(axis)
        names = {value_text(value), str(value).lower()}
        if isinstance(value, dict) and "kind" in value:
            names.add(str(value["kind"]))
        if names.isdisjoint(texts):
            return False
    return True


def select(plan: Plan, filters: Mapping[str, Sequence[str]]) -> Plan:
    """The plan of the cells that pass every filter, and of their baselines.

    Raises UsageError, with the values that there are, when none passes.
    """
    wanted = {cell.id for cell in plan.cells if passes(cell, filters)}
    if not wanted:
        chosen = " ".join(f"{axis}={','.join(texts)}" for axis, texts in filters.items())
        there = "; ".join(
            f"{axis} is one of "
            + ", ".join(sorted({value_text(cell.values.get(axis)) for cell in plan.cells}))
            for axis in filters
        )
        raise UsageError(f"--filter {chosen}: no cell has that; {there}")
    wanted |= {plan.baselines[cell] for cell in wanted if cell in plan.baselines}
    kept = _with_cells(plan, [cell for cell in plan.cells if cell.id in wanted])
    if not kept.runnable:
        reasons = "; ".join(dict.fromkeys(kept.unfit.values()))
        raise UsageError(f"--filter keeps nothing that can run here: {reasons}; widen it")
    return kept


def check_devices(plan: Plan, matrix: Matrix) -> None:
    """Raises UsageError for a device that cells want in several ways: it is there only once."""
    for name in named_devices(plan.cells):
        ways = [
            f"{value_text(spec.interface)} with qdisc {value_text(spec.qdisc)}"
            for spec in plan.topologies
            if isinstance(spec.interface, dict) and spec.interface.get("name") == name
        ]
        if len(ways) > 1:
            raise UsageError(
                f"{matrix.where('axes', 'interface')}: device {name} is wanted in {len(ways)} ways "
                f"({'; '.join(ways)}), but is there once; leave one with exclude or --filter"
            )


def round_order(cells: Sequence[str], seed: int, round_: int) -> list[str]:
    """The cells of a round, shuffled anew for each round, the same for the same seed."""
    order = list(cells)
    random.Random(f"{seed}/{round_}").shuffle(order)
    return order


def memory_of(cell: Cell) -> int:
    """Bytes of rings and frame buffers of an open cell, without the kernel's own skbs."""
    ring = cell.values["ring"]
    burst, flows = (int(cell.values[axis] or 1) for axis in ("burst", "flows"))  # type: ignore[arg-type]
    buffers = cell.threads * (cell.frame_size + 64) * (flows + max(burst, flows))
    if not isinstance(ring, dict):
        return buffers
    rings = 1 if cell.values["socket"] == "shared" else cell.threads
    return buffers + rings * int(ring["block_size"]) * int(ring["block_nr"])


def needs_of(planned: Plan) -> Needs:
    """What the cells of a plan ask of the machine."""
    cells = planned.runnable
    memory = [memory_of(cell) for cell in cells]
    return Needs(
        threads=max(cell.threads for cell in cells),
        memory=sum(memory),
        largest=max(memory),
        locked=max(map(_locked, cells)),
        sndbuf=max(map(_unforced_sndbuf, cells)),
        devices=named_devices(cells),
    )


def _locked(cell: Cell) -> int:
    """Bytes of a ring that is to be locked.

    The limit is held against each ring for itself: a ring's pages are put into a mapping that
    the kernel marks special, which is not added to the locked memory of the process.
    """
    ring = cell.values["ring"]
    if not isinstance(ring, dict) or not cell.values["mmap_locked"]:
        return 0
    return int(ring["block_size"]) * int(ring["block_nr"])


def _unforced_sndbuf(cell: Cell) -> int:
    sndbuf = cell.values["sndbuf"]
    return int(sndbuf["bytes"]) if isinstance(sndbuf, dict) and not sndbuf["force"] else 0


def to_evict(
    resident: Mapping[str, int], needed: int, budget: int, upcoming: Sequence[str]
) -> list[str]:
    """Which open cells to close so that ``needed`` more bytes fit into ``budget``.

    The cell whose next slice is farthest away goes first, which closes the fewest (Belady 1966).
    ``resident`` maps open cells to their bytes, ``upcoming`` is the order of the slices to come.
    """
    next_use = {cell: position for position, cell in reversed(list(enumerate(upcoming)))}
    by_distance = sorted(resident, key=lambda cell: -next_use.get(cell, len(upcoming)))
    used, closing = sum(resident.values()), []
    for cell in by_distance:
        if used + needed <= budget:
            break
        closing.append(cell)
        used -= resident[cell]
    return closing
