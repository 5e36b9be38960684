"""An opening of two sides: which side does what, and what is switched before."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import pytest

from bench.base.errors import UsageError
from bench.engines.core import SlicePlan
from bench.measure.opening import Setting
from bench.measure.sides import Sides, SidesOpening
from bench.model.cells import Cell
from bench.model.header import Side
from bench.plan import schedule
from bench.topology.link import Allowed
from tests.builders import a_cell
from tests.measure.fake_opening import FakeOpening

A, B = a_cell("x", method="send"), a_cell("xb", method="sendto")
SIDES = (Side("A", core="1"), Side("B", core="2", checkout="/there"))
COMMON = Setting((), {}, (0,), SlicePlan(1, 1, 1), "0", Allowed(), memory_share=0.5)


class Both:
    """Two fakes, and in which order things are done and switched."""

    def __init__(self, **of_b: object) -> None:
        self.fakes = [FakeOpening(), FakeOpening(**of_b)]  # type: ignore[arg-type]
        self.switched: list[bool] = []
        self.sides = Sides(SIDES, frozenset({"xb"}), {"net.a": "1"}, self.switched.append)

    def make(self, setting: Setting, cells: Sequence[Cell]) -> FakeOpening:
        return self.fakes[setting.core_hash == "2"](setting, cells)

    def opening(self, *cells: Cell) -> SidesOpening:
        return SidesOpening(self.sides, COMMON, cells or (A, B), self.make)


def test_each_side_has_its_cells_its_core_its_sysctls_and_half_of_the_memory() -> None:
    both = Both()
    with closing(both.opening()) as opening:
        opening.open()
    a, b = both.fakes
    assert ([*a.cells], [*b.cells]) == (["x"], ["xb"])
    assert (a.setting.checkout, b.setting.checkout) == ("", "/there")
    assert (dict(a.setting.sysctls), dict(b.setting.sysctls)) == ({}, {"net.a": "1"})
    assert a.setting.memory_share == b.setting.memory_share == 0.25
    assert (a.closed, b.closed) == (1, 1)


def test_a_side_is_switched_to_before_anything_is_done_on_it_and_away_at_the_end() -> None:
    both = Both()
    with closing(both.opening()) as opening:
        opening.open()
        for cell in ("x", "xb"):
            opening.open_cell(cell)
        for cell in ("xb", "x", "xb"):
            opening.run_slice(cell, 0, ())
    assert both.switched == [False, True, False, True, True, False, True, False]
    assert [cell for _, cell, _ in both.fakes[0].slices] == ["x"]
    assert [cell for _, cell, _ in both.fakes[1].slices] == ["xb", "xb"]


@pytest.mark.parametrize(("cells", "first"), [((A, B), False), ((B, A), True)])
def test_the_side_of_the_first_cell_is_set_up_first(cells: tuple[Cell, ...], first: bool) -> None:
    both = Both()
    with closing(both.opening(*cells)) as opening:
        opening.open()
    assert both.switched[:2] == [first, not first]


def test_a_side_without_cells_is_there() -> None:
    both = Both()
    with closing(both.opening(B)) as opening:
        assert opening.open() == {}
    assert both.switched[:2] == [True, False]


def test_no_side_begins_while_the_other_one_sends() -> None:
    both = Both()
    with closing(both.opening()) as opening:
        opening.open()
        for cell in ("x", "xb"):
            opening.open_cell(cell)
            for then in ("x", "xb"):
                opening.run_slice(cell, 0, (), (then, 1))
    announced = [fake.announced for fake in both.fakes]
    assert announced == [
        [((cell, 0), (cell, 1) if cell == then else None) for then in ("x", "xb")]
        for cell in ("x", "xb")
    ]


def test_what_one_side_is_refused_leaves_the_other() -> None:
    both = Both(refused={"sendto": UsageError("no")})
    with closing(both.opening()) as opening:
        assert {cell: str(error) for cell, error in opening.open().items()} == {"xb": "no"}


def test_twins_stand_beside_each_other_in_a_round_either_of_them_first() -> None:
    cells = [f"{n}{side}" for n in range(6) for side in ("", "b")]
    twins = {f"{n}b": str(n) for n in range(6)}
    first, orders = set(), set()
    for round_ in range(20):
        order = schedule.round_order(cells, 1, round_, twins)
        assert sorted(order) == sorted(cells)
        pairs = [{*order[i : i + 2]} for i in range(0, 12, 2)]
        assert all({twins.get(cell, cell) for cell in pair} == {min(pair)} for pair in pairs)
        first.add(order[0].endswith("b"))
        orders.add(tuple(min(pair) for pair in pairs))
    assert first == {True, False}
    assert len(orders) > 10
