"""Which cells have an interface to themselves."""

from __future__ import annotations

from bench.measure.places import Place, places_of, rivals_of
from bench.model.cells import Cell

CELLS = [
    Cell(name, {"method": name[0]})
    for name in ("send 1", "x 1", "x 2", "x on another", "x on a device", "x there", "nowhere")
]
TOPOLOGY_OF = {
    "send 1": 0,
    "x 1": 0,
    "x 2": 0,
    "x on another": 1,
    "x on a device": 2,
    "x there": 2,
}


def test_a_cell_that_wants_to_be_alone_has_an_interface_where_one_can_be_made() -> None:
    assert places_of(CELLS, TOPOLOGY_OF, {"x"}, {2}) == {
        "send 1": Place(0),
        "x 1": Place(0),
        "x 2": Place(0, 1),
        "x on another": Place(1),
        "x on a device": Place(2),
        "x there": Place(2),
    }


def test_cells_that_cannot_have_one_are_rivals() -> None:
    rivals = rivals_of(CELLS, places_of(CELLS, TOPOLOGY_OF, {"x"}, {2}), {"x"})
    assert {cell: others for cell, others in rivals.items() if others} == {
        "x on a device": {"x there"},
        "x there": {"x on a device"},
    }
