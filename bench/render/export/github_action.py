"""github-action-benchmark: a file of what is better bigger, and one of what is better smaller.

The action takes the direction from the name of its tool, so one file cannot have both figures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bench.model.results import Estimate, Figures

if TYPE_CHECKING:
    from bench.render.export.measured import Measured, MeasuredCell


def make_bigger(measured: Measured) -> bytes:
    """pps, for customBiggerIsBetter."""
    return _made(measured, "frames/s", lambda figures: figures.pps)


def make_smaller(measured: Measured) -> bytes:
    """ns/frame, for customSmallerIsBetter."""
    return _made(measured, "ns/frame", lambda figures: figures.ns_per_frame)


def _made(measured: Measured, unit: str, figure: Callable[[Figures], Estimate | None]) -> bytes:
    entries = []
    for cell in measured.with_figures:
        if estimate := figure(cell.result.figures):
            entry = {"name": cell.name, "unit": unit, "value": estimate.value}
            if estimate.low is not None:
                entry["range"] = f"95 %: {estimate.low:.6g} to {estimate.high:.6g}"
            entries.append(entry | {"extra": "\n".join(_lines(measured, cell))})
    return (json.dumps(entries, indent=2) + "\n").encode()


def _lines(measured: Measured, cell: MeasuredCell) -> Iterator[str]:
    """What the tooltip of a chart shows."""
    result = cell.result
    yield f"run {measured.name}, cell {cell.shown_id}, {result.tally.rounds} rounds"
    if ratio := result.figures.ratio:
        interval = f" [{ratio.low:.3f}, {ratio.high:.3f}]" if ratio.low is not None else ""
        yield f"ratio to the baseline {ratio.value:.3f}{interval}"
    yield from map(str, result.notes)
    if result.tally.invalid:
        yield f"{result.tally.invalid} invalid: {result.tally.invalid_reason}"
