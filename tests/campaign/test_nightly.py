"""Nights one after another: what each tells, and what it takes for a night."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.analysis.nightly import Finding
from bench.campaign.judging import condensed
from bench.campaign.nightly import Outcome
from bench.model.cells import Cell
from tests.campaign.nights_of import Nights


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built_core: None) -> Nights:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Nights(tmp_path / "m", monkeypatch)


def told(outcome: Outcome) -> dict[str, set[str]]:
    """What was found, and of what; steady series and unknown ones apart."""
    found: dict[str, set[str]] = {}
    for of in condensed(outcome.judged):
        if of.decision.finding not in (Finding.STEADY, Finding.UNKNOWN):
            name = of.cell.method if of.cell else of.series
            found.setdefault(of.decision.finding.value, set()).add(name)
    return found


def sendto_slower(cell: Cell) -> float:
    return 1.08 if cell.method == "sendto" else 1.0


def all_slower(cell: Cell) -> float:
    return 1.1 * sendto_slower(cell)


def test_thirty_nights_tell_a_cost_of_some_cells_and_one_of_all(nights: Nights) -> None:
    import time

    t = time.time()
    for number in range(1, 31):
        costs = all_slower if number >= 25 else sendto_slower if number >= 20 else (lambda c: 1.0)
        outcome = nights.tonight(costs)
        print(
            number,
            outcome.told.cells,
            outcome.told.nights,
            told(outcome),
            outcome.remarks,
            outcome.marks,
            outcome.told.failed,
            round(time.time() - t, 1),
        )
