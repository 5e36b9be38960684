"""The history of a matrix on a machine: a line for each series, its changes, and the marks.

Nights are of one strand where their figures can be compared (``environments.continues``): a new
kernel goes on with it, so that a change can name the kernels on both sides; a new core does not.
Changes are found in each strand apart. A mark says where a strand ends or something else begins.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench.analysis.environments import continues, marked
from bench.analysis.noise import Booleans
from bench.analysis.panel import Array, Figure
from bench.analysis.shared import MAD, row_medians
from bench.analysis.verdicts import FIGURES
from bench.campaign.acknowledgements import Acknowledgement
from bench.campaign.changed import Changed, Changes, Indices
from bench.campaign.leveled import levels_of
from bench.campaign.nights import Night
from bench.model.cells import Cell
from bench.model.leveled import LeveledRun

FEWEST = 5
"""Nights of a level that show how far they stray."""

NEAR = 3
"""Nights between a change and what may be its cause."""

LONGEST = 40
"""Characters of a hash, a kernel's version or a compiler that a mark has."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that began with a night (its index); ``series`` is "" where it is all of them."""

    night: int
    text: str
    series: str = ""


@dataclass(frozen=True)
class Line:
    """A series: a cell, or, where ``cell`` is None, a shift, as ``bench ack`` names it.

    ``values`` (nights) are logarithms, a cell's beyond the shift; NaN where missing. The present
    level began at the night ``since``, with the last strand, change or acknowledgement. ``noise``
    is the standard deviation between its ``nights``, a fraction, None where these are too few.
    ``level`` is a cell's as it was measured (frames per second, nanoseconds) since the last shift.
    """

    series: str
    cell: Cell | None
    figure: Figure
    values: Array
    changes: tuple[Changed, ...]
    since: int
    nights: int
    level: float | None
    noise: float | None

    @property
    def last(self) -> Changed | None:
        return self.changes[-1] if self.changes else None


@dataclass(frozen=True)
class Timeline:
    """``lines`` has those of shifts and then of cells, in both figures. ``cuts`` are the nights
    that are not of the strand of the night before."""

    nights: tuple[Night, ...]
    cells: tuple[Cell, ...]
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]
    cuts: tuple[int, ...]


def timeline(
    nights: Sequence[Night],
    cells: Sequence[Cell],
    known: Sequence[Acknowledgement] = (),
    folder: Path | None = None,
) -> Timeline:
    """The lines of these cells; all cells of the nights show what they share.

    ``nights`` are of one machine, in their order, at least one. ``folder`` is theirs: what changed
    in it is found once.
    """
    strands = strands_of(nights)
    changes = Changes(folder)
    lines = [
        line
        for figure in FIGURES
        for line in _lines(nights, strands, {cell.id for cell in cells}, known, changes, figure)
    ]
    changes.save()
    return Timeline(
        nights=tuple(nights),
        cells=tuple(cells),
        lines=tuple(lines),
        marks=tuple(sorted(_marks(nights, strands, known), key=lambda mark: mark.night)),
        cuts=_cuts(strands),
    )


def cells_of(nights: Sequence[Night]) -> dict[str, Cell]:
    """Every cell of the nights by its id, those of the last night first."""
    runs = {id(night.run.cells): night.run.cells for night in reversed(nights)}
    found: dict[str, Cell] = {}
    for cells in runs.values():
        for cell in cells:
            found.setdefault(cell.id, cell)
    return found


def strands_of(nights: Sequence[Night]) -> list[Indices]:
    """The indices of the nights of each strand; that of the last night is the last."""
    found: list[list[int]] = []
    for number, night in enumerate(nights):
        for strand in reversed(found):
            if continues(nights[strand[-1]].run.header, night.run.header):
                strand.append(number)
                break
        else:
            found.append([number])
    return [np.array(strand) for strand in sorted(found, key=lambda strand: strand[-1])]


def _cuts(strands: Sequence[Indices]) -> tuple[int, ...]:
    strand_of = {int(night): n for n, strand in enumerate(strands) for night in strand}
    return tuple(n for n in range(1, len(strand_of)) if strand_of[n] != strand_of[n - 1])


# Lines


def _lines(
    nights: Sequence[Night],
    strands: Sequence[Indices],
    wanted: set[str],
    known: Sequence[Acknowledgement],
    changes: Changes,
    figure: Figure,
) -> Iterator[Line]:
    cells = cells_of(nights)
    raw = levels_of([night.run for night in nights], [*cells], figure)
    found = changes.of(raw, strands, [*cells.values()])
    rows = {name: row for row, name in enumerate(found.names)}
    shifts = [name for name in found.names if name not in cells]
    shifted = max((c.night for name in shifts for c in found.changes.get(name, ())), default=0)
    names = [*shifts, *(name for name in cells if name in wanted)]
    values = found.values[[rows[name] for name in names]]
    said = [(each.series, _index(nights, each.since)) for each in known]
    explained = [_explained(found.changes.get(name, ()), name, said, known) for name in names]
    since = [
        _since(name, of, said, int(strands[-1][0]), len(nights))
        for name, of in zip(names, explained, strict=True)
    ]
    present = _present(values, np.array(since), strands[-1])
    measured = raw.T[[rows[name] for name in names if name in cells]]
    latest = present[len(shifts) :] & (np.arange(len(nights)) >= shifted)
    level = np.exp(row_medians(measured, latest)).tolist()
    noise = _noise(values, present)
    for row, name in enumerate(names):
        yield Line(
            series=name,
            cell=cells.get(name),
            figure=figure,
            values=values[row],
            changes=explained[row],
            since=since[row],
            nights=int(present[row].sum()),
            level=_known(level[row - len(shifts)]) if name in cells else None,
            noise=_known(noise[row]),
        )


def _since(
    series: str, changes: Sequence[Changed], said: Sequence[tuple[str, int]], first: int, end: int
) -> int:
    """The night with which the present level of a series began."""
    marks = [night for of, night in said if of in ("", series) and night < end]
    return max((first, *marks, *(change.night for change in changes)))


def _present(values: Array, since: Indices, strand: Indices) -> Booleans:
    """Which nights are of the present levels, those of a strand: (series, nights)."""
    at = np.arange(values.shape[1])
    found: Booleans = np.isfinite(values) & np.isin(at, strand) & (at >= since[:, None])
    return found


def _noise(values: Array, present: Booleans) -> list[float]:
    """Of each series over its present nights; NaN where these are too few."""
    rest = np.abs(values - row_medians(values, present)[:, None])
    noise = MAD * row_medians(rest, present)
    return [*np.where(present.sum(axis=1) >= FEWEST, noise, np.nan).tolist()]


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


def _explained(
    changes: Sequence[Changed],
    series: str,
    said: Sequence[tuple[str, int]],
    known: Sequence[Acknowledgement],
) -> tuple[Changed, ...]:
    """With what somebody said of them."""
    near = [
        (night, each.why)
        for (of, night), each in zip(said, known, strict=True)
        if of in ("", series)
    ]
    return tuple(
        replace(change, why="; ".join(why for n, why in near if abs(n - change.night) <= NEAR))
        for change in changes
    )


def _index(nights: Sequence[Night], time: datetime) -> int:
    """Of the first night that did not begin before a time."""
    return bisect_left(nights, time, key=lambda night: night.started)


# Marks


def _marks(
    nights: Sequence[Night], strands: Sequence[Indices], known: Sequence[Acknowledgement]
) -> Iterator[Mark]:
    first = {int(strand[0]) for strand in strands}
    for number, (before, night) in enumerate(pairwise(nights), 1):
        a, b = before.run.header, night.run.header
        if a.matrix.text != b.matrix.text:
            yield Mark(number, _edited(before.run, night.run))
        if found := marked(a, b):
            texts = [f"{of.what} was {of.a[:LONGEST]} and is {of.b[:LONGEST]}" for of in found]
            if not continues(a, b):
                begins = "new series begin" if number in first else "earlier series go on"
                texts.append(f"here series end, and {begins}")
            yield Mark(number, "; ".join(texts))
    for each in known:
        if (number := _index(nights, each.since)) < len(nights):
            yield Mark(number, each.why, each.series)


def _edited(before: LeveledRun, run: LeveledRun) -> str:
    then, now = ({cell.id for cell in each.cells} for each in (before, run))
    return (
        f"the matrix was edited: {len(now - then)} series begin, {len(then - now)} end, "
        f"{len(then & now)} go on"
    )
