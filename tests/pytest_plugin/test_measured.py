"""What tests in Python say of cells: intervals decide, or nothing does."""

from __future__ import annotations

import operator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.pytest_plugin.measured import Figure
from tests.pytest_plugin.sessions import Pytest

ends = st.floats(0.001, 1000)
COMPARISONS = (operator.ge, operator.gt, operator.le, operator.lt)


def figure(low: float | None, high: float | None, **more: object) -> Figure:
    middle = 1.0 if low is None or high is None else (low + high) / 2
    return Figure("pps", middle, low, high, 40, **more)  # type: ignore[arg-type]


@given(ends, ends, ends, st.sampled_from(COMPARISONS))
def test_a_number_beside_the_interval_is_compared_like_every_value_in_it(
    one: float, other: float, bound: float, compare: operator.attrgetter[bool]
) -> None:
    low, high = sorted((one, other))
    assume(not low <= bound <= high)
    assert compare(figure(low, high), bound) == compare(low, bound) == compare(high, bound)


@given(ends, ends, st.floats(0, 1), st.sampled_from((operator.ge, operator.lt)))
def test_a_number_in_the_interval_decides_nothing(
    one: float, other: float, where: float, compare: operator.attrgetter[bool]
) -> None:
    low, high = sorted((one, other))
    bound = low + where * (high - low)
    assume(low < bound <= high)
    with pytest.raises(pytest.skip.Exception, match="inconclusive"):
        compare(figure(low, high), bound)
    with pytest.raises(pytest.fail.Exception, match="inconclusive"):
        compare(figure(low, high, is_strict=True), bound)


@pytest.mark.parametrize("compare", COMPARISONS)
@pytest.mark.parametrize("of", [figure(None, None), figure(2.0, 3.0, doubt="starved")])
def test_without_an_interval_and_in_doubt_nothing_is_decided(
    of: Figure, compare: operator.attrgetter[bool]
) -> None:
    with pytest.raises(pytest.skip.Exception, match="inconclusive"):
        compare(of, 1.0)


def test_a_figure_is_no_number_and_no_truth() -> None:
    with pytest.raises(TypeError, match="compare"):
        bool(figure(1.0, 2.0))
    with pytest.raises(TypeError, match="interval"):
        assert figure(1.0, 2.0) == 1.5


TESTS = """
@pytest.mark.bench("m.yaml", burst=[1, 64])
class TestIt:
    def test_passes(self, bench_matrix):
        assert bench_matrix.cell(burst=64).ratio_ns < 1000

    def test_fails(self, bench_matrix):
        assert bench_matrix.cell(burst=64).ratio_ns > 1000

    def test_any_two(self, bench_matrix):
        one, many = bench_matrix.cells()
        assert one.over(many, "ns_per_frame") > 0.001

@pytest.mark.bench("m.yaml")
def test_ambiguous(bench_matrix):
    bench_matrix.cell(method="null")

@pytest.mark.bench("m.yaml", burst=7)
def test_absent(bench_matrix): ...

@pytest.mark.bench("m.yaml", brust=7)
def test_unknown(bench_matrix): ...

@pytest.mark.bench("few.yaml")
def test_inconclusive(bench_matrix):
    assert bench_matrix.cell(burst=64).ratio_ns < 1000

@pytest.mark.bench("none.yaml")
def test_no_file(bench_matrix): ...

def test_no_mark(bench_matrix): ...
"""


def test_tests_ask_about_cells(run_pytest: Pytest) -> None:
    run_pytest.matrix({"method": ["null"], "burst": [1, 8, 64]}, rounds=120)
    run_pytest.matrix(name="few", rounds=2)
    run_pytest.tests(TESTS)
    ended = run_pytest("-rA", "--bench-results=results")
    lines = {line.split(" - ")[0]: line for line in ended.text.splitlines() if "::" in line}
    for name, outcome in {
        "TestIt::test_passes": "PASSED",
        "TestIt::test_fails": "FAILED",
        "TestIt::test_any_two": "PASSED",
        "test_ambiguous": "FAILED",
        "test_absent": "ERROR",
        "test_unknown": "ERROR",
        "test_no_file": "ERROR",
        "test_no_mark": "ERROR",
    }.items():
        assert f"{outcome} test_it.py::{name}" in lines, ended.text
    assert "3 cells have method null" in ended.text
    assert "no cell has burst 7; burst is one of 1, 8, 64" in ended.text
    assert "no axis is called brust" in ended.text
    assert "none.yaml: does not exist" in ended.text
    # It is the test's line that is named.
    line = 2 + TESTS.splitlines().index('@pytest.mark.bench("few.yaml")') + 2
    assert f"test_it.py:{line}: inconclusive: <ns/frame of null[burst:64] over" in ended.text
    assert len(run_pytest.runs()) == 2  # one of each matrix, whoever asks
    strict = run_pytest("-k", "test_inconclusive", "--bench-strict")
    assert strict.code == 1
    assert "inconclusive" in strict.text


def test_a_mark_and_a_matrix_share_a_run(run_pytest: Pytest) -> None:
    run_pytest.matrix({"method": ["null"], "burst": [1, 8, 64]}, rounds=2)
    run_pytest.tests('@pytest.mark.bench("m.yaml", burst=8)\ndef test_it(bench_matrix): ...\n')
    arguments = ("--matrix", "--bench-results=results", "-k", "test_it or burst:64")
    ended = run_pytest("m.yaml", "test_it.py", *arguments)
    assert ended.code == 0, ended.text
    assert "2 passed" in ended.text
    assert len(run_pytest.runs()) == 1
