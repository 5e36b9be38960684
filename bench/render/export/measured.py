"""What every export needs of a run: each cell with its name, its figures and its samples."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bench.analysis.figures import usable_by_cell
from bench.analysis.summary import summarise
from bench.base import ids
from bench.base.values import Value, value_text
from bench.model.results import CellResult, mark_of
from bench.model.run import Run
from bench.model.samples import Sample
from bench.render.export.names import names_of
from bench.store.folders import run_name


@dataclass(frozen=True)
class MeasuredCell:
    """``samples`` are those that figures are made of, in round order; ``side`` is that of a run of
    two sides, else empty. A cell without samples has no figures."""

    name: str
    side: str
    result: CellResult
    samples: Sequence[Sample]

    @property
    def id(self) -> str:
        return self.result.cell.id

    @property
    def shown_id(self) -> str:
        return ids.shown(self.id)

    @property
    def counts(self) -> dict[str, int]:
        """How many samples each note is of, 0 for one of the row as a whole; invalid ones, too."""
        notes = {note.code: note.count for note in self.result.notes}
        invalid = self.result.tally.invalid
        return notes | ({"invalid": invalid} if invalid else {})

    @property
    def marks(self) -> list[str]:
        """The notes in short."""
        return [mark_of(code, count) for code, count in self.counts.items()]


@dataclass(frozen=True)
class Measured:
    """A run with the cells to export, in the order of the plan."""

    run: Run
    cells: tuple[MeasuredCell, ...]

    @property
    def name(self) -> str:
        """Of the run."""
        return run_name(self.run.path)

    @property
    def matrix(self) -> str:
        return self.run.header.matrix.name

    @property
    def with_figures(self) -> list[MeasuredCell]:
        return [cell for cell in self.cells if cell.result.is_measured]


def measured(run: Run, kept: Collection[str] | None = None) -> Measured:
    """A run as exports have it; ``kept`` are the ids of cells, None is all."""
    samples = usable_by_cell(run)
    sides = sides_of(run)
    names = names_of(run.header.matrix.name, run.cells, sides)
    cells = (
        MeasuredCell(names[row.cell.id], sides.get(row.cell.id, ""), row, samples[row.cell.id])
        for row in summarise(run, run.header.measure.precision)
        if kept is None or row.cell.id in kept
    )
    return Measured(run, tuple(cells))


def sides_of(run: Run) -> dict[str, str]:
    """The side of each cell of a run of two sides: one of B has its twin of A for a baseline."""
    sides = [side.label for side in run.header.sides]
    if not sides:
        return {}
    is_b = {cell.id: run.baselines.get(cell.id, cell.id) != cell.id for cell in run.cells}
    return {cell: sides[-1] if b else sides[0] for cell, b in is_b.items()}


def param_text(value: Value | None) -> str | int | bool | None:
    """The value of an axis for what knows numbers, texts and flags alone."""
    return value_text(value) if isinstance(value, dict) else value
