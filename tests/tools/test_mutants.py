"""`make mutants`: what it takes for no fault is still in the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.mutants.change import Change, equivalents
from tools.mutants.trials import Baseline

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("change", equivalents(), ids=lambda change: f"{change.file}:{change.line}")
def test_an_equivalent_mutant_is_of_a_line_that_is_there(change: Change) -> None:
    assert change.line in " ".join((ROOT / change.file).read_text().split())
    assert change.line != change.mutant


def test_a_fault_is_tried_with_tests_that_run_its_line_or_see_what_its_import_made() -> None:
    tests = dict.fromkeys(["calls", "uses", "elsewhere", "looks"], 0.1)
    lines = {"a.py": {"1": [""], "5": ["calls"], "7": ["uses"]}, "b.py": {"3": ["elsewhere"]}}
    baseline = Baseline(tests, lines)
    assert baseline.that_run("a.py", 5) == {"calls"}
    assert baseline.that_run("a.py", 1) == {"calls", "uses", "looks"}
    assert baseline.that_run("c.py", 1) == {"looks"}
