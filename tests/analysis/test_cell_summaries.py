"""The summary of a cell is what its row says, and the medians of each of its openings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.analysis.cell_summaries import summary_of
from bench.analysis.summary import summarise
from bench.model.problems import Code, Problem
from bench.model.samples import Sample
from bench.model.summaries import CellSummary, OpeningFigures
from tests.builders import a_cell, a_run, a_sample

BASELINES = {"a": "a", "b": "a"}


def rounds(cell: str, *pps: float) -> list[Sample]:
    return [a_sample(cell, round_, rate) for round_, rate in enumerate(pps)]


def test_a_summary_has_the_figures_of_the_row() -> None:
    samples = [*rounds("a", *[1e6] * 30), *rounds("b", *[2e6, 2.2e6, 2.4e6] * 10)]
    run = a_run(samples, baselines=BASELINES)
    found = summary_of(run).summaries
    for row in summarise(run, 0.01):
        of = found[row.cell.id]
        assert (of.pps, of.ns_per_frame) == (row.figures.pps, row.figures.ns_per_frame)
        assert (of.ratio, of.ratio_ns) == (row.figures.ratio, row.figures.ratio_ns)
    assert found["a"].ratio is None
    assert found["b"].openings == (OpeningFigures(0, 30, 2.2e6, 1000.0, 2.2, 1.0),)


def test_a_figure_has_seven_digits() -> None:
    samples = [replace(s, wall_ns=9_999_991) for s in rounds("a", 1e6)]
    assert summary_of(a_run(samples)).summaries["a"].openings[0].pps == 1000001.0


def test_what_makes_figures_no_evidence_is_noted_with_its_count() -> None:
    invalid = (Problem(Code.NOT_DRAINED),)
    samples = [
        *(a_sample("a", n, lost=1) for n in range(3)),
        *(a_sample("a", n, problems=invalid) for n in range(3, 5)),
    ]
    notes = summary_of(a_run(samples)).summaries["a"].notes
    assert (notes["lossy"], notes["invalid"], notes["invalid:not_drained"]) == (0, 2, 2)


def test_a_cell_without_a_usable_sample_has_a_reason_and_no_summary() -> None:
    cells = [a_cell("a"), a_cell("b"), a_cell("c")]
    problem = Problem(Code.NOT_DRAINED)
    samples = [a_sample("b", problems=(problem,)), *rounds("a", 1e6)]
    found = summary_of(a_run(samples, cells, failures={"c": "gone"}))
    assert [*found.summaries] == ["a"]
    assert found.failures == {"b": f"no usable sample: {problem.text}", "c": "gone"}


def test_calibration_cells_have_summaries_and_no_ratio() -> None:
    calibration = rounds("syscall", 1e6, 3e6)
    run = a_run(
        rounds("a", 1e6, 1e6),
        calibration=(a_cell("syscall"),),
        calibration_samples=tuple(calibration),
    )
    found = summary_of(run).summaries
    assert [*found] == ["a", "syscall"]
    (opening,) = found["syscall"].openings
    assert opening.pps == pytest.approx(3**0.5 * 1e6)  # the median of logarithms
    assert found["syscall"].ratio is None
    assert isinstance(found["syscall"], CellSummary)
