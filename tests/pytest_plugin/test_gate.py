"""--bench-compare: verdicts of `bench compare` on cells."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.pytest_plugin.gate import gate, side_of
from tests.pytest_plugin.sessions import Pytest
from tests.run_files import CELLS, write


@pytest.fixture
def first(tmp_path: Path) -> str:
    """A run, beside others that should agree with it."""
    runs = [write(tmp_path / f"2026010{number}.jsonl", 1.0) for number in range(8)]
    return str(runs[0])


def test_a_cell_that_lost_fails_and_no_other(first: str, tmp_path: Path) -> None:
    slow = gate(first, write(tmp_path / "new" / "20260109.jsonl", 1.2), strict=True)
    assert slow.failing.keys() == {*CELLS}
    assert all("regressed" in text and first in text for text in slow.failing.values())
    same = gate(first, write(tmp_path / "new" / "20260110.jsonl", 1.0), strict=True)
    assert same.failing == {}
    fast = gate(first, write(tmp_path / "new" / "20260111.jsonl", 0.8), strict=True)
    assert fast.failing == {}
    assert fast.told.endswith("4 improved")


def test_what_is_inconclusive_fails_where_one_is_strict(tmp_path: Path) -> None:
    """So few cells show nothing, where no other runs show how far runs differ."""
    lone, slow = (write(tmp_path / name / "a.jsonl", cost) for name, cost in (("a", 1), ("b", 1.2)))
    assert gate(str(lone), slow, strict=False).failing == {}
    assert gate(str(lone), slow, strict=True).failing.keys() == {*CELLS}


def test_a_folder_may_have_one_for_each_matrix(tmp_path: Path) -> None:
    own = write(tmp_path / "m" / "a.jsonl", 1.0).parent
    assert side_of(str(tmp_path), "m") == side_of(str(own), "m") == str(own)


def test_cells_are_compared_with_stored_runs(run_pytest: Pytest) -> None:
    run_pytest.matrix()
    assert run_pytest("m.yaml", "--matrix", "--bench-results=results").code == 0
    (first,) = run_pytest.runs()
    ended = run_pytest("m.yaml", "--matrix", "--bench-compare", first.parents[1])
    assert ended.code == 0, ended.text
    assert "2 cells: 2 inconclusive" in ended.text  # so few show nothing of how runs differ
    strict = run_pytest("m.yaml", "--matrix", "--bench-compare", first, "--bench-strict")
    assert strict.code == 1
    assert strict.text.count("inconclusive (--bench-strict)") == 2


def test_runs_that_are_not_there_are_told_before_anything_is_measured(run_pytest: Pytest) -> None:
    run_pytest.matrix()
    arguments = ("--bench-compare=nowhere", "--bench-results=results")
    ended = run_pytest("m.yaml", "--matrix", *arguments)
    assert ended.code == 1
    assert "--bench-compare: nowhere" in ended.text
    assert run_pytest.runs() == []


def test_another_matrix_is_no_pass(run_pytest: Pytest) -> None:
    run_pytest.matrix(name="other")
    assert run_pytest("other.yaml", "--matrix", "--bench-results=results").code == 0
    run_pytest.matrix()
    ended = run_pytest("m.yaml", "--matrix", "--bench-compare", *run_pytest.runs())
    assert ended.code == 1
    assert "different matrices" in ended.text
