"""Openings that stray by chance far from the others of their run, drawn in.

In a few openings something slows a single cell down by several per cent: a neighbour on the host,
memory that lies badly. Their mean would follow each of these, and their variance even more. So what
a cell does in an opening beyond the shift, and farther than FAR standard deviations from the median
of its run, counts as that far: Huber's proposal (Robust Statistics, 1981, chapter 6). What a cell
does in most openings of a run is not touched by it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.analysis.openings import MIN_OPENINGS
from bench.analysis.panel import Array, Panel
from bench.analysis.shared import MAD, Shared, row_medians

FAR = 2.5
"""Standard deviations, each from the cell's own median absolute deviation, or from that of the
middle cell where it is larger."""


def drawn_in(panel: Panel, shared: Shared) -> tuple[Panel, float]:
    """The panel without flukes, and which part of its figures it keeps as they are.

    The variance of a mean of such figures is their variance over the square of that part and over
    their number (Huber, ibid.).
    """
    strayed = _from_median(shared.off(_from_median(panel.values, panel)), panel)
    own = MAD * row_medians(np.abs(strayed).T, np.isfinite(strayed).T)
    reach = FAR * np.fmax(own, np.nanmedian(own)) if np.isfinite(own).any() else own
    away = strayed - np.clip(strayed, -reach, reach)
    known = np.isfinite(away)
    is_fluke = known & (away != 0)
    kept = 1 - float(is_fluke.sum()) / max(1, int(known.sum()))
    return replace(panel, values=panel.values - np.where(is_fluke, away, 0.0)), kept


def _from_median(values: Array, panel: Panel) -> Array:
    """Each opening less its run's median, cell by cell; NaN in runs of fewer than MIN_OPENINGS."""
    found = np.full_like(values, np.nan)
    for run in range(len(panel.group)):
        at = panel.run == run
        if np.count_nonzero(at) >= MIN_OPENINGS:
            rows = values[at]
            found[at] = rows - row_medians(rows.T, np.isfinite(rows).T)
    return found
