"""Which cells are wanted (--filter), and which real devices they name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from bench.base.errors import UsageError
from bench.model.axes import AXES, value_text
from bench.model.cells import Cell
from bench.model.matrix import Matrix
from bench.plan.plan import Plan, with_cells

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
    kept = with_cells(plan, [cell for cell in plan.cells if cell.id in wanted])
    if not kept.runnable:
        reasons = "; ".join(dict.fromkeys(kept.unfit.values()))
        raise UsageError(f"--filter keeps nothing that can run here: {reasons}; widen it")
    return kept


def check_devices(plan: Plan, matrix: Matrix) -> None:
    """Raises UsageError for a device that cells want in several ways: it is there only once."""
    wanted: dict[str, set[int]] = {}
    for cell, name in plan.device_of.items():
        if cell in plan.topology_of:
            wanted.setdefault(name, set()).add(plan.topology_of[cell])
    for name, indices in wanted.items():
        specs = [plan.topologies[index] for index in sorted(indices)]
        ways = [f"{value_text(s.interface)} with qdisc {value_text(s.qdisc)}" for s in specs]
        if len(ways) > 1:
            raise UsageError(
                f"{matrix.where('axes', 'interface')}: device {name} is wanted in {len(ways)} ways "
                f"({'; '.join(ways)}), but is there once; leave one with exclude or --filter"
            )
