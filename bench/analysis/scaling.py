"""What more threads are worth: each cell against the same with the fewest threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.figures import usable_by_cell, within_round_ratios
from bench.analysis.intervals import quantile
from bench.analysis.openings import estimates
from bench.base.values import key_of
from bench.model.cells import Cell
from bench.model.results import Estimate
from bench.model.run import Run

_OF_SEVERAL = ("threads", "socket", "affinity")
"""Axes that one thread has no choice in."""


@dataclass(frozen=True, slots=True)
class SpeedUp:
    """``ratio`` is pps over that of ``base`` in the same rounds: above 1 is faster."""

    cell: Cell
    base: Cell
    ratio: Estimate


def speed_ups(run: Run, cells: Sequence[Cell]) -> list[SpeedUp]:
    """Of cells with several threads, against one thread; none where the run has no such pair."""
    usable = usable_by_cell(run)
    pairs = [(cell, base) for cell in cells if (base := _base(cell, run.cells))]
    ratios = [within_round_ratios(usable[c.id], usable[base.id], "pps") for c, base in pairs]
    z = quantile(run.header.measure.rounds.by_precision)
    found = zip(pairs, estimates(ratios, z), strict=True)
    return [SpeedUp(cell, base, ratio) for (cell, base), ratio in found if ratio]


def _base(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """The cell with one thread that is most like it: alike in all that one thread can have."""
    if cell.threads == 1:
        return None
    alike = [c for c in cells if c.threads == 1 and _rest(c) == _rest(cell)]
    same = [c for c in alike if all(c.values.get(a) == cell.values.get(a) for a in _OF_SEVERAL[1:])]
    return next(iter([*same, *alike]), None)


def _rest(cell: Cell) -> str:
    return key_of({axis: v for axis, v in cell.values.items() if axis not in _OF_SEVERAL})
