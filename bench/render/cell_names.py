"""Cells in a sentence: by their method, and by what tells them from others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from bench.base.values import brief_text, distinct, key_of
from bench.model.cells import Cell, axes_of


def one(cell: Cell, group: Sequence[Cell]) -> str:
    """``tx_ring with burst 64, fill copy``."""
    return _with(cell.method, telling(cell, group))


def telling(cell: Cell, group: Sequence[Cell]) -> list[str]:
    """What tells a cell from others of its method in a group; flags that are off are left out."""
    alike = [other for other in group if other.method == cell.method]
    return [
        f"{axis} {brief_text(value, among)}"
        for axis in axes_of(alike)
        if len(among := distinct(other.values.get(axis) for other in alike)) > 1
        and (value := cell.values.get(axis)) is not False
    ]


def several(chosen: Collection[str], group: Sequence[Cell]) -> str:
    """The chosen ones of a group by their methods: ``3 cells of tx_ring with burst 64 or 256``.

    The first of a group is what others are compared with: it is none of them unless chosen.
    """
    methods = dict.fromkeys(cell.method for cell in group if cell.id in chosen)
    return ", ".join(
        _of_method(chosen, [cell for cell in group if cell.method == method], group[0])
        for method in methods
    )


def _of_method(chosen: Collection[str], group: Sequence[Cell], first: Cell) -> str:
    """What the chosen cells of a method have in common. Where others are like that, too, it is
    said how many were chosen: ``3 of 5 cells``."""
    mine = [cell for cell in group if cell.id in chosen]
    if len(mine) == 1:
        return one(mine[0], group)
    common = [*_common(mine, group)]
    texts = [f"{axis} {' or '.join(some)}" for axis, some, _ in common]
    alike = [
        cell
        for cell in group
        if all(key_of(cell.values.get(axis)) in keys for axis, _, keys in common)
        and (cell is not first or cell.id in chosen)
    ]
    number = f"{len(mine)}" if len(mine) == len(alike) else f"{len(mine)} of {len(alike)}"
    return f"{number} cells of {_with(group[0].method, texts)}"


def _common(
    mine: Sequence[Cell], group: Sequence[Cell]
) -> Iterator[tuple[str, list[str], set[str]]]:
    """Each axis on which some cells lack values that others of the group have: the values that
    they have, as texts and as keys."""
    for axis in axes_of(group):
        every = distinct(cell.values.get(axis) for cell in group)
        keys = {key_of(cell.values.get(axis)) for cell in mine}
        some = [brief_text(value, every) for value in every if key_of(value) in keys]
        if len(some) < len(every):
            yield axis, some, keys


def _with(method: str, texts: Sequence[str]) -> str:
    return f"{method} with {', '.join(texts)}" if texts else method
