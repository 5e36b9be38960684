"""Whose pps is evidence: of a cell's samples, some may be invalid."""

from __future__ import annotations

import pytest

from bench.analysis.evidence import MOST_INVALID, doubts_of_row, is_noted
from bench.model.results import CellResult, Tally
from bench.model.summaries import CellSummary, OpeningFigures
from tests.builders import a_cell


@pytest.mark.parametrize("beyond", [0, 1])
def test_so_large_a_part_may_be_invalid_and_no_sample_more(beyond: int) -> None:
    invalid = round(100 * MOST_INVALID)
    rounds, invalid = 100 - invalid, invalid + beyond
    row = CellResult(a_cell("a"), tally=Tally(rounds, invalid))
    assert doubts_of_row(row) == ["invalid"] * beyond
    opening = OpeningFigures(0, rounds, pps=1e6, ns_per_frame=1000.0)
    assert is_noted(CellSummary("a", (opening,), notes={"invalid": invalid}), "invalid") == beyond
