"""The estimates of one figure of every cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.analysis import openings
from bench.analysis.figures import FIGURES, by_opening, within_round_ratios
from bench.model.results import Estimate
from bench.model.samples import Sample


@dataclass(frozen=True, slots=True)
class Estimates:
    """A figure of every cell, and its ratio to the baseline where there is one."""

    figure: dict[str, Estimate | None]
    ratio: dict[str, Estimate | None]


def estimates_of(
    usable: Mapping[str, Sequence[Sample]],
    baselines: Mapping[str, str],
    figure: str,
    z: float,
    estimates: Callable[..., list[Estimate | None]] = openings.estimates,
) -> Estimates:
    """A row of FIGURES, estimated from the usable samples of each cell, in round order.

    ``estimates`` is a function of ``analysis.openings``.
    """
    plain = {cell: by_opening(samples, FIGURES[figure]) for cell, samples in usable.items()}
    ratios = {
        cell: within_round_ratios(samples, usable.get(base, ()), figure)
        for cell, samples in usable.items()
        if (base := baselines.get(cell)) and base != cell
    }
    levels = estimates([*plain.values()], z, levels=True)
    return Estimates(
        figure=dict(zip(plain, levels, strict=True)),
        ratio=dict(zip(ratios, estimates([*ratios.values()], z), strict=True)),
    )
