"""Which cells are wanted (--filter), and which real devices they name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from bench.base import ids
from bench.base.errors import UsageError
from bench.base.stderr import say
from bench.base.values import brief_text, distinct, key_of, named, value_text
from bench.matrix.complaints import nearest
from bench.model.cells import Cell
from bench.model.matrix import Matrix
from bench.plan.plan import Plan, with_cells

CELL = "cell"
"""Chosen like an axis, by ids."""

# Selecting, ordering


def parse_filters(texts: Sequence[str], axes: Collection[str]) -> dict[str, list[str]]:
    """``["method=tx_ring", "burst=1,64"]`` as axis -> texts of values.

    Raises UsageError, also for what is none of the ``axes``.
    """
    filters: dict[str, list[str]] = {}
    for text in texts:
        axis, value = assigned("--filter", text, axes, (CELL,))
        filters.setdefault(axis, []).append(value)
    return filters


def assigned(
    option: str, text: str, axes: Collection[str], more: Collection[str] = ()
) -> tuple[str, str]:
    """The axis and the text of its values in ``AXIS=VALUE``; ``more`` are names beside the axes.

    Raises UsageError.
    """
    axis, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise UsageError(f"{option} {text}: not of the form AXIS=VALUE or AXIS=VALUE,VALUE")
    if axis not in axes and axis not in more:
        near = nearest(axis, axes)
        hint = f", did you mean {near}?" if near else ""
        raise UsageError(f"{option} {text}: unknown axis{hint}; one of {', '.join(axes)}")
    return axis, value


def passing(cells: Sequence[Cell], filters: Mapping[str, Sequence[str]]) -> set[str]:
    """The ids of the cells that have, on every filtered axis, one of the values.

    A value is named as a table of these cells shows it, or as in ``named``. Of one that no cell
    has, beside others that some have, that is said.
    """
    found = {cell.id for cell in cells}
    for axis, texts in filters.items():
        having = _having(cells, axis)
        those = {part: having(part) for text in texts for part in _parts(text, having)}
        lacking = [part for part, cells_ in those.items() if not cells_]
        if 0 < len(lacking) < len(those):
            say(
                f"--filter {axis}={','.join(texts)}: no cell has {', '.join(lacking)}; {axis} is "
                f"one of {_shown(cells, axis)}"
            )
        found &= set().union(*those.values())
    return found


def _having(cells: Sequence[Cell], axis: str) -> Callable[[str], set[str]]:
    """Which cells have a value that somebody names."""
    if axis == CELL:
        known = {cell.id for cell in cells}
        return lambda name: known & {ids.meant(name)}
    values = {cell.id: cell.values.get(axis) for cell in cells}

    def having(name: str) -> set[str]:
        keys = {key_of(value) for value in named(name, [*values.values()])}
        return {cell for cell, value in values.items() if key_of(value) in keys}

    return having


def _parts(text: str, having: Callable[[str], set[str]]) -> list[str]:
    """A text with commas is a list of values, unless it is one (``veth rps=0,2``)."""
    whole = text.strip()
    if having(whole):
        return [whole]
    return [part.strip() for part in text.split(",") if part.strip()]


def select(plan: Plan, filters: Mapping[str, Sequence[str]]) -> Plan:
    """The plan of the cells that pass every filter, and of their baselines.

    Raises UsageError, with the values that there are, when none passes.
    """
    wanted = passing(plan.cells, filters)
    if not wanted:
        chosen = " ".join(f"{axis}={','.join(texts)}" for axis, texts in filters.items())
        there = "; ".join(f"{axis} is one of {_shown(plan.cells, axis)}" for axis in filters)
        raise UsageError(f"--filter {chosen}: no cell has that; {there}")
    wanted |= {plan.baselines[cell] for cell in wanted if cell in plan.baselines}
    kept = with_cells(plan, [cell for cell in plan.cells if cell.id in wanted])
    if not kept.runnable:
        reasons = "; ".join(dict.fromkeys(kept.unfit.values()))
        raise UsageError(f"--filter keeps nothing that can run here: {reasons}; widen it")
    return kept


def _shown(cells: Sequence[Cell], axis: str) -> str:
    """The values of an axis, as a table of the cells shows them."""
    if axis == CELL:
        return ", ".join(ids.shown(cell.id) for cell in cells)
    values = [cell.values.get(axis) for cell in cells]
    among = distinct(values)
    return ", ".join(sorted({brief_text(value, among) for value in values}))


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
