"""--filter: cells by the values that a table shows."""

from __future__ import annotations

import pytest
from hypothesis import example, given

from bench.base.values import Value, value_text
from bench.model.cells import Cell
from bench.plan import selection
from bench.render import axes
from tests.values import axes_with_values
from tests.vocabulary import WORDS


def cells_with(axis: str, values: list[Value | None]) -> list[Cell]:
    """A cell for each value of an axis, under its number."""
    return [
        Cell(str(number), dict.fromkeys(WORDS.axes) | {axis: value})
        for number, value in enumerate(values)
    ]


def kept(cells: list[Cell], *texts: str) -> set[str]:
    return selection.passing(cells, selection.parse_filters(texts, WORDS.axes))


@given(axes_with_values)
@example(("sndbuf", [{"bytes": 8 << 20, "force": True}, {"bytes": 8 << 20, "force": False}]))
@example(("interface", [{"kind": "veth", "rps": "0,2-3"}, {"kind": "veth", "rps": "none"}]))
def test_a_filter_takes_what_the_table_and_the_plan_show(
    of_an_axis: tuple[str, list[Value]],
) -> None:
    axis, values = of_an_axis
    cells = cells_with(axis, [*values, None])
    column = axes.column(cells, axis)
    for cell, shown in zip(cells, column, strict=True):
        assert kept(cells, f"{axis}={shown}") == {cell.id}
        assert kept(cells, f"{axis}={value_text(cell.values[axis])}") == {cell.id}


def test_a_filter_takes_what_yaml_writes_and_kinds() -> None:
    flags = cells_with("msg_dontwait", [True, False, None])
    assert kept(flags, "msg_dontwait=true") == kept(flags, "msg_dontwait=yes") == {"0"}
    limits: list[Value | None] = [{"kind": "pfifo", "limit": limit} for limit in (1, 2)]
    queues = cells_with("qdisc", [*limits, {"kind": "tbf"}])
    assert kept(queues, "qdisc=pfifo") == {"0", "1"}
    assert kept(queues, "qdisc=tbf") == {"2"}


def test_a_filter_takes_cells_by_their_ids_with_and_without_the_letter() -> None:
    cells = [Cell(name, {}) for name in ("0165529710", "595797e027", "6443435791")]
    assert kept(cells, "cell=c0165529710") == kept(cells, "cell=0165529710") == {"0165529710"}
    assert kept(cells, "cell=c595797e027,6443435791") == {"595797e027", "6443435791"}
    assert kept(cells, "cell=c0000000000") == set()


def test_a_filter_takes_several_values() -> None:
    sizes = cells_with("frame_size", [64, 128, 1514])
    assert kept(sizes, "frame_size=64,1514,9000") == {"0", "2"}
    assert kept(sizes, "frame_size=64", "frame_size=128") == {"0", "1"}
    assert kept(sizes, "frame_size=9000") == set()


def test_a_value_that_no_cell_has_is_told_beside_others(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip in a list would leave cells out without a word."""
    sizes = cells_with("frame_size", [64, 128, 1514])
    assert kept(sizes, "frame_size=64, 1514") == {"0", "2"}
    assert capsys.readouterr().err == ""
    assert kept(sizes, "frame_size=64,1541") == {"0"}
    said = (
        "bench: --filter frame_size=64,1541: no cell has 1541; frame_size is one of 128, 1514, 64\n"
    )
    assert capsys.readouterr().err == said
    assert kept(sizes, "cell=0,7") == {"0"}
    assert "no cell has 7; cell is one of 0, 1, 2" in capsys.readouterr().err


def test_a_filter_takes_ids_of_cells() -> None:
    sizes = cells_with("frame_size", [64, 128, 1514])
    assert kept(sizes, "cell=0,2") == {"0", "2"}
    assert kept(sizes, "cell=0", "cell=1", "frame_size=128,1514") == {"1"}
    assert kept(sizes, "cell=7") == set()
