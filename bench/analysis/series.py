"""Runs of a matrix as series: each cell beyond the shift of its place, and the shifts themselves.

A run's value of a cell is the mean logarithm over its openings, less the cell's median over the
nights of the history. So runs of some of the cells (confirmations) have shifts that can be set
beside those of whole nights. ``shifts`` says how a shift is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis.panel import Array, Figure, panel_of
from bench.analysis.shared import Shared, row_medians
from bench.analysis.verdicts import NO_EVIDENCE, interface_of, is_noted
from bench.model.cells import Cell
from bench.model.summaries import RunSummary

EVERYTHING = ""
"""The scope of the shift of all cells; others are keys of interfaces."""


@dataclass(frozen=True, slots=True)
class Series:
    """One figure; logarithms, NaN where missing.

    ``cells`` has the shape (cells, runs), ``shifts`` (scopes, runs). A matrix of few cells has no
    shift: its cells are as they are.
    """

    cells: Array
    shifts: Array
    scopes: tuple[str, ...]


def series_of(
    runs: Sequence[RunSummary], nights: int, cells: Sequence[Cell], figure: Figure
) -> Series:
    """The series of these cells over runs; the first ``nights`` of the runs are the history."""
    ids = [cell.id for cell in cells]
    values = panel_of([[run] for run in runs], ids, figure).runs
    if figure == "pps":
        values = np.where(_doubtful(runs, ids), np.nan, values)
    return taken_apart(values, nights, cells)


def taken_apart(values: Array, nights: int, cells: Sequence[Cell]) -> Series:
    """The same of ``values`` (runs, cells): the logarithm of one figure, NaN where there is none
    or it is no evidence."""
    moved = values - medians(values[:nights])
    places = [interface_of(cell) for cell in cells]
    shared = Shared.among(places, len(cells), np.arange(len(cells)))
    if not shared.sets:
        return Series(moved.T, np.empty((0, len(moved))), ())
    centres = shared.centres_of_rows(moved)
    off = centres[:, shared.set_of]
    return Series((moved - off).T, centres.T, (*shared.names, EVERYTHING))


def _doubtful(runs: Sequence[RunSummary], cells: Sequence[str]) -> np.ndarray[tuple[int, int]]:
    """Where others did something to the sender, which its pps would be blamed for."""
    found = [
        [
            (of := run.summaries.get(cell)) is not None
            and any(is_noted(of, code) for code in NO_EVIDENCE)
            for cell in cells
        ]
        for run in runs
    ]
    return np.array(found, dtype=bool).reshape(len(runs), len(cells))


def medians(nights: Array) -> Array:
    """Of each cell over nights; NaN where it has none."""
    return row_medians(nights.T, np.isfinite(nights.T))
