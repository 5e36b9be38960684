"""A run of two sides, interleaved -> what B changed: everything, and each cell.

Cells of B and of A are measured beside each other in every round, so that the machine's drift and
the fate of a run are in both alike. What is left is how far openings differ: of each cell, and of
what all cells share, the ratios within rounds of each opening are taken, and the interval is
Student's over openings (``openings``). So the shift of all is known as well as the cells are, and
none is taken off of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from bench.analysis import openings, verdicts
from bench.analysis.openings import MIN_OPENING_ROUNDS, MIN_OPENINGS, Spread
from bench.analysis.panel import Figure
from bench.analysis.shared import biweight
from bench.analysis.shifts import Estimated
from bench.analysis.verdicts import FIGURES, Comparison, Found, Row, Shift, Verdict
from bench.model.cells import Cell
from bench.model.summaries import CellSummary, RunSummary

MIN_SHARED = 3
"""Cells that have something in common."""

RATIOS: Mapping[Figure, str] = {"pps": "ratio", "ns_per_frame": "ratio_ns"}
"""Where an opening has B over A of each figure: A's cell is the baseline of B's."""

Logs = Mapping[str, Mapping[int, float]]
"""Of each cell and opening the logarithm of B over A."""

_ALL = ""
"""Stands for all cells among the names of cells."""


def compare(run: RunSummary, rate: float = verdicts.FALSE_DISCOVERY_RATE) -> Comparison:
    """The verdict on all cells, and on each cell of A, with its own minimum effect."""
    a, b = _views(run)
    threshold = max(run.header.thresholds.values(), default=verdicts.MIN_EFFECT)
    logs = {figure: _logs(b, ratio) for figure, ratio in RATIOS.items()}
    found = {
        (figure, name): Found(verdicts.change_of(estimated), estimated)
        for figure, of in logs.items()
        for name, estimated in (*_cells(of).items(), *_shift(of).items())
    }
    flagged = verdicts.discoveries({key: of.change for key, of in found.items()}, rate)
    number = len({opening for of in logs.values() for cell in of.values() for opening in cell})
    rows = []
    for cell in a.cells:
        own = {figure: found[figure, cell.id] for figure in FIGURES if (figure, cell.id) in found}
        told = {figure for figure in FIGURES if (figure, cell.id) in flagged}
        if own and not any(cell.id in side.failures for side in (a, b)):
            row = verdicts.row_of(cell, own, told, threshold, None, {"A": [a], "B": [b]}, number)
        else:
            row = _without_changes(cell, threshold, {"A": [a], "B": [b]})
        rows.append(row)
    shifts = [
        _judged(figure, found[figure, _ALL], (figure, _ALL) in flagged, threshold)
        for figure in FIGURES
        if (figure, _ALL) in found
    ]
    return Comparison(
        rows=tuple(sorted(rows, key=verdicts.badness)),
        shifts=tuple(shifts),
        runs_a=1,
        runs_b=1,
        history=0,
        openings=number,
        calibration=None,
    )


def _views(run: RunSummary) -> tuple[RunSummary, RunSummary]:
    """Both sides as if each were a run; B's cells have the ids of A's."""
    twins = run.header.baselines
    cells = tuple(cell for cell in run.cells if cell.id not in twins)
    a = {cell.id: run.summaries[cell.id] for cell in cells if cell.id in run.summaries}
    b = {twins[cell]: of for cell, of in run.summaries.items() if cell in twins}
    failures = {twins[cell]: reason for cell, reason in run.failures.items() if cell in twins}
    return (
        replace(run, cells=cells, summaries=a),
        replace(run, cells=cells, summaries=b, failures=failures),
    )


def _logs(b: RunSummary, ratio: str) -> Logs:
    return {cell: _logs_of(summary, ratio) for cell, summary in b.summaries.items()}


def _logs_of(summary: CellSummary, ratio: str) -> dict[int, float]:
    return {
        of.opening: math.log(value)
        for of in summary.openings
        if of.rounds >= MIN_OPENING_ROUNDS and (value := getattr(of, ratio))
    }


def _cells(logs: Logs) -> dict[str, Estimated]:
    """The change of each cell that has enough openings."""
    known = {cell: spread for cell, of in logs.items() if (spread := Spread.of_logs(of))}
    if not known:
        return {}
    errors = openings.errors([*known.values()], openings.independent([*known.values()]))
    return {
        cell: Estimated(spread.mean, error.value, error.freedom)
        for (cell, spread), error in zip(known.items(), errors, strict=True)
    }


def _shift(logs: Logs) -> dict[str, Estimated]:
    """The change that all cells share, under the name of all; none of too few cells."""
    common = {opening for of in logs.values() for opening in of}
    whole = [of for of in logs.values() if of.keys() == common]
    if len(whole) < MIN_SHARED:
        return {}
    centres = {opening: biweight(np.array([of[opening] for of in whole])) for opening in common}
    spread = Spread.of_logs(centres)
    if spread is None:
        return {}
    error = math.sqrt(spread.variance / spread.openings)
    return {_ALL: Estimated(spread.mean, error, spread.freedom)}


def _judged(figure: Figure, found: Found, is_told: bool, threshold: float) -> Shift:
    verdict = verdicts.verdict_of(found.change, FIGURES[figure], is_told, threshold)
    return Shift(_ALL, figure, found.change, verdict, assumed=False)


def _without_changes(cell: Cell, threshold: float, sides: verdicts.Sides) -> Row:
    """Why there is nothing to compare."""
    notes, reasons = verdicts.notes_of(cell.id, sides), verdicts.failures_of(cell.id, sides)
    without = [
        n for n, (side,) in sides.items() if cell.id not in {**side.summaries, **side.failures}
    ]
    reasons += tuple(f"no usable sample in {name}" for name in without)
    if reasons:
        return Row(cell, Verdict.MISSING, {}, threshold, reasons=reasons, notes=notes)
    few = f"it takes {MIN_OPENINGS} openings with {MIN_OPENING_ROUNDS} valid rounds each"
    return Row(cell, Verdict.INCONCLUSIVE, {}, threshold, reasons=(few,), notes=notes)
