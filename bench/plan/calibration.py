"""Cells of every run beside its own, which measure the machine itself."""

from __future__ import annotations

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
"""Cells of every run beside its own: how fast this machine enters its kernel, and copies memory,
in each round. They say whether it was the same machine throughout."""
