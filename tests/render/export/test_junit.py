"""JUnit XML of verdicts, read by junitparser."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from bench.analysis.nightly import Decision, Finding
from bench.analysis.verdicts import Change, Comparison, Row, Shift, Verdict
from bench.campaign.judging import Judged
from bench.campaign.told import Told
from bench.model.cells import Cell
from bench.render.export import junit
from tests.builders import a_cell
from tests.render.export.runs import EVIL

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
CHANGE = Change(-0.04, -0.044, -0.036, 1e-9)
KINDS = {"failure": Failure, "error": Error, "skipped": Skipped}


def read(*suites: junit.Suite) -> list[TestSuite]:
    text = junit.render(suites)
    assert text.endswith("</testsuites>\n") or not suites
    return [*JUnitXml.fromstring(text.encode())]


def results(suite: TestSuite) -> dict[str, tuple[str, str]]:
    """Of each case its result and what is said of it."""
    return {case.name: result(case) for case in suite}


def result(case: TestCase) -> tuple[str, str]:
    for name, kind in KINDS.items():
        for found in case.result:
            if isinstance(found, kind):
                assert found.message.startswith(f"{found.type}: ")
                return name, found.message
    return "passed", case.system_out


def a_comparison(*rows: Row, shifts: tuple[Shift, ...] = ()) -> Comparison:
    return Comparison(rows, shifts, 1, 1, 0, 5, None)


def a_row(verdict: Verdict, reasons: tuple[str, ...] = (), cell: Cell | None = None) -> Row:
    changes: dict[Any, Change] = {} if verdict is Verdict.MISSING else {"pps": CHANGE}
    named = cell or a_cell(verdict.value, interface={"kind": "lo"})
    return Row(named, verdict, changes, 0.03, reasons=reasons)


def test_a_verdict_is_a_case_and_only_a_regression_is_a_failure() -> None:
    rows = [a_row(verdict) for verdict in Verdict if verdict is not Verdict.INCONCLUSIVE]
    rows.append(a_row(Verdict.INCONCLUSIVE, ("too wide",)))
    (suite,) = read(junit.of_comparison("m", a_comparison(*rows)))
    figures = "pps -4.0% [-4.4%, -3.6%]"
    end = "/frame_size=64"
    assert results(suite) == {
        f"m/interface=lo/method=regressed{end}": ("failure", f"regressed: {figures}"),
        f"m/interface=lo/method=missing{end}": ("error", "missing: no figures to compare"),
        f"m/interface=lo/method=inconclusive{end}": (
            "skipped",
            f"inconclusive: {figures}; too wide",
        ),
        f"m/interface=lo/method=improved{end}": ("passed", f"improved: {figures}"),
        f"m/interface=lo/method=new{end}": ("passed", f"new: {figures}"),
        f"m/interface=lo/method=unchanged{end}": ("passed", f"unchanged: {figures}"),
    }
    assert (suite.name, suite.tests, suite.failures, suite.errors) == ("m", 6, 1, 1)
    assert suite.skipped == 1


def test_a_shift_is_a_case_before_the_cells() -> None:
    shift = Shift("", "pps", CHANGE, Verdict.REGRESSED, assumed=False)
    compared = a_comparison(a_row(Verdict.UNCHANGED), shifts=(shift,))
    (suite,) = read(junit.of_comparison("m", compared))
    first, *_ = results(suite).items()
    assert first == ("all cells", ("failure", "regressed: pps -4.0% [-4.4%, -3.6%]"))


def test_whatever_a_run_has_is_xml() -> None:
    cell = Cell(EVIL, {"method": EVIL, "interface": "\x00\ud800\ufffe]]>"})
    row = a_row(Verdict.INCONCLUSIVE, (EVIL,), cell)
    (suite,) = read(junit.of_comparison(EVIL, a_comparison(row)))
    assert "\\x1b" in suite.name
    assert "]]>" in next(iter(results(suite)))


def judged(cell: Cell, finding: Finding, figure: Any = "pps") -> Judged:
    decision = Decision(finding, -0.04, -0.044, -0.036, 1e-6, 9, stands_out=False)
    return Judged(cell.id, cell, figure, decision, NOW, None)


def an_outcome(cells: list[Cell], *of: Judged, **more: Any) -> Any:
    task = SimpleNamespace(matrix=SimpleNamespace(name="m"), plan=SimpleNamespace(cells=cells))
    some = {"told": Told("r.jsonl", NOW), "missing": {}, "notes": {}, "is_interrupted": False}
    return SimpleNamespace(**{"task": task, "judged": of} | some | more)


def test_of_a_night_the_worse_finding_of_both_figures_decides() -> None:
    cells = [a_cell(finding.value) for finding in Finding]
    of = [judged(cell, finding) for cell, finding in zip(cells, Finding, strict=True)]
    calm = [judged(cell, Finding.STEADY, "ns_per_frame") for cell in cells]
    (suite,) = read(*junit.of_nights([an_outcome(cells, *of, *calm)]))
    found = {case.name.split("/")[1].removeprefix("method="): result(case)[0] for case in suite}
    assert found == {
        "regressed": "failure",
        "suspected": "skipped",
        "suspect": "skipped",
        "unconfirmed": "passed",
        "improved": "passed",
        "steady": "passed",
        "unknown": "passed",
    }
    (text,) = [result(case)[1] for case in suite if "=regressed/" in case.name]
    figures = "pps -4.0% [-4.4%, -3.6%], ns/frame -4.0% [-4.4%, -3.6%]"
    assert text == f"regressed: {figures}; two sessions agree"


def test_a_cell_without_figures_and_a_night_that_failed_are_errors() -> None:
    cell = a_cell("x")
    missing = an_outcome([cell], judged(cell, Finding.UNKNOWN), missing={"x": "it failed"})
    failed = an_outcome([cell], told=Told("r.jsonl", NOW, failed="no interface"))
    interrupted = an_outcome([cell], is_interrupted=True)
    found = [results(suite) for suite in read(*junit.of_nights([missing, failed, interrupted]))]
    assert found == [
        {"m/method=x/frame_size=64": ("error", "no figures: it failed")},
        {"night": ("error", "failed: no interface")},
        {"night": ("error", "interrupted: the next call goes on")},
    ]


def test_a_series_with_too_few_nights_is_skipped() -> None:
    cell = a_cell("x")
    (suite,) = read(*junit.of_nights([an_outcome([cell], judged(cell, Finding.UNKNOWN))]))
    assert [*results(suite).values()] == [("skipped", "unknown: too few nights to compare with")]


@pytest.mark.parametrize("suites", [(), (junit.Suite("m", ()),)])
def test_nothing_is_a_file_as_well(suites: tuple[junit.Suite, ...]) -> None:
    assert [suite.tests for suite in JUnitXml.fromstring(junit.render(suites).encode())] in (
        [],
        [0],
    )
