"""A cell's figures in one run, without its samples: enough for comparisons and for the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.model.cells import Cell
from bench.model.header import RunHeader
from bench.model.results import Estimate


@dataclass(frozen=True, slots=True)
class OpeningFigures:
    """Levels over the usable samples of one opening.

    ``pps`` in frames per second, ``ns_per_frame`` in CPU nanoseconds: medians, as if the
    machine had kept its speed (``analysis.steady``). The ratios are medians of those to the
    baseline, within rounds: None for a baseline and for a cell without one.
    """

    opening: int
    rounds: int
    pps: float
    ns_per_frame: float
    ratio: float | None = None
    ratio_ns: float | None = None


@dataclass(frozen=True, slots=True)
class CellSummary:
    """One cell in one run.

    ``openings`` are in order; one without a usable sample is not among them. ``notes`` maps the
    codes of the row's notes (starved, stolen, lossy ...) to their counts;
    "invalid:CODE" is there beside "invalid" where the commonest reason has a Code.
    """

    cell: str
    openings: tuple[OpeningFigures, ...]
    pps: Estimate | None = None
    ns_per_frame: Estimate | None = None
    ratio: Estimate | None = None
    ratio_ns: Estimate | None = None
    notes: Mapping[str, int] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        """Usable samples over all openings."""
        return sum(opening.rounds for opening in self.openings)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A stored run without its samples.

    ``summaries`` maps the ids of cells, calibration cells among them, to their figures; a cell
    without a usable sample has none, and ``failures`` has the reason, as of cells that failed.
    ``end`` as in Run.
    """

    path: str
    header: RunHeader
    cells: tuple[Cell, ...]
    calibration: tuple[Cell, ...]
    summaries: Mapping[str, CellSummary]
    failures: Mapping[str, str]
    end: str
    warnings: tuple[str, ...] = ()
