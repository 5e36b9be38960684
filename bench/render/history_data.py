"""A history as programs read it, and the part of it that is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path

import numpy as np

from bench.analysis.panel import Array
from bench.base import ids
from bench.campaign.changed import Changed
from bench.campaign.timeline import Line, Timeline
from bench.model.header import RunHeader
from bench.render import provenance
from bench.render.document import (
    Json,
    Records,
)
from bench.render.records import axis_fields, axis_values
from bench.render.sparkline import places_of, sparklines

DIGEST = 12
LABELS = {"pps": "pps", "ns_per_frame": "ns/frame"}


class Shown:
    """A timeline from its night ``first`` on."""

    def __init__(self, made: Timeline, first: int) -> None:
        self.made, self.first = made, first
        self.places = places_of([night.started for night in made.nights[first:]])
        self.cuts = {self.places[cut - first] for cut in made.cuts if cut > first}
        self.lines = {(line.series, str(line.figure)): line for line in made.lines}

    def sparks(self, lines: Sequence[Line], width: int) -> tuple[str, ...]:
        if not lines:  # a matrix of one interface has no shifts
            return ()
        values = np.array([line.values for line in lines]).reshape(len(lines), -1)[:, self.first :]
        return (*sparklines(values, self.places, width, self.cuts),)

    def last(self, line: Line) -> Changed | None:
        """Its last change, if that is shown."""
        return line.last if line.last and line.last.night >= self.first else None

    def last_of(self, series: str) -> list[tuple[str, Changed]]:
        """The last changes of a series by their figures, the latest first."""
        found = [
            (figure, last)
            for figure in LABELS
            if (series, figure) in self.lines and (last := self.last(self.lines[series, figure]))
        ]
        return sorted(found, key=lambda of: -of[1].night)


def around(header: RunHeader) -> dict[str, str]:
    return {
        "kernel": " ".join(filter(None, (header.host.kernel, header.host.kernel_version))),
        "core": header.core.hash[:DIGEST],
        "commit": header.core.commit,
    }


def time_of(shown: Shown, night: int) -> str:
    return shown.made.nights[night].started.astimezone(UTC).isoformat()


def night_of(shown: Shown, number: int) -> dict[str, Json]:
    run = shown.made.nights[number].run
    host, core = run.header.host, run.header.core
    return {
        "started": time_of(shown, number),
        "run": Path(run.path).name,
        "end": run.end,
        "host": run.header.machine_name,
        "kernel": host.kernel,
        "kernel_version": host.kernel_version,
        "core": core.hash,
        "commit": core.commit,
    }


CHANGE = ("night", "before", "size", "low", "high", "why")
SIDES = tuple(
    f"{name}_{side}" for side in ("before", "after") for name in ("kernel", "core", "commit")
)


def records_of(shown: Shown) -> Records:
    """A row per series and figure; a flat table has its last change only."""
    named = axis_fields(shown.made.cells)
    flat = ("series", "figure", "level", "noise", "nights", "since", "notes")
    last = {f"change_{name}": ("last", name) for name in (*CHANGE, *SIDES)}
    return Records(
        name="series",
        fields={**{name: (name,) for name in flat}, **last, **named},
        rows=tuple(_record(shown, line, named) for line in shown.made.lines),
        provenance=_provenance(shown),
    )


def _provenance(shown: Shown) -> dict[str, Json]:
    """Of the last night, whose level is the present one."""
    last = shown.made.nights[-1].run
    return {
        f"last_{name}" if name != "matrix" else name: value
        for name, value in provenance.of(last.header, last.path).items()
    }


def _record(shown: Shown, line: Line, named: Mapping[str, tuple[str, ...]]) -> dict[str, Json]:
    changes = [_change(shown, change) for change in line.changes if change.night >= shown.first]
    return {
        "series": ids.shown(line.series),
        "figure": line.figure,
        "level": line.level,
        "noise": line.noise,
        "nights": line.nights,
        "since": time_of(shown, line.since),
        "notes": [*shown.made.nights[-1].run.marks(line.series)],
        "last": changes[-1] if changes else None,
        "changes": changes,
        "values": _values(line.values[shown.first :], line.cell is None),
        "axes": axis_values(line.cell, named) if line.cell else {},
    }


def _values(logarithms: Array, is_shift: bool) -> list[float | None]:
    """Of a shift the fraction by which it differs from the level of its strand."""
    values = (np.expm1 if is_shift else np.exp)(logarithms).tolist()
    return [None if math.isnan(value) else value for value in values]


def _change(shown: Shown, change: Changed) -> dict[str, Json]:
    before, after = (around(shown.made.nights[n].run.header) for n in (change.before, change.night))
    return {
        "night": time_of(shown, change.night),
        "before": time_of(shown, change.before),
        "size": change.size,
        "low": change.low,
        "high": change.high,
        "why": change.why or None,
        **{f"{name}_before": text or None for name, text in before.items()},
        **{f"{name}_after": text or None for name, text in after.items()},
    }
