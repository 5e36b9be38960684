"""What is kept of a run without its samples: a CellSummary per cell."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bench.analysis import steady
from bench.analysis.figures import FIGURES, usable_by_cell, within_round_ratios
from bench.analysis.summary import summarise
from bench.model.problems import Code
from bench.model.results import CellResult, Estimate
from bench.model.run import Run
from bench.model.samples import Sample
from bench.model.summaries import CellSummary, OpeningFigures, RunSummary

DIGITS = 7
"""Significant digits of every figure: whoever reads it back from a file has what was computed."""


def summary_of(run: Run) -> RunSummary:
    """A run without its samples; calibration cells are the last that have summaries."""
    machine = replace(run, cells=run.calibration, samples=run.calibration_samples)
    rows = [(of, summarise(of, run.header.measure.precision)) for of in (run, machine)]
    return RunSummary(
        path=run.path,
        header=run.header,
        cells=run.cells,
        calibration=run.calibration,
        summaries={id_: of for some in rows for id_, of in _summaries(*some).items()},
        failures={**_unusable([row for _, some in rows for row in some]), **run.failures},
        end=run.end,
        warnings=run.warnings,
    )


def _unusable(rows: Sequence[CellResult]) -> dict[str, str]:
    """Why cells that were measured have no usable sample."""
    return {
        row.cell.id: f"no usable sample: {row.tally.invalid_reason}"
        for row in rows
        if row.tally.invalid and not row.is_measured
    }


def _summaries(run: Run, rows: Sequence[CellResult]) -> dict[str, CellSummary]:
    usable = usable_by_cell(run)
    levels = {figure: _levels(usable, of) for figure, of in FIGURES.items()}
    return {
        row.cell.id: _summary(row, _openings(row.cell.id, usable, levels, run.baselines))
        for row in rows
        if usable[row.cell.id]
    }


Levels = Mapping[tuple[int, str], float]
"""Of each cell in each opening, by its number and the cell."""


def _levels(usable: Mapping[str, Sequence[Sample]], of: Callable[[Sample], float]) -> Levels:
    values: dict[int, dict[str, dict[int, float]]] = {}
    measured = (sample for samples in usable.values() for sample in samples)
    for at, sample in enumerate(sorted(measured, key=lambda s: (s.opening, s.round, s.at_ns))):
        opening = values.setdefault(sample.opening, {})
        opening.setdefault(sample.cell, {})[at] = math.log(of(sample))
    return {
        (opening, cell): math.exp(level)
        for opening, cells in values.items()
        for cell, level in steady.levels(cells).items()
    }


def _summary(row: CellResult, openings: tuple[OpeningFigures, ...]) -> CellSummary:
    notes = {note.code: note.count for note in row.notes}
    if row.tally.invalid and row.tally.invalid_code is not Code.OTHER:
        notes[f"invalid:{row.tally.invalid_code}"] = row.tally.invalid
    return CellSummary(
        cell=row.cell.id,
        openings=openings,
        pps=_rounded(row.figures.pps),
        ns_per_frame=_rounded(row.figures.ns_per_frame),
        ratio=_rounded(row.figures.ratio),
        ratio_ns=_rounded(row.figures.ratio_ns),
        notes=notes,
    )


def _openings(
    cell: str,
    usable: Mapping[str, Sequence[Sample]],
    levels: Mapping[str, Levels],
    baselines: Mapping[str, str],
) -> tuple[OpeningFigures, ...]:
    samples = usable[cell]
    baseline = baselines.get(cell, cell)
    base = () if baseline == cell else usable.get(baseline, ())
    ratios, ratios_ns = (
        within_round_ratios(samples, base, figure) for figure in ("pps", "ns_per_frame")
    )
    return tuple(
        OpeningFigures(
            opening=opening,
            rounds=rounds,
            pps=_round(levels["pps"][opening, cell]),
            ns_per_frame=_round(levels["ns_per_frame"][opening, cell]),
            ratio=_median(ratios.get(opening, ())) or None,
            ratio_ns=_median(ratios_ns.get(opening, ())) or None,
        )
        for opening, rounds in sorted(Counter(sample.opening for sample in samples).items())
    )


def _median(values: Sequence[float]) -> float:
    """0 without values: a figure of a usable sample is above it."""
    return _round(statistics.median(values)) if values else 0.0


def _rounded(figure: Estimate | None) -> Estimate | None:
    if figure is None:
        return None
    low, high = (None if bound is None else _round(bound) for bound in (figure.low, figure.high))
    return replace(figure, value=_round(figure.value), low=low, high=high)


def _round(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
