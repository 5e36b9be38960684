"""A history as a document: what all share, a line per cell, what changed, and the marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

import numpy as np

from bench.analysis.intervals import MIN_ROUNDS
from bench.base import ids
from bench.campaign.changed import Changed
from bench.campaign.timeline import Line, Timeline
from bench.model.header import RunHeader
from bench.render import axes
from bench.render.document import (
    Column,
    Document,
    Fact,
    Item,
    Listing,
    Table,
    text_column,
)
from bench.render.history_data import LABELS, Shown, around, night_of, records_of, time_of
from bench.render.scale import NONE, plain, si
from bench.render.table import axis_columns

WIDTH, BRIEFER = 60, (30, 15)
"""Blocks of a sparkline."""

MOST = 20
"""Entries of a list that people read; programs have all."""

SPARK = "ns_per_frame"
"""The figure that is drawn: CPU time is steadier than pps where the machine is shared."""


def document_of(
    made: Timeline, folder: Path, remarks: Sequence[str] = (), since: datetime | None = None
) -> Document:
    """The history in a folder; ``since`` leaves out earlier nights, changes and marks."""
    shown = Shown(made, sum(n.started < since for n in made.nights) if since else 0)
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
        records=records_of(shown),
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
            "nights": [night_of(shown, number) for number in range(shown.first, len(made.nights))],
            "marks": [
                {
                    "night": time_of(shown, m.night),
                    "series": ids.shown(m.series) or None,
                    "text": m.text,
                }
                for m in made.marks
                if m.night >= shown.first
            ],
            "remarks": list(remarks),
        },
    )


def _nights(shown: Shown) -> Fact:
    nights = shown.made.nights[shown.first :]
    missing = shown.places[-1] + 1 - len(set(shown.places))
    gaps = f", {missing} missing" if missing else ""
    days = f"{nights[0].started:%Y-%m-%d} to {nights[-1].started:%Y-%m-%d}"
    return Fact("nights", f"{len(nights)}, {days}{gaps}", "missing_nights", missing)


def _surroundings(header: RunHeader) -> str:
    return ", ".join(f"{name} {text}" for name, text in around(header).items() if text)


def _shifts(shown: Shown, shifts: Sequence[Line]) -> Listing | None:
    lines = [line for line in shifts if line.figure == SPARK]
    items = [
        Item((_scope_text(line.series),), f"{spark}  {_shift(shown, line)}")
        for line, spark in zip(lines, shown.sparks(lines, BRIEFER[0]), strict=True)
    ]
    return Listing("what cells share (ns/frame):", tuple(items)) if items else None


def _shift(shown: Shown, line: Line) -> str:
    noise = f"noise {line.noise:.1%}" if line.noise is not None else ""
    changes = _sentences(shown, shown.last_of(line.series))
    return "; ".join(filter(None, (noise, changes or "no change")))


def _scope_text(series: str) -> str:
    return "all cells" if series == "all" else f"all of {series}"


def _table(shown: Shown) -> Table:
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
            *_notes(shown),
        )
    )


def _notes(shown: Shown) -> list[Column]:
    """Those of the last night."""
    last = shown.made.nights[-1].run
    marks = [", ".join(last.marks(cell.id)) for cell in shown.made.cells]
    return [text_column("last night", marks)] if any(marks) else []


def _brief(shown: Shown, series: str) -> str:
    found = shown.last_of(series)
    if not found:
        return NONE
    figure, last = found[0]
    return f"{shown.made.nights[last.night].started:%Y-%m-%d} {LABELS[figure]} {last.size:+.1%}"


def _changes(shown: Shown) -> Listing | None:
    """The last change of each cell, the latest first."""
    found = [(cell.id, shown.last_of(cell.id)) for cell in shown.made.cells]
    changed = sorted((of for of in found if of[1]), key=lambda of: -of[1][0][1].night)
    items = [
        Item((ids.shown(cell),), _sentences(shown, changes)) for cell, changes in changed[:MOST]
    ]
    more = f" (the latest {MOST} of {len(changed)})" if len(changed) > MOST else ""
    return Listing(f"last change of each cell{more}:", tuple(items)) if items else None


def _sentences(shown: Shown, found: Sequence[tuple[str, Changed]]) -> str:
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
    was = around(before)
    for name, text in around(after).items():
        if text != was[name]:
            yield f"{name} {was[name] or 'unknown'} -> {text or 'unknown'}"
        elif text:
            yield f"{name} {text}"


def _marks(shown: Shown) -> Listing | None:
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


def _summary(shown: Shown) -> list[str]:
    cells = shown.made.cells
    changed = sum(bool(shown.last_of(cell.id)) for cell in cells)
    many = f"{len(cells)} cell{'s' * (len(cells) != 1)}"
    said = [f"{many}, {changed} with a change; levels are of the nights since it"]
    if not any(np.isfinite(line.values).any() for line in shown.made.lines if line.cell):
        said.insert(0, f"no night has a cell with {MIN_ROUNDS} usable rounds: there is no level")
    return said
