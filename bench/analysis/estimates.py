"""The estimates of one figure of every cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.analysis.figures import FIGURES, within_round_ratios
from bench.analysis.intervals import estimates
from bench.model.results import Estimate
from bench.model.samples import Sample


@dataclass(frozen=True, slots=True)
class Estimates:
    """A figure of every cell, and its ratio to the baseline where there is one."""

    figure: dict[str, Estimate | None]
    ratio: dict[str, Estimate | None]


def estimates_of(
    usable: Mapping[str, Sequence[Sample]], baselines: Mapping[str, str], figure: str, z: float
) -> Estimates:
    """A row of FIGURES, estimated from the usable samples of each cell, in round order."""
    of = FIGURES[figure]
    plain = {cell: [of(sample) for sample in samples] for cell, samples in usable.items()}
    ratios = {
        cell: within_round_ratios(samples, usable.get(base, ()), figure)
        for cell, samples in usable.items()
        if (base := baselines.get(cell)) and base != cell
    }
    return Estimates(_by_cell(plain, z, levels=True), _by_cell(ratios, z, levels=False))


def _by_cell(
    series: Mapping[str, Sequence[float]], z: float, *, levels: bool
) -> dict[str, Estimate | None]:
    return dict(zip(series, estimates(list(series.values()), z, levels=levels), strict=True))
