"""What a run answers, from its rows and its samples."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.contests import contests
from bench.analysis.effects import effects
from bench.analysis.figures import usable_by_cell
from bench.model.answer import Answer
from bench.model.results import CellResult
from bench.model.run import Run


def answer_of(run: Run, rows: Sequence[CellResult]) -> Answer:
    """The answer about the cells of some rows of a run."""
    usable = usable_by_cell(run)
    cells = [row.cell for row in rows]
    found, alone = effects(run, usable, cells)
    failures: dict[str, list[str]] = {}
    marked: dict[str, list[str]] = {}
    for row in rows:
        if not row.is_measured:
            failures.setdefault(_why(row), []).append(row.cell.id)
        for note in row.notes:
            if note.code == "imprecise" and not row.figures.ratio:
                continue  # no level has an interval from few rounds; the answer is of ratios
            marked.setdefault(note.code, []).append(row.cell.id)
    return Answer(
        contests=tuple(contests(run, usable, cells)),
        effects=found,
        failures={reason: tuple(of) for reason, of in failures.items()},
        marked={code: tuple(of) for code, of in marked.items()},
        alone=alone,
    )


def _why(row: CellResult) -> str:
    """Why a cell has no figures; empty where it was not run."""
    return row.failure or row.tally.invalid_reason
