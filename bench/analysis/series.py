"""Runs of a matrix as series: each cell beyond the shift of its place, and the shifts themselves.

A run's value of a cell is the mean logarithm over its openings, less the cell's median over the
nights of the history. So runs of some of the cells (confirmations) have shifts that can be set
beside those of whole nights. ``shifts`` says how a shift is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.analysis.panel import Array
from bench.analysis.shared import Shared, row_medians
from bench.analysis.verdicts import interface_of
from bench.model.cells import Cell

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


def taken_apart(values: Array, nights: int, cells: Sequence[Cell]) -> Series:
    """The series of these cells. ``values`` (runs, cells) are logarithms of one figure, NaN where
    there is none or it is no evidence; the first ``nights`` of the runs are the history."""
    moved = values - medians(values[:nights])
    places = [interface_of(cell) for cell in cells]
    shared = Shared.among(places, len(cells), np.arange(len(cells)))
    if not shared.sets:
        return Series(moved.T, np.empty((0, len(moved))), ())
    centres = shared.centres_of_rows(moved)
    off = centres[:, shared.set_of]
    return Series((moved - off).T, centres.T, (*shared.names, EVERYTHING))


def medians(nights: Array) -> Array:
    """Of each cell over nights; NaN where it has none."""
    return row_medians(nights.T, np.isfinite(nights.T))
