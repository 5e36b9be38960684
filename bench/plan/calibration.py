"""Cells of every run beside its own, which measure the machine itself."""

from __future__ import annotations

import math

from bench.base.values import Value
from bench.model.axes import AXES
from bench.model.cells import Cell, cell_id


def _calibration(**values: Value) -> Cell:
    full = dict.fromkeys(AXES) | {"frame_size": 64, "threads": 1, "replica": 0} | values
    return Cell(cell_id(full), full)


CALIBRATION = (
    _calibration(method="syscall"),
    _calibration(method="null", frame_size=9000, burst=64, fill="copy"),
)
"""Cells of every run beside its own: how fast this machine enters its kernel, and copies memory.
They say whether it was the same machine throughout."""

MOST = 0.05
"""The part of a run's slices that they may be."""

FEWEST, FEWEST_IN_OPENING = 20, 5
"""Rounds with them in a run, and in each opening, that show drift and have an interval."""


def interval(cells: int, rounds: int, openings: int) -> int:
    """The machine is measured in every so many-th round of an opening, the first included.

    ``cells`` are those of the plan, ``rounds`` the fewest that are asked for in all openings.
    """
    seldom = math.ceil(len(CALIBRATION) * (1 / MOST - 1) / max(1, cells))
    of_opening = rounds // openings
    return max(1, min(seldom, rounds // FEWEST, of_opening // FEWEST_IN_OPENING))
