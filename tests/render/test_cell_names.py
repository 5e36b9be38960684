"""Cells in a sentence."""

from __future__ import annotations

from bench.render import cell_names
from tests.builders import a_cell

GROUP = [
    a_cell("base", method="sendto"),
    *(a_cell(f"m{burst}", method="sendmmsg", burst=burst) for burst in (1, 8, 64)),
    *(a_cell(f"r{burst}", method="tx_ring", burst=burst) for burst in (1, 8, 64)),
]


def test_cells_are_named_by_method_and_what_tells_them_from_others_of_it() -> None:
    assert cell_names.several({"m8"}, GROUP) == "sendmmsg with burst 8"
    assert cell_names.several({"base"}, GROUP) == "sendto"
    assert cell_names.several({"m8", "m64", "r1"}, GROUP) == (
        "2 cells of sendmmsg with burst 8 or 64, tx_ring with burst 1"
    )
    assert cell_names.several({"m1", "m8", "m64"}, GROUP) == "3 cells of sendmmsg"
    assert cell_names.several(set(), GROUP) == ""
