"""When to stop: which cells a run measures further.

A rule is a function from what was measured to the cells that it still wants. It is pure, so that
it can be simulated. Those that are measured along with a cell (its baseline, the calibration) are
no business of a rule.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from bench.analysis import openings
from bench.analysis.estimates import estimates_of
from bench.analysis.figures import usable
from bench.analysis.intervals import quantile
from bench.model.matrix import Measure, Rounds
from bench.model.samples import Sample


def wanted(
    samples: Mapping[str, Sequence[Sample]],
    baselines: Mapping[str, str],
    failures: Collection[str],
    measure: Measure,
) -> set[str]:
    """Cells whose figure (the ratio, or pps without a baseline) is not yet precise enough.

    ``samples`` has those of each cell so far, whatever their opening: more rounds make the median
    of this run more certain, and tell nothing of how far openings spread. A cell without a usable
    one, or that failed, will not become precise. A baseline needs no rounds beyond those of the
    cells that are compared with it.
    """
    found = {cell: usable(of_cell) for cell, of_cell in samples.items()}
    z = quantile(measure.rounds.by_precision)
    rates = estimates_of(found, baselines, "pps", z, openings.pooled)
    estimated = {
        cell: rates.ratio.get(cell) or rates.figure[cell]
        for cell, of_cell in found.items()
        if of_cell and cell not in failures and baselines.get(cell) != cell
    }
    return {
        cell
        for cell, figure in estimated.items()
        if figure is None or figure.half_width is None or figure.half_width > measure.precision
    }


SPARE = 0.2
"""Rounds beyond those asked for that make up for samples that were left out, as a fraction. A
machine that spoils more of them spoils further ones, too."""


def spare(rounds: Rounds) -> int:
    """The most rounds that make up for others."""
    return math.ceil(SPARE * rounds.min)


def short(
    samples: Mapping[str, Sequence[Sample]],
    baselines: Mapping[str, str],
    failures: Collection[str],
    rounds: Rounds,
) -> set[str]:
    """Cells with fewer usable samples than rounds were asked for, few of which are missing.

    One counts if the baseline has one in the same round: only together they make a ratio. So one
    disturbed sample does not take away the interval of a run of twenty rounds.
    """
    found = {cell: {s.round for s in usable(of_cell)} for cell, of_cell in samples.items()}
    both = {
        cell: len(of_cell & found.get(baselines.get(cell, cell), of_cell))
        for cell, of_cell in found.items()
        if cell not in failures
    }
    least = rounds.min - spare(rounds)
    return {cell for cell, number in both.items() if least <= number < rounds.min}
