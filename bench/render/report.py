"""From a stored run to what a table shows: a row per cell, and what was measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.analysis import summary
from bench.base.values import Value
from bench.model.results import CellResult
from bench.model.run import Run
from bench.render import facts, provenance
from bench.render.document import Fact, Json
from bench.store.folders import run_name


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a table shows: what was measured, on what, and a row per cell."""

    name: str
    description: str
    run: str
    facts: tuple[Fact, ...]
    """About the machine and the run, in the order to show."""
    rows: tuple[CellResult, ...]
    baseline: Mapping[str, Value] | None
    notes: tuple[str, ...] = ()
    baselines: Mapping[str, str] = field(default_factory=dict)
    """Each cell's baseline, by their ids."""
    provenance: Mapping[str, Json] = field(default_factory=dict)


def make_report(run: Run) -> Report:
    """The rows and the heading of a run, also of one that is not finished."""
    matrix = run.header.matrix
    return Report(
        name=matrix.name,
        description=matrix.description,
        run=run_name(run.path),
        facts=facts.of(run),
        rows=tuple(summary.summarise(run, run.header.measure.precision)),
        baseline=matrix.baseline,
        notes=tuple(notes_of(run)),
        baselines=run.baselines,
        provenance=provenance.of(run.header, run.path),
    )


def is_complete(report: Report, run: Run) -> bool:
    """Whether every cell has valid figures and the run was not cut short."""
    return run.end == "done" and all(row.is_measured and not row.failure for row in report.rows)


def notes_of(run: Run) -> list[str]:
    """What a reader must know of a run as a whole."""
    notes = list(run.warnings)
    if run.end == "":
        notes.append("this run was killed, or is still going on: --resume takes it up")
    elif run.end != "done":
        notes.append(f"this run did not finish ({run.end}): --resume takes it up")
    for cell in run.calibration:
        if reason := run.failures.get(cell.id):
            notes.append(f"the calibration cell {cell.method} failed: {reason}")
    return notes
