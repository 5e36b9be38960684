"""Speed-ups are against one thread, of the cell that is most alike."""

from __future__ import annotations

import pytest

from bench.analysis.scaling import speed_ups
from tests.drawn_runs import cells_of, run_of


def test_each_number_of_threads_is_compared_with_one() -> None:
    cells = cells_of(threads=[1, 2, 4], method=["sendto", "tx_ring"])
    found = speed_ups(run_of(cells), cells)
    assert sorted(up.cell.threads for up in found) == [2, 2, 4, 4]
    for up in found:
        assert (up.base.threads, up.base.method) == (1, up.cell.method)
        assert up.ratio.value == pytest.approx(up.cell.threads**0.8, rel=0.02)


def test_the_base_has_the_same_socket_where_there_is_one() -> None:
    cells = cells_of(threads=[1, 2], socket=["own", "shared"], affinity=["spread"])
    found = speed_ups(run_of(cells), cells)
    assert [up.base.values["socket"] for up in found] == ["own", "shared"]
    without = [cell for cell in cells if (cell.threads, cell.values["socket"]) != (1, "shared")]
    found = speed_ups(run_of(without), without)
    assert [up.base.values["socket"] for up in found] == ["own", "own"]
    assert speed_ups(run_of(cells[2:]), cells[2:]) == []
