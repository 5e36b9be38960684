"""`make mutants`: what it takes for no fault is still in the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants.change import Change, equivalents

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("change", equivalents(), ids=lambda change: f"{change.file}:{change.line}")
def test_an_equivalent_mutant_is_of_a_line_that_is_there(change: Change) -> None:
    assert change.line in " ".join((ROOT / change.file).read_text().split())
    assert change.line != change.mutant
