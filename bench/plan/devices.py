"""Which real devices cells name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.model.cells import Cell
from bench.model.vocabulary import KindInfo


def devices_of(cells: Sequence[Cell], interfaces: Mapping[str, KindInfo]) -> dict[str, str]:
    """The real interface of each cell that has one, by the cell's id.

    An interface of ours may have an option called ``name`` too: its kind says which it is.
    """
    values = {cell.id: cell.values["interface"] for cell in cells}
    return {
        cell: str(value["name"])
        for cell, value in values.items()
        if isinstance(value, dict) and interfaces[value["kind"]].is_borrowed
    }
