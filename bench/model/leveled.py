"""A stored run as a history needs it: a level of each cell, and no opening."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.model.cells import Cell
from bench.model.header import RunHeader
from bench.model.results import mark_of


@dataclass(frozen=True, slots=True)
class LeveledRun:
    """``ids`` are cells with figures, calibration cells among them. ``levels`` maps each figure to
    logarithms, one for each of ``ids``: NaN where too few rounds, or others, leave no evidence.

    ``notes`` are those of the summaries of cells that have any; ``doubts`` maps cells whose pps is
    no evidence to the codes of the notes that say so, "invalid:CODE" with that of the commonest
    reason.
    ``rounds`` is the number of usable samples of all cells; ``failures`` and ``end`` as in Run.
    """

    path: str
    header: RunHeader
    cells: tuple[Cell, ...]
    calibration: tuple[Cell, ...]
    ids: tuple[str, ...]
    levels: Mapping[str, memoryview[float]]
    notes: Mapping[str, Mapping[str, int]]
    doubts: Mapping[str, tuple[str, ...]]
    rounds: int
    failures: Mapping[str, str]
    end: str
    warnings: tuple[str, ...] = ()

    def marks(self, cell: str) -> tuple[str, ...]:
        """The notes of a cell in short."""
        return tuple(mark_of(code, count) for code, count in self.notes.get(cell, {}).items())
