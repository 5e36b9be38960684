"""The families of metrics of a run, which Prometheus and OpenMetrics write much alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.base.printable import printable
from bench.base.values import value_text
from bench.model.cells import axes_of
from bench.model.results import CellResult, Estimate

if TYPE_CHECKING:
    from bench.render.export.measured import Measured, MeasuredCell

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """``kind`` is gauge or info; an info's samples are 1, and its name ends with ``_info``."""

    name: str
    kind: str
    help: str
    samples: tuple[tuple[Labels, float], ...]


def families(measured: Measured) -> list[Family]:
    """Those that have a sample."""
    return [family for family in (*_of_run(measured), *_of_cells(measured)) if family.samples]


def sample_text(name: str, labels: Labels, value: float) -> str:
    """A line of either format."""
    told = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{told}}} {value!r}"


def _escaped(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')


# Of the run


def _of_run(measured: Measured) -> Iterator[Family]:
    header, labels = measured.run.header, {"matrix": measured.matrix}
    told = {
        "run": measured.name,
        "machine": header.machine_name,
        "kernel": header.host.kernel,
        "core": header.core.hash,
    }
    yield Family(
        "bench_run_info", "info", "The run that the figures are of.", ((labels | told, 1),)
    )
    if header.started:
        yield Family(
            "bench_run_started_timestamp_seconds",
            "gauge",
            "When the run began, in seconds since the epoch.",
            ((labels, header.started.timestamp()),),
        )
    yield Family(
        "bench_run_finished",
        "gauge",
        "1 if the run came to its end, 0 if it was interrupted or killed.",
        ((labels, int(measured.run.end == "done")),),
    )


# Of the cells

_ESTIMATES: Mapping[str, tuple[Callable[[CellResult], Estimate | None], float, str]] = {
    "bench_frames_per_second": (
        lambda result: result.figures.pps,
        1,
        "Completed frames per second",
    ),
    "bench_cpu_seconds_per_frame": (
        lambda result: result.figures.ns_per_frame,
        1e-9,
        "CPU time of the sending threads per completed frame",
    ),
    "bench_ratio": (
        lambda result: result.figures.ratio,
        1,
        "Frames per second over those of the baseline, within rounds",
    ),
}
"""How to read each figure, its factor, and what it is."""

_COUNTS: Mapping[str, tuple[Callable[[CellResult], int], str]] = {
    "bench_rounds": (lambda result: result.tally.rounds, "Rounds that the figures are of."),
    "bench_invalid_rounds": (
        lambda result: result.tally.invalid,
        "Rounds left out because their samples cannot be used.",
    ),
    "bench_cell_failed": (
        lambda result: int(bool(result.failure) or not result.is_measured),
        "1 for a cell that failed or has no valid round, else 0.",
    ),
}


def _of_cells(measured: Measured) -> Iterator[Family]:
    labels = _labels(measured)
    for name, (read, factor, help_) in _ESTIMATES.items():
        for end, of, ending in (
            ("", "value", ": median over the rounds."),
            ("_low", "low", ": lower end of the 95 % interval."),
            ("_high", "high", ": upper end of the 95 % interval."),
        ):
            found = (
                (labels[cell.id], getattr(read(cell.result), of, None)) for cell in measured.cells
            )
            samples = tuple((label, value * factor) for label, value in found if value is not None)
            yield Family(name + end, "gauge", help_ + ending, samples)
    for name, (count, help_) in _COUNTS.items():
        counted = tuple((labels[cell.id], count(cell.result)) for cell in measured.cells)
        yield Family(name, "gauge", help_, counted)
    notes = (
        ({**labels[cell.id], "note": code}, float(count or 1))
        for cell in measured.cells
        for code, count in cell.counts.items()
    )
    help_ = "Samples that a note of the cell is of (starved, disturbed ...); 1 for one of the cell."
    yield Family("bench_cell_notes", "gauge", help_, tuple(notes))


def _labels(measured: Measured) -> dict[str, Labels]:
    """Of each cell: matrix, id, side and axes; an axis that its method does not read is empty, as
    all samples of a family have the same labels."""
    axes = _axis_labels(axes_of([cell.result.cell for cell in measured.cells]))
    return {cell.id: _labels_of(measured, cell, axes) for cell in measured.cells}


def _labels_of(measured: Measured, cell: MeasuredCell, axes: Mapping[str, str]) -> Labels:
    values = {axis: cell.result.cell.values.get(axis) for axis in axes}
    return {
        "matrix": measured.matrix,
        "cell": cell.shown_id,
        **({"side": cell.side} if cell.side else {}),
        **{
            axes[axis]: "" if value is None else value_text(value) for axis, value in values.items()
        },
    }


def _axis_labels(axes: Sequence[str]) -> dict[str, str]:
    """The label of each axis: a run file of another version may have an axis of any name."""
    taken = {"matrix", "cell", "side", "note"}
    found = {}
    for axis in axes:
        label = re.sub(r"[^a-zA-Z0-9_]", "_", axis)
        if not re.match(r"[a-zA-Z]", label) or label in taken:
            label = f"axis_{label}"
        while label in taken:
            label += "_"
        taken.add(label)
        found[axis] = label
    return found
