"""A history as a document: what all share, a line per cell, what changed, and the marks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import numpy as np

from bench.analysis.intervals import MIN_ROUNDS
from bench.analysis.panel import Array
from bench.base import ids
from bench.campaign.changed import Changed
from bench.campaign.timeline import Line, Timeline
from bench.model.header import RunHeader
from bench.render import axes, provenance
from bench.render.document import (
    Column,
    Document,
    Fact,
    Item,
    Json,
    Listing,
    Records,
    Table,
    text_column,
)
from bench.render.records import axis_fields, axis_values
from bench.render.scale import NONE, plain, si
from bench.render.sparkline import places_of, sparklines
from bench.render.table import axis_columns

WIDTH, BRIEFER = 60, (30, 15)
"""Blocks of a sparkline."""

MOST = 20
"""Entries of a list that people read; programs have all."""

DIGEST = 12
LABELS = {"pps": "pps", "ns_per_frame": "ns/frame"}
SPARK = "ns_per_frame"
"""The figure that is drawn: CPU time is steadier than pps where the machine is shared."""


def document_of(
    made: Timeline, folder: Path, remarks: Sequence[str] = (), since: datetime | None = None
) -> Document:
    """The history in a folder; ``since`` leaves out earlier nights, changes and marks."""
    shown = _Shown(made, sum(n.started < since for n in made.nights) if since else 0)
    last = made.nights[-1].run.header
    cells = list(made.cells)
    shifts = [line for line in made.lines if line.cell is None]
    blocks = (
        _shifts(shown, shifts),
        _table(shown),
        _changes(shown),
        _marks(shown),
    )
    return Document(
        records=_records(shown),
        name=last.matrix.name,
        description=last.matrix.description,
        facts=(
            Fact("machine", folder.parent.name, "machine", folder.parent.name),
            _nights(shown),
            Fact("last night", _surroundings(last)),
            Fact("all cells", ", ".join(axes.shared(cells))),
        ),
        blocks=tuple(block for block in blocks if block is not None),
        notes=(*_first(remarks), *_summary(shown)),
        data={
            "folder": str(folder),
            "nights": [_night(shown, number) for number in range(shown.first, len(made.nights))],
            "marks": [
                {
                    "night": _time(shown, m.night),
                    "series": ids.shown(m.series) or None,
                    "text": m.text,
                }
                for m in made.marks
                if m.night >= shown.first
            ],
            "remarks": list(remarks),
        },
    )


class _Shown:
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


def _nights(shown: _Shown) -> Fact:
    nights = shown.made.nights[shown.first :]
    missing = shown.places[-1] + 1 - len(set(shown.places))
    gaps = f", {missing} missing" if missing else ""
    days = f"{nights[0].started:%Y-%m-%d} to {nights[-1].started:%Y-%m-%d}"
    return Fact("nights", f"{len(nights)}, {days}{gaps}", "missing_nights", missing)


def _surroundings(header: RunHeader) -> str:
    return ", ".join(f"{name} {text}" for name, text in _around(header).items() if text)


def _around(header: RunHeader) -> dict[str, str]:
    return {
        "kernel": " ".join(filter(None, (header.host.kernel, header.host.kernel_version))),
        "core": header.core.hash[:DIGEST],
        "commit": header.core.commit,
    }


# For people


def _shifts(shown: _Shown, shifts: Sequence[Line]) -> Listing | None:
    lines = [line for line in shifts if line.figure == SPARK]
    items = [
        Item((_scope_text(line.series),), f"{spark}  {_shift(shown, line)}")
        for line, spark in zip(lines, shown.sparks(lines, BRIEFER[0]), strict=True)
    ]
    return Listing("what cells share (ns/frame):", tuple(items)) if items else None


def _shift(shown: _Shown, line: Line) -> str:
    noise = f"noise {line.noise:.1%}" if line.noise is not None else ""
    changes = _sentences(shown, shown.last_of(line.series))
    return "; ".join(filter(None, (noise, changes or "no change")))


def _scope_text(series: str) -> str:
    return "all cells" if series == "all" else f"all of {series}"


def _table(shown: _Shown) -> Table:
    cells = list(shown.made.cells)
    steady = [shown.lines[cell.id, SPARK] for cell in cells]
    rates = [shown.lines[cell.id, "pps"].level for cell in cells]
    costs = [line.level for line in steady]
    pps, ns = si(rates, "pps"), plain(costs, "ns/frame", 1)
    return Table(
        (
            text_column("cell", [ids.shown(cell.id) for cell in cells]),
            *axis_columns(cells),
            Column(pps.label, pps.texts(rates)),
            Column(ns.label, ns.texts(costs)),
            Column("noise", tuple(NONE if s.noise is None else f"{s.noise:.1%}" for s in steady)),
            Column("nights", tuple(str(s.nights) for s in steady), dispensable=1),
            Column(
                "ns/frame over time",
                shown.sparks(steady, WIDTH),
                right=False,
                briefer=tuple(shown.sparks(steady, width) for width in BRIEFER),
                dispensable=2,
            ),
            text_column("last change", [_brief(shown, cell.id) for cell in cells]),
        )
    )


def _brief(shown: _Shown, series: str) -> str:
    found = shown.last_of(series)
    if not found:
        return NONE
    figure, last = found[0]
    return f"{shown.made.nights[last.night].started:%Y-%m-%d} {LABELS[figure]} {last.size:+.1%}"


def _changes(shown: _Shown) -> Listing | None:
    """The last change of each cell, the latest first."""
    found = [(cell.id, shown.last_of(cell.id)) for cell in shown.made.cells]
    changed = sorted((of for of in found if of[1]), key=lambda of: -of[1][0][1].night)
    items = [
        Item((ids.shown(cell),), _sentences(shown, changes)) for cell, changes in changed[:MOST]
    ]
    more = f" (the latest {MOST} of {len(changed)})" if len(changed) > MOST else ""
    return Listing(f"last change of each cell{more}:", tuple(items)) if items else None


def _sentences(shown: _Shown, found: Sequence[tuple[str, Changed]]) -> str:
    """Changes, the figures of one night together, and what was on both sides of them."""
    nights = shown.made.nights
    parts = []
    for (night, before, why), of in groupby(found, lambda of: of[1].where):
        sizes = ", ".join(
            f"{LABELS[figure]} {change.size:+.1%} [{change.low:+.1%}, {change.high:+.1%}]"
            for figure, change in of
        )
        known = f" (acknowledged: {why})" if why else ""
        sides = ", ".join(_sides(nights[before].run.header, nights[night].run.header))
        parts.append(f"since {nights[night].started:%Y-%m-%d} {sizes}{known}; {sides}")
    return "; ".join(parts)


def _sides(before: RunHeader, after: RunHeader) -> Iterator[str]:
    was = _around(before)
    for name, text in _around(after).items():
        if text != was[name]:
            yield f"{name} {was[name] or 'unknown'} -> {text or 'unknown'}"
        elif text:
            yield f"{name} {text}"


def _marks(shown: _Shown) -> Listing | None:
    marks = [mark for mark in shown.made.marks if mark.night >= shown.first]
    items = [
        Item(
            (f"{shown.made.nights[mark.night].started:%Y-%m-%d}",),
            f"{ids.shown(mark.series)}: {mark.text}" if mark.series else mark.text,
        )
        for mark in marks[-MOST:]
    ]
    more = f" (the latest {MOST} of {len(marks)})" if len(marks) > MOST else ""
    return Listing(f"marks{more}:", tuple(items)) if items else None


def _first(remarks: Sequence[str]) -> list[str]:
    more = len(remarks) - MOST
    return [*remarks[:MOST], *([f"and {more} more such files"] if more > 0 else [])]


def _summary(shown: _Shown) -> list[str]:
    cells = shown.made.cells
    changed = sum(bool(shown.last_of(cell.id)) for cell in cells)
    many = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
    said = [f"{many}, {changed} with a change; levels are of the nights since it"]
    if not any(np.isfinite(line.values).any() for line in shown.made.lines if line.cell):
        said.insert(0, f"no night has a cell with {MIN_ROUNDS} usable rounds: there is no level")
    return said


# For programs


def _time(shown: _Shown, night: int) -> str:
    return shown.made.nights[night].started.astimezone(UTC).isoformat()


def _night(shown: _Shown, number: int) -> dict[str, Json]:
    run = shown.made.nights[number].run
    host, core = run.header.host, run.header.core
    return {
        "started": _time(shown, number),
        "run": Path(run.path).name,
        "end": run.end,
        "host": host.hostname,
        "kernel": host.kernel,
        "kernel_version": host.kernel_version,
        "core": core.hash,
        "commit": core.commit,
    }


CHANGE = ("night", "before", "size", "low", "high", "why")
SIDES = tuple(
    f"{name}_{side}" for side in ("before", "after") for name in ("kernel", "core", "commit")
)


def _records(shown: _Shown) -> Records:
    """A row per series and figure; a flat table has its last change only."""
    named = axis_fields(shown.made.cells)
    flat = ("series", "figure", "level", "noise", "nights", "since")
    last = {f"change_{name}": ("last", name) for name in (*CHANGE, *SIDES)}
    return Records(
        name="series",
        fields={**{name: (name,) for name in flat}, **last, **named},
        rows=tuple(_record(shown, line, named) for line in shown.made.lines),
        provenance=_provenance(shown),
    )


def _provenance(shown: _Shown) -> dict[str, Json]:
    """Of the last night, whose level is the present one."""
    last = shown.made.nights[-1].run
    return {
        f"last_{name}" if name != "matrix" else name: value
        for name, value in provenance.of(last.header, last.path).items()
    }


def _record(shown: _Shown, line: Line, named: Mapping[str, tuple[str, ...]]) -> dict[str, Json]:
    changes = [_change(shown, change) for change in line.changes if change.night >= shown.first]
    return {
        "series": ids.shown(line.series),
        "figure": line.figure,
        "level": line.level,
        "noise": line.noise,
        "nights": line.nights,
        "since": _time(shown, line.since),
        "last": changes[-1] if changes else None,
        "changes": changes,
        "values": _values(line.values[shown.first :], line.cell is None),
        "axes": axis_values(line.cell, named) if line.cell else {},
    }


def _values(logarithms: Array, is_shift: bool) -> list[float | None]:
    """Of a shift the fraction by which it differs from the level of its strand."""
    values = (np.expm1 if is_shift else np.exp)(logarithms).tolist()
    return [None if math.isnan(value) else value for value in values]


def _change(shown: _Shown, change: Changed) -> dict[str, Json]:
    before, after = (
        _around(shown.made.nights[n].run.header) for n in (change.before, change.night)
    )
    return {
        "night": _time(shown, change.night),
        "before": _time(shown, change.before),
        "size": change.size,
        "low": change.low,
        "high": change.high,
        "why": change.why or None,
        **{f"{name}_before": text or None for name, text in before.items()},
        **{f"{name}_after": text or None for name, text in after.items()},
    }
