"""Runs of a history by their levels: from summaries, and of many runs at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.analysis.cell_summaries import cell_summaries
from bench.analysis.panel import Array, Figure
from bench.analysis.verdicts import FIGURES, NO_EVIDENCE, is_noted
from bench.campaign.levels import levels
from bench.model.leveled import LeveledRun
from bench.model.summaries import RunSummary
from bench.store.run_summaries import read_summary
from bench.store.summaries import Table


def leveled(runs: Sequence[RunSummary]) -> list[LeveledRun]:
    """Runs with a level in place of each cell's openings, in their order."""
    tables = [Table.of(run.summaries) for run in runs]
    alike: dict[tuple[str, ...], list[int]] = {}
    for number, table in enumerate(tables):
        alike.setdefault(table.cells, []).append(number)
    found: dict[int, dict[str, memoryview[float]]] = {number: {} for number in range(len(runs))}
    for cells, numbers in alike.items():
        for figure in FIGURES:
            rows = levels([runs[number] for number in numbers], cells, figure)
            for number, row in zip(numbers, rows, strict=True):
                found[number][figure] = memoryview(row).cast("B").cast("d")
    return [
        _leveled(run, table, found[number])
        for number, (run, table) in enumerate(zip(runs, tables, strict=True))
    ]


def read_leveled(path: Path) -> LeveledRun:
    """Of a run file. Raises UsageError."""
    (run,) = leveled([read_summary(path, cell_summaries, only_levels=True)])
    return run


def _leveled(run: RunSummary, table: Table, found: Mapping[str, memoryview[float]]) -> LeveledRun:
    return LeveledRun(
        path=run.path,
        header=run.header,
        cells=run.cells,
        calibration=run.calibration,
        ids=table.cells,
        levels=found,
        doubts={cell: codes for cell in table.notes if (codes := _doubts(table, cell))},
        rounds=sum(int(sum(of["rounds"])) for of in table.openings.values()),
        failures=run.failures,
        end=run.end,
        warnings=run.warnings,
    )


def _doubts(table: Table, cell: str) -> tuple[str, ...]:
    found = [code for code in NO_EVIDENCE if code in table.notes[cell]]
    return tuple(code for code in found if is_noted(table[cell], code))


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
