"""--bench-compare: verdicts of `bench compare` on cells."""

from __future__ import annotations

from tests.pytest_plugin.sessions import Pytest


def test_cells_are_compared_with_stored_runs(run_pytest: Pytest) -> None:
    run_pytest.matrix()
    assert run_pytest("m.yaml", "--matrix", "--bench-results=results").code == 0
    (first,) = run_pytest.runs()
    for against in (first, first.parents[1]):
        ended = run_pytest("m.yaml", "--matrix", "--bench-compare", against)
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
