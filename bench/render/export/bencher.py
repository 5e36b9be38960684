"""Bencher Metric Format: each cell's figures with the ends of their intervals.

It has no place for a note: what a note says is no evidence is left out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.analysis.evidence import doubts_of_row
from bench.model.results import Estimate, Figures

if TYPE_CHECKING:
    from bench.render.export.measured import Measured


def make(measured: Measured) -> bytes:
    """One JSON object: cell, measure, values. Measures are slugs of Bencher's."""
    cells = {
        cell.name: _measures(cell.result.figures, not doubts_of_row(cell.result))
        for cell in measured.with_figures
    }
    return (json.dumps(cells, indent=2) + "\n").encode()


def _measures(figures: Figures, rates: bool) -> dict[str, dict[str, float]]:
    """``rates`` says whether pps is evidence."""
    estimates = {
        "pps": figures.pps if rates else None,
        "ns-per-frame": figures.ns_per_frame,
        "ratio": figures.ratio if rates else None,
    }
    return {name: _metric(estimate) for name, estimate in estimates.items() if estimate}


def _metric(estimate: Estimate) -> dict[str, float]:
    metric = {"value": estimate.value}
    if estimate.low is not None and estimate.high is not None:
        metric |= {"lower_value": estimate.low, "upper_value": estimate.high}
    return metric
