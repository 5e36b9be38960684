"""Figures of many runs at once, from the columns of their summaries: 365 nights of 500 cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.analysis.intervals import MIN_ROUNDS
from bench.analysis.notes import NO_EVIDENCE
from bench.analysis.openings import MIN_OPENING_ROUNDS
from bench.analysis.panel import Array, Figure
from bench.analysis.verdicts import is_noted
from bench.model.summaries import RunSummary
from bench.store.summaries import Table


def levels(runs: Sequence[RunSummary], cells: Sequence[str], figure: Figure) -> Array:
    """The mean logarithm of each cell's openings, (runs, cells); NaN where it has none, or where
    its pps is no evidence. It is what ``analysis.panel`` makes of a few runs."""
    column = {cell: number for number, cell in enumerate(cells)}
    found = np.full((len(runs), len(cells)), np.nan)
    places: dict[tuple[str, ...], npt.NDArray[np.intp]] = {}
    for row, run in enumerate(runs):
        table = Table.of(run.summaries)
        if table.cells not in places:
            pairs = [(i, column[cell]) for i, cell in enumerate(table.cells) if cell in column]
            places[table.cells] = np.array(pairs, dtype=np.intp).reshape(-1, 2).T
        theirs, ours = places[table.cells]
        found[row, ours] = _means(table, figure)[theirs]
        if figure == "pps":
            found[row, [column[cell] for cell in _doubtful(table) if cell in column]] = np.nan
    return found


def _means(table: Table, figure: Figure) -> Array:
    """Of each cell of a run."""
    openings = table.openings.values()
    if not openings:
        return np.full(len(table.cells), np.nan)
    rounds = np.array([np.asarray(of["rounds"]) for of in openings])
    figures = np.array([np.asarray(of[figure]) for of in openings])
    usable = (rounds >= MIN_OPENING_ROUNDS) & (figures > 0) & (rounds.sum(axis=0) >= MIN_ROUNDS)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.where(usable, np.log(figures), 0.0)
        mean: Array = logs.sum(axis=0) / usable.sum(axis=0)
    return mean


def _doubtful(table: Table) -> list[str]:
    return [
        cell
        for cell, notes in table.notes.items()
        if not notes.keys().isdisjoint(NO_EVIDENCE)
        and any(is_noted(table[cell], code) for code in NO_EVIDENCE)
    ]
