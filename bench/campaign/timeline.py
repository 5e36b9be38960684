"""The history of a matrix on a machine: a line for each series, its changes, and the marks.

Nights are of one strand where their figures can be compared (``environments.continues``): a new
kernel goes on with it, so that a change can name the kernels on both sides; a new core does not.
Changes are found in each strand apart. A mark says where a strand ends or something else begins.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from bench.analysis.changes import FALSE_ALARMS, ChangePoint, courses
from bench.analysis.environments import continues, marked
from bench.analysis.panel import Array, Figure
from bench.analysis.series import medians, taken_apart
from bench.analysis.verdicts import FIGURES
from bench.campaign.acknowledgements import Acknowledgement
from bench.campaign.judging import scope_names
from bench.campaign.levels import levels
from bench.campaign.nights import Night
from bench.model.cells import Cell
from bench.model.summaries import RunSummary

CHANCE = 0.05
"""Of a single false change in all series of a strand and figure."""

FEWEST = 5
"""Nights of a level that show how far they stray."""

NEAR = 3
"""Nights between a change and what may be its cause."""

MAD = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""

LONGEST = 40
"""Characters of a hash, a kernel's version or a compiler that a mark has."""

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that began with a night (its index); ``series`` is "" where it is all of them."""

    night: int
    text: str
    series: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """A change point: the index of its night, of the one before it, and its size with the 95 %
    interval (fractions); ``why`` is that of an acknowledgement."""

    night: int
    before: int
    size: float
    low: float
    high: float
    why: str = ""

    @property
    def where(self) -> tuple[int, int, str]:
        """What changes of one cause have in common."""
        return self.night, self.before, self.why


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
    nights: Sequence[Night], cells: Sequence[Cell], known: Sequence[Acknowledgement] = ()
) -> Timeline:
    """The lines of these cells; all cells of the nights show what they share.

    ``nights`` are of one machine, in their order, at least one.
    """
    strands = strands_of(nights)
    lines = [
        line
        for figure in FIGURES
        for line in _lines(nights, strands, {cell.id for cell in cells}, known, figure)
    ]
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
    figure: Figure,
) -> Iterator[Line]:
    cells = cells_of(nights)
    raw = levels([night.run for night in nights], [*cells], figure)
    found = _Found.of(raw, strands, [*cells.values()])
    columns = {cell: number for number, cell in enumerate(cells)}
    shifts = [name for name in found.values if name not in cells]
    shifted = max((c.night for name in shifts for c in found.changes[name]), default=0)
    for name in (*shifts, *(name for name in cells if name in wanted)):
        values = found.values[name]
        changes = tuple(_explained(c, name, nights, known) for c in found.changes[name])
        said = [_index(nights, each.since) for each in known if each.series in ("", name)]
        begins = (*(change.night for change in changes), *said)
        since = max((int(strands[-1][0]), *(n for n in begins if n < len(nights))))
        at = strands[-1][(strands[-1] >= since) & np.isfinite(values[strands[-1]])]
        latest = at[at >= shifted]
        yield Line(
            series=name,
            cell=cells.get(name),
            figure=figure,
            values=values,
            changes=changes,
            since=since,
            nights=len(at),
            level=_level(raw[latest, columns[name]]) if name in columns else None,
            noise=_noise(values[at]),
        )


def _level(logarithms: Array) -> float | None:
    return float(np.exp(_median(logarithms))) if len(logarithms) else None


def _noise(logarithms: Array) -> float | None:
    if len(logarithms) < FEWEST:
        return None
    return MAD * _median(np.abs(logarithms - _median(logarithms)))


def _median(values: Array) -> float:
    """numpy's takes ten times as long for a few hundred values."""
    ordered = np.sort(values)
    return float(ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


@dataclass(frozen=True)
class _Found:
    """Of each series by its name: its values over all nights, and its changes in order."""

    values: dict[str, Array]
    changes: dict[str, list[Changed]]

    @classmethod
    def of(cls, raw: Array, strands: Sequence[Indices], cells: Sequence[Cell]) -> _Found:
        """``raw`` has the levels (nights, cells)."""
        found = cls({}, {})
        for strand in strands:
            apart = taken_apart(raw[strand], len(strand), cells)
            rows = np.vstack([apart.cells + medians(raw[strand])[:, None], apart.shifts])
            names = (*(cell.id for cell in cells), *scope_names(cells, apart.scopes))
            known = courses(rows, min(FALSE_ALARMS, CHANCE / len(rows)))
            for name, row, course in zip(names, rows, known, strict=True):
                if name not in found.values:
                    found.values[name] = np.full(len(raw), np.nan)
                    found.changes[name] = []
                found.values[name][strand] = row
                found.changes[name] += [_changed(change, row, strand) for change in course.changes]
        return found


def _changed(change: ChangePoint, row: Array, strand: Indices) -> Changed:
    earlier = np.flatnonzero(np.isfinite(row[: change.night]))
    size, low, high = np.expm1([change.after - change.before, change.low, change.high]).tolist()
    return Changed(int(strand[change.night]), int(strand[earlier[-1]]), size, low, high)


def _explained(
    change: Changed, series: str, nights: Sequence[Night], known: Sequence[Acknowledgement]
) -> Changed:
    """With what somebody said of it."""
    why = [
        each.why
        for each in known
        if each.series in ("", series) and abs(_index(nights, each.since) - change.night) <= NEAR
    ]
    return replace(change, why="; ".join(why))


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


def _edited(before: RunSummary, run: RunSummary) -> str:
    then, now = ({cell.id for cell in each.cells} for each in (before, run))
    return (
        f"the matrix was edited: {len(now - then)} series begin, {len(then - now)} end, "
        f"{len(then & now)} go on"
    )
