"""JUnit XML of verdicts: a test case for each cell and each shift.

A run has no verdicts, so it is no row of EXPORTS; and a night is measured once, while CI wants its
table in the log and this file beside it, so it is no format of what is printed: ``--junit FILE``.

A regression is a failure; a cell without figures and a night that failed are errors; what is
inconclusive or only suspected is skipped, with what would settle it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as xml

from bench.analysis.nightly import Finding
from bench.analysis.verdicts import Comparison, Row, Verdict
from bench.base.printable import printable
from bench.campaign.judging import Judged
from bench.campaign.nightly import Outcome
from bench.render import nightly
from bench.render.changes import labelled_change, shift_texts
from bench.render.export.names import names_of

Result = Literal["passed", "failure", "error", "skipped"]


@dataclass(frozen=True, slots=True)
class Case:
    """``verdict`` is bench's own word; ``text`` has the figures, or the reason."""

    name: str
    result: Result
    verdict: str
    text: str


@dataclass(frozen=True, slots=True)
class Suite:
    """The cases of a matrix."""

    name: str
    cases: tuple[Case, ...]


def render(suites: Sequence[Suite]) -> str:
    """The file, with its final newline."""
    root = xml.Element("testsuites", _counts([case for suite in suites for case in suite.cases]))
    for suite in suites:
        about = {"name": printable(suite.name), **_counts(suite.cases)}
        element = xml.SubElement(root, "testsuite", about)
        for case in suite.cases:
            _add(element, suite.name, case)
    xml.indent(root)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{xml.tostring(root, encoding='unicode')}\n"


def _counts(cases: Sequence[Case]) -> dict[str, str]:
    results = [case.result for case in cases]
    named = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counts = {name: str(results.count(result)) for name, result in named.items()}  # type: ignore[arg-type]
    return {"tests": str(len(cases)), **counts}


def _add(suite: xml.Element, matrix: str, case: Case) -> None:
    about = {"classname": printable(matrix), "name": printable(case.name), "time": "0"}
    element = xml.SubElement(suite, "testcase", about)
    text = printable(case.text)
    if case.result == "passed":
        xml.SubElement(element, "system-out").text = f"{case.verdict}: {text}"
    else:
        told = {"message": f"{case.verdict}: {text}", "type": case.verdict}
        xml.SubElement(element, case.result, told)


# Two sides

_OF_VERDICT: dict[Verdict, Result] = {
    Verdict.REGRESSED: "failure",
    Verdict.MISSING: "error",
    Verdict.INCONCLUSIVE: "skipped",
}


def of_comparison(matrix: str, result: Comparison) -> Suite:
    """Shifts first, then the cells, the worst first."""
    names = names_of(matrix, [row.cell for row in result.rows])
    cells = (_case_of_row(names[row.cell.id], row) for row in result.rows)
    return Suite(matrix, (*_cases_of_shifts(result), *cells))


def _cases_of_shifts(result: Comparison) -> Iterator[Case]:
    for name, verdict, changes, outlook in shift_texts(result):
        text = "; ".join(filter(None, (changes, outlook)))
        yield Case(name, _OF_VERDICT.get(verdict, "passed"), verdict.value, text)


def _case_of_row(name: str, row: Row) -> Case:
    figures = [labelled_change(figure, of) for figure, of in row.changes.items()]
    text = ", ".join(figures) or "no figures to compare"
    notes = (f"{side}: {', '.join(of)}" for side, of in row.notes.items())
    text = "; ".join([text, *row.reasons, *notes])
    return Case(name, _OF_VERDICT.get(row.verdict, "passed"), row.verdict.value, text)


# Nights

_OF_FINDING: dict[Finding, Result] = {
    Finding.REGRESSED: "failure",
    Finding.SUSPECTED: "skipped",
    Finding.SUSPECT: "skipped",
    Finding.UNKNOWN: "skipped",
}


def of_nights(outcomes: Iterable[Outcome]) -> list[Suite]:
    """A suite for each matrix."""
    return [Suite(of.task.matrix.name, tuple(_cases_of_night(of))) for of in outcomes]


def _cases_of_night(outcome: Outcome) -> Iterator[Case]:
    names = names_of(outcome.task.matrix.name, outcome.task.plan.cells)
    if outcome.told.failed:
        yield Case("night", "error", "failed", outcome.told.failed)
    if outcome.is_interrupted:
        yield Case("night", "error", "interrupted", "the next call goes on")
    for cell, reason in outcome.missing.items():
        yield Case(names.get(cell, cell), "error", "no figures", reason)
    series: dict[str, list[Judged]] = {}
    for of in outcome.judged:
        if of.series not in outcome.missing:
            series.setdefault(of.series, []).append(of)
    for name, both in series.items():
        notes = outcome.notes.get(name, ())
        yield _case_of_series(names.get(name, nightly.shift_text(name)), both, notes)


def _case_of_series(name: str, of: Sequence[Judged], notes: Sequence[str]) -> Case:
    """The worse of both figures decides."""
    worst = min((each.decision.finding for each in of), key=[*Finding].index)
    told = [nightly.change_text(e) for e in of if e.decision.finding is not Finding.UNKNOWN]
    text = ", ".join(told) or "too few nights to compare with"
    if worst in nightly.MEANINGS:
        text += f"; {nightly.MEANINGS[worst]}"
    if notes:
        text += f"; notes: {', '.join(notes)}"
    return Case(name, _OF_FINDING.get(worst, "passed"), worst.value, text)
