"""Shifts of nights without what the machine's own speed explains of them.

Calibration cells send nothing: when they slow down, the machine does. A shift loses as much of
their change as it follows in the history (``shifts.slope``: nothing, where chance explains it). A
kernel that enters system calls more slowly slows them down, too, and must not be forgiven for it:
their change is against other nights of the same kernel, and there is none without these.
"""

from __future__ import annotations

import numpy as np

from bench.analysis.noise import Booleans, Floats, Integers
from bench.analysis.shifts import slope

FEWEST = 10
"""Nights that show whether a shift follows the calibration."""

FEWEST_OF_KERNEL = 3
"""Nights of a kernel that show how fast the machine is under it."""


def explained(shifts: Floats, cost: Floats, kernels: Integers, nights: int) -> Floats:
    """The part of each shift that the calibration explains; shape: scopes, runs, 0 where nothing.

    ``shifts`` (scopes, runs) and ``cost`` (runs), the calibration's CPU time, are logarithms, NaN
    where missing. ``kernels`` labels the kernel of each run. The first ``nights`` of the runs are
    the history.
    """
    strayed = _strayed(cost, kernels, nights)
    found = np.zeros(shifts.shape)
    for row, shift in enumerate(shifts):
        known = np.isfinite(strayed) & np.isfinite(shift)
        known[nights:] = False
        if np.count_nonzero(known) >= FEWEST:
            found[row] = _slope(strayed, shift, kernels, known) * np.nan_to_num(strayed)
    return found


def _strayed(cost: Floats, kernels: Integers, nights: int) -> Floats:
    """How far each run's calibration is from the median night of its kernel; NaN if not known."""
    found = np.full(len(cost), np.nan)
    for kernel in np.unique(kernels):
        own = kernels == kernel
        history = cost[:nights][own[:nights] & np.isfinite(cost[:nights])]
        if len(history) >= FEWEST_OF_KERNEL:
            found[own] = cost[own] - np.median(history)
    return found


def _slope(strayed: Floats, shift: Floats, kernels: Integers, known: Booleans) -> float:
    """By how much a shift follows the calibration, over nights of one kernel each."""
    x, y, labels = strayed[known].copy(), shift[known].copy(), kernels[known]
    for kernel in np.unique(labels):
        own = labels == kernel
        x[own] -= x[own].mean()
        y[own] -= y[own].mean()
    return slope(x, y, float(len(x) - len(np.unique(labels))))[0]
