"""Which cells differ in one axis alone.

A method collapses the axes that it does not read. So two cells match where every other axis that
both of them have is equal: a plain socket matches rings of any geometry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.base.values import Value, distinct, key_of
from bench.model.cells import Cell, axes_of

GROUPED_BY = ("method", "interface")
"""An effect is of one method on one interface, unless it is theirs."""


@dataclass(frozen=True, slots=True)
class Matched:
    """Pairs of cells: with ``value`` on the axis, and with ``over``. ``among`` is what all pairs
    have in common of GROUPED_BY."""

    axis: str
    value: Value
    over: Value
    among: Mapping[str, Value]
    pairs: tuple[tuple[Cell, Cell], ...]


def varying(cells: Sequence[Cell]) -> list[str]:
    """The axes with several values."""
    return [axis for axis in axes_of(cells) if len(distinct(c.values.get(axis) for c in cells)) > 1]


def matched(cells: Sequence[Cell], baseline: Mapping[str, Value]) -> list[Matched]:
    """For each axis with several values, each value over the first one that has a match.

    That is the baseline's, or the first of the cells. No pair is there twice.
    """
    return [
        found
        for axis in varying(cells)
        for among, group in _groups(cells, axis)
        for found in _of_group(axis, among, group, _values(axis, cells, baseline))
    ]


def _values(axis: str, cells: Sequence[Cell], baseline: Mapping[str, Value]) -> list[Value]:
    """The values of an axis, the one to compare with first."""
    values = distinct(cell.values.get(axis) for cell in cells)
    return sorted(values, key=lambda value: key_of(value) != key_of(baseline.get(axis)))


def _groups(cells: Sequence[Cell], axis: str) -> Iterator[tuple[dict[str, Value], list[Cell]]]:
    by = [name for name in GROUPED_BY if name != axis]
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell.values.get(axis) is not None:
            groups.setdefault(key_of([cell.values.get(name) for name in by]), []).append(cell)
    for group in groups.values():
        values = {name: group[0].values.get(name) for name in by}
        yield {name: value for name, value in values.items() if value is not None}, group


def _of_group(
    axis: str, among: Mapping[str, Value], group: Sequence[Cell], values: Sequence[Value]
) -> Iterator[Matched]:
    having = [[cell for cell in group if key_of(cell.values[axis]) == key_of(v)] for v in values]
    for number, value in enumerate(values):
        left = having[number]
        for over, others in zip(values[:number], having[:number], strict=True):
            if pairs := _pairs(axis, left, others):
                yield Matched(axis, value, over, among, tuple(pairs))
                done = {cell.id for cell, _ in pairs}
                left = [cell for cell in left if cell.id not in done]


def _pairs(axis: str, cells: Sequence[Cell], others: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    both = [a for a in axes_of(cells) if a != axis and _is_read(cells, a) and _is_read(others, a)]
    known: dict[str, list[Cell]] = {}
    for other in others:
        known.setdefault(_key(other, both), []).append(other)
    return [(cell, other) for cell in cells for other in known.get(_key(cell, both), ())]


def _is_read(cells: Sequence[Cell], axis: str) -> bool:
    return any(cell.values.get(axis) is not None for cell in cells)


def _key(cell: Cell, axes: Sequence[str]) -> str:
    return key_of([cell.values.get(axis) for axis in axes])
