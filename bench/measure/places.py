"""Where each cell sends: most share an interface, some want one for themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bench.model.cells import Cell


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The ``copy``-th interface that is made like a topology of the plan (its index)."""

    topology: int
    copy: int = 0


def places_of(
    cells: Sequence[Cell],
    topology_of: Mapping[str, int],
    lonely: Collection[str],
    borrowed: Collection[int],
) -> dict[str, Place]:
    """The place of each cell that has an interface, by the cell's id.

    No two cells of ``lonely`` methods share one, unless it is among the ``borrowed`` topologies:
    those are there only once.
    """
    used: Counter[int] = Counter()
    places = {}
    for cell in cells:
        if (index := topology_of.get(cell.id)) is None:
            continue
        places[cell.id] = Place(index)
        if cell.engine in lonely and index not in borrowed:
            places[cell.id] = Place(index, used[index])
            used[index] += 1
    return places


def rivals_of(
    cells: Sequence[Cell], places: Mapping[str, Place], lonely: Collection[str]
) -> dict[str, frozenset[str]]:
    """The cells of ``lonely`` methods that have to be closed while another one is open."""
    there: dict[Place, set[str]] = {}
    for cell in cells:
        if cell.engine in lonely and cell.id in places:
            there.setdefault(places[cell.id], set()).add(cell.id)
    return {cell: frozenset(all_ - {cell}) for all_ in there.values() for cell in all_}
