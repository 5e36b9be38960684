"""Bencher Metric Format: each cell's figures with the ends of their intervals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.model.results import Estimate, Figures

if TYPE_CHECKING:
    from bench.render.export.measured import Measured


def make(measured: Measured) -> bytes:
    """One JSON object: cell, measure, values. Measures are slugs of Bencher's."""
    cells = {cell.name: _measures(cell.result.figures) for cell in measured.with_figures}
    return (json.dumps(cells, indent=2) + "\n").encode()


def _measures(figures: Figures) -> dict[str, dict[str, float]]:
    estimates = {
        "pps": figures.pps,
        "ns-per-frame": figures.ns_per_frame,
        "ratio": figures.ratio,
    }
    return {name: _metric(estimate) for name, estimate in estimates.items() if estimate}


def _metric(estimate: Estimate) -> dict[str, float]:
    metric = {"value": estimate.value}
    if estimate.low is not None and estimate.high is not None:
        metric |= {"lower_value": estimate.low, "upper_value": estimate.high}
    return metric
