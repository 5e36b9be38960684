"""Runs of a history by their levels, which their summaries have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.analysis.cell_summaries import summary_of
from bench.analysis.evidence import NO_EVIDENCE, doubt, is_noted
from bench.analysis.intervals import MIN_ROUNDS
from bench.analysis.openings import MIN_OPENING_ROUNDS
from bench.analysis.panel import Array, Figure
from bench.analysis.verdicts import FIGURES
from bench.model.leveled import LeveledRun
from bench.model.summaries import RunSummary
from bench.store.run_summaries import read_summary
from bench.store.summaries import Table


def leveled(run: RunSummary) -> LeveledRun:
    """The run with a level in place of each cell's openings."""
    table = Table.of(run.summaries)
    doubts = _doubts(table)
    return LeveledRun(
        path=run.path,
        header=run.header,
        cells=run.cells,
        calibration=run.calibration,
        ids=table.cells,
        levels=_levels(table, doubts),
        notes=table.notes,
        doubts=doubts,
        rounds=sum(int(sum(of["rounds"])) for of in table.openings.values()),
        failures=run.failures,
        end=run.end,
        warnings=run.warnings,
    )


def read_leveled(path: Path) -> LeveledRun:
    """Of a run file. Raises UsageError."""
    return leveled(read_summary(path, summary_of, only_levels=True))


def _levels(table: Table, doubts: Mapping[str, object]) -> dict[str, memoryview[float]]:
    """The mean logarithm of each cell's openings, by figure; NaN where it has none, or where its
    pps is no evidence. It is what ``analysis.panel`` makes of a few runs."""
    found = dict(zip(FIGURES, _means(table), strict=True))
    if doubts:
        found["pps"][[cell in doubts for cell in table.cells]] = np.nan
    return {figure: memoryview(row).cast("B").cast("d") for figure, row in found.items()}


def _means(table: Table) -> Array:
    """Of each figure and cell, (figures, cells)."""
    openings = table.openings.values()
    if not openings:
        return np.full((len(FIGURES), len(table.cells)), np.nan)
    rounds = np.array([np.asarray(of["rounds"]) for of in openings])
    figures = np.array([[np.asarray(of[figure]) for of in openings] for figure in FIGURES])
    usable = (rounds >= MIN_OPENING_ROUNDS) & (rounds.sum(axis=0) >= MIN_ROUNDS) & (figures > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.where(usable, np.log(figures), 0.0)
        means: Array = logs.sum(axis=1) / usable.sum(axis=1)
    return means


def _doubts(table: Table) -> dict[str, tuple[str, ...]]:
    """Why a cell's pps is no evidence, of the cells of which it is none."""
    noted = set().union(*table.notes.values())
    codes = [code for code in NO_EVIDENCE if code in noted]
    found = {
        cell: tuple(
            doubt(notes, code) for code in codes if code in notes and is_noted(table[cell], code)
        )
        for cell, notes in table.notes.items()
        if codes
    }
    return {cell: why for cell, why in found.items() if why}


def levels_of(runs: Iterable[LeveledRun], cells: Sequence[str], figure: Figure) -> Array:
    """The level of each cell in each run, (runs, cells); NaN where a run has none."""
    column = {cell: number for number, cell in enumerate(cells)}
    places: dict[tuple[str, ...], tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]] = {}
    rows = []
    for run in runs:
        if run.ids not in places:
            theirs = [number for number, cell in enumerate(run.ids) if cell in column]
            ours = [column[run.ids[number]] for number in theirs]
            places[run.ids] = np.array(theirs, np.intp), np.array(ours, np.intp)
        of_run, of_row = places[run.ids]
        row = np.full(len(cells), np.nan)
        row[of_row] = np.asarray(run.levels[figure])[of_run]
        rows.append(row)
    return np.array(rows).reshape(len(rows), len(cells))
