"""One figure of many runs as a panel: a row for each opening, a column for each cell."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.analysis.intervals import MIN_ROUNDS
from bench.analysis.openings import MIN_OPENING_ROUNDS
from bench.model.summaries import OpeningFigures, RunSummary

Array = npt.NDArray[np.float64]
Figure = Literal["pps", "ns_per_frame", "ratio"]


@dataclass(frozen=True)
class Panel:
    """Natural logarithms of one figure; NaN where a cell was not measured.

    ``values`` has the shape (openings, cells); ``run`` is the index of each row's run. ``group`` is
    the index of each run's group: runs of a group should agree.
    """

    values: Array
    run: npt.NDArray[np.intp]
    group: npt.NDArray[np.intp]

    @property
    def runs(self) -> Array:
        """The mean over the openings of each run, (runs, cells)."""
        return _means(self.values, self.run, len(self.group))

    def without(self, columns: Sequence[bool]) -> Panel:
        """The same as if these cells had not been measured."""
        values = self.values.copy()
        values[:, np.flatnonzero(columns)] = np.nan
        return replace(self, values=values)

    @property
    def openings_of_a_run(self) -> Array:
        """How many openings a run has of each cell, the harmonic mean over the runs that have it.

        The variance of a run's mean is that of an opening divided by it.
        """
        known = ~np.isnan(self.values)
        number = np.array([known[self.run == r].sum(axis=0) for r in range(len(self.group))])
        with np.errstate(divide="ignore"):
            return 1 / mean(np.where(number > 0, 1 / number, np.nan))


def panel_of(groups: Sequence[Sequence[RunSummary]], cells: Sequence[str], figure: Figure) -> Panel:
    """The panel of these cells; the runs stand in the order of the groups."""
    rows: list[list[float]] = []
    run: list[int] = []
    group: list[int] = []
    for number, side in enumerate(groups):
        for each in side:
            openings = _openings(each, cells)
            for opening in sorted({o for of in openings.values() for o in of}):
                figures = [openings[cell].get(opening) for cell in cells]
                rows.append([_log(of, figure) for of in figures])
                run.append(len(group))
            group.append(number)
    values = np.array(rows, dtype=float).reshape(len(rows), len(cells))
    return Panel(values, np.array(run, dtype=np.intp), np.array(group, dtype=np.intp))


def _openings(run: RunSummary, cells: Sequence[str]) -> Mapping[str, Mapping[int, OpeningFigures]]:
    """The openings of each cell that a comparison uses, by number."""
    found: dict[str, dict[int, OpeningFigures]] = {}
    for cell in cells:
        summary = run.summaries.get(cell)
        enough = summary is not None and summary.rounds >= MIN_ROUNDS
        found[cell] = {
            of.opening: of
            for of in (summary.openings if summary and enough else ())
            if of.rounds >= MIN_OPENING_ROUNDS
        }
    return found


def _log(of: OpeningFigures | None, figure: Figure) -> float:
    value = getattr(of, figure) if of is not None else None
    return float(np.log(value)) if value else float("nan")


def calibration_of(runs: Sequence[RunSummary], figure: Figure) -> Array | None:
    """The figure of each run's calibration cells, the mean of logarithms; None if one lacks them.

    It is of CPU time: others that had the CPU say nothing of the machine's speed.
    """
    cells = {cell.id for run in runs for cell in run.calibration}
    costs = [[run.summaries[c].ns_per_frame for c in cells if c in run.summaries] for run in runs]
    known = [[of.value for of in each if of is not None] for each in costs]
    if not cells or any(len(each) < len(cells) for each in known):
        return None
    logs = np.array([np.mean(np.log(each)) for each in known])
    return logs if figure == "ns_per_frame" else -logs


def mean(values: Array) -> Array:
    """Over rows, of what is known; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of a column without values
        return np.asarray(np.nanmean(values, axis=0))


def residuals(rows: Array, label: npt.NDArray[np.intp]) -> tuple[Array, Array]:
    """Each row less the mean of the rows of its label, and each column's degrees of freedom."""
    labels = int(label.max(initial=-1)) + 1
    known = ~np.isnan(rows)
    counts = [known[label == each].sum(axis=0) for each in range(labels)]
    number = np.array(counts, dtype=float).reshape(labels, rows.shape[1])
    left = rows - _means(rows, label, labels)[label]
    return left, np.maximum(number - 1, 0).sum(axis=0)


def _means(rows: Array, label: npt.NDArray[np.intp], labels: int) -> Array:
    """The mean of the rows of each label, (labels, columns)."""
    found = [mean(rows[label == each]) for each in range(labels)]
    return np.array(found).reshape(labels, rows.shape[1])
