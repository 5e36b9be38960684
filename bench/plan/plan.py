"""From a matrix to the cells that run, their baselines and topologies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.base.errors import UsageError
from bench.base.garbage import no_collection
from bench.base.values import Value, covers, key_of
from bench.model.cells import Cell
from bench.model.matrix import Matrix
from bench.model.vocabulary import Vocabulary
from bench.plan.checks import cpus_text, problems_of
from bench.plan.devices import devices_of
from bench.plan.space import Combination, Space, ambiguous_baselines, bases_of, unread_axes
from bench.system import cpus
from bench.system.cpus import Choice
from bench.system.procfs import ProcFs

HERE = ProcFs()


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
    entry for a cell without one), ``device_of`` to the real interface that it borrows. Thread i
    of a cell is pinned to ``cpus[i]``; ``cpus_why`` says what put them into this order. ``unfit``
    has the cells that want more CPUs than there are, and their reasons. ``twins`` maps cells of
    side B to the same of side A, beside which they run.
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
    device_of: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Cells whose minimum effect in comparisons is their own, a fraction."""
    twins: Mapping[str, str] = field(default_factory=dict)

    @property
    def runnable(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.id not in self.unfit)

    @property
    def senders(self) -> tuple[int, ...]:
        """The CPUs that cells send from: any of them where threads are not pinned."""
        is_free = any(cell.values["affinity"] == "free" for cell in self.runnable)
        most = max((cell.threads for cell in self.runnable), default=0)
        return self.cpus if is_free else self.cpus[:most]

    @property
    def devices(self) -> tuple[str, ...]:
        """The real interfaces that cells name, each once."""
        return tuple(dict.fromkeys(self.device_of.values()))


@no_collection()
def make_plan(matrix: Matrix, vocabulary: Vocabulary, machine: ProcFs = HERE) -> Plan:
    """The cells of a matrix. Raises UsageError with every problem, each with its place."""
    space = Space(matrix, vocabulary)
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
    made = space.cells(cells)
    device_of = devices_of(list(made.values()), vocabulary.interfaces)
    chosen = _chosen_cpus(matrix, machine, dict.fromkeys(device_of.values()))
    unfit = _unfit(matrix, list(made.values()), chosen)
    problems = problems_of(space, cells, rows, made, chosen, unfit, machine)
    problems += unread_axes(space, (cell.engine for cell in made.values()))
    if not cells:
        problems = [f"{matrix.where('exclude')}: every combination is excluded; keep at least one"]
    bases = bases_of(space, alike)
    problems += ambiguous_baselines(space, bases)
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
        device_of=device_of,
        thresholds=_thresholds(matrix, list(made.values())),
    )
    return with_cells(plan, list(made.values()))


def with_cells(plan: Plan, cells: Sequence[Cell]) -> Plan:
    """The plan with these cells and the topologies that they need."""
    mtus: dict[str, int] = {}
    specs: dict[str, tuple[Value, Value | None]] = {}
    keys: dict[str, str] = {}
    known: dict[tuple[int, int], str] = {}  # cells share their values: the key of each pair once
    for cell in cells:
        interface = cell.values["interface"]
        if interface is None or cell.id in plan.unfit:
            continue
        qdisc = cell.values["qdisc"]
        pair = id(interface), id(qdisc)
        key = keys[cell.id] = known.get(pair) or known.setdefault(pair, key_of([interface, qdisc]))
        specs[key] = (interface, qdisc)
        mtus[key] = max(mtus.get(key, 0), cell.frame_size - cell.header)
    order = {key: index for index, key in enumerate(specs)}
    ids = {cell.id for cell in cells}
    return replace(
        plan,
        cells=tuple(cells),
        baselines={cell: base for cell, base in plan.baselines.items() if {cell, base} <= ids},
        topologies=tuple(TopologySpec(*specs[key], mtus[key]) for key in specs),
        topology_of={cell: order[key] for cell, key in keys.items()},
        unfit={cell: reason for cell, reason in plan.unfit.items() if cell in ids},
        device_of={cell: name for cell, name in plan.device_of.items() if cell in ids},
    )


def _thresholds(matrix: Matrix, cells: Sequence[Cell]) -> dict[str, float]:
    """Of each cell that a rule matches, by the last rule that does."""
    return {
        cell.id: effect
        for rule, effect in matrix.thresholds
        for cell in cells
        if all(
            (value := cell.values[axis]) is not None and any(covers(w, value) for w in wanted)
            for axis, wanted in rule.items()
        )
    }


# Checks that need no machine


def _chosen_cpus(matrix: Matrix, machine: ProcFs, devices: Iterable[str]) -> Choice:
    """CPUs for threads: as the matrix has them, else all that may be used, the best first."""
    allowed = cpus.allowed(machine)
    if matrix.measure.cpus is None:
        near = [cpus.device(machine, name) for name in devices]
        return cpus.choose(cpus.layout(machine), allowed, near)
    missing = [cpu for cpu in matrix.measure.cpus if cpu not in allowed]
    if missing:
        raise UsageError(
            f"{matrix.where('measure', 'cpus')}: CPU {missing[0]} is not there or may not be "
            f"used; allowed: {', '.join(map(str, allowed))}"
        )
    return Choice(matrix.measure.cpus, "as the matrix names them")


def _unfit(matrix: Matrix, cells: Sequence[Cell], chosen: Choice) -> dict[str, str]:
    """Cells that want more CPUs than there are, where the matrix leaves the choice to the machine.

    They are no error, as the matrix may be right for another machine, unless nothing else is in it.
    """
    if matrix.measure.cpus is not None:
        return {}
    here = len(chosen.cpus)
    found = {
        c.id: f"{c.threads} threads: {cpus_text(here)} here" for c in cells if c.threads > here
    }
    return found if len(found) < len(cells) else {}
