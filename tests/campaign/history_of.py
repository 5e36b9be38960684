"""Nights in run files that no run has written: levels that are known beforehand."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.model.cells import Cell
from bench.model.results import Estimate
from bench.model.summaries import CellSummary, OpeningFigures
from bench.store.writer import RunWriter
from tests.builders import a_cell, a_header

FIRST = datetime(2026, 1, 1, 3, tzinfo=UTC)
CELLS = [a_cell(f"c{n}", interface=("lo", "veth")[n % 2], frame_size=64 + n) for n in range(12)]

Cost = Callable[[int, str], float]
"""What a frame of a cell costs in a night, as a factor of what it cost at first."""


def at(night: float) -> datetime:
    return FIRST + timedelta(days=night)


def same(_night: int, _cell: str) -> float:
    return 1.0


def write_night(
    folder: Path,
    night: int,
    cost: Cost = same,
    cells: list[Cell] = CELLS,
    started: datetime | None = None,
    notes: dict[str, int] | None = None,
    **header: Any,
) -> Path:
    """All cells of a night stray together by 1 %, and each by 0.3 %."""
    chance = random.Random(night)
    shift = chance.gauss(0, 0.01)
    name = f"{night:04}-{len(header)}"
    path = folder / f"{name}.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    summaries = {}
    for cell in cells:
        ns = 1000 * cost(night, cell.id) * math.exp(shift + chance.gauss(0, 0.003))
        figures = (1e9 / ns, ns)
        openings = tuple(OpeningFigures(n, 20, *figures) for n in range(3))
        estimates = (Estimate(of, of * 0.99, of * 1.01, 60) for of in figures)
        summaries[cell.id] = CellSummary(cell.id, openings, *estimates, notes=notes or {})
    made = {"id": f"{folder}/{name}", "started": (started or at(night)).isoformat(), **header}
    with RunWriter(path) as writer:
        writer.header(a_header(**made), cells)
        writer.summaries(summaries, {})
        writer.end("done")
    return path
