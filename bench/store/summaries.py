"""The summaries of a run's cells in columns: so a file has them, and so many runs fit in memory.

A column has a number per cell. 0 stands for a figure that a cell does not have, as figures are
above it; a column of zeros is empty.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Annotated, Any

import msgspec

from bench.model.results import LARGEST_INTEGER, Estimate
from bench.model.summaries import CellSummary, OpeningFigures
from bench.store.lines import Record
from bench.store.misfits import misfit

FIGURES = ("pps", "ns_per_frame", "ratio", "ratio_ns")
BOUNDS = ("value", "low", "high")

SIGNS = slice(7 if sys.byteorder == "little" else 0, None, 8)
"""The bytes of a column that have the signs of its numbers, faster to look at than these."""

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_INTEGER)]


class _EstimateColumns(msgspec.Struct, omit_defaults=True):
    value: list[float] = []
    low: list[float] = []
    high: list[float] = []
    n: list[Count] = []


class _LevelColumns(msgspec.Struct, omit_defaults=True):
    opening: Count
    rounds: list[Count] = []
    pps: list[float] = []
    ns_per_frame: list[float] = []


class _OpeningColumns(_LevelColumns):
    ratio: list[float] = []
    ratio_ns: list[float] = []


class LevelsLine(msgspec.Struct):
    """What a history needs of such a line: to decode all of it takes three times as long."""

    cells: list[str]
    openings: list[_LevelColumns]
    notes: dict[str, dict[str, Count]] = {}
    failures: dict[str, str] = {}
    levels: Count = 1


LEVELS = 3
"""What an opening's figures are: 1, its medians; 2, levels less what rounds share; 3, its levels
(``analysis.steady``). A line with others than these is not used: the figures are made again of the
samples."""


class Line(msgspec.Struct):
    """A line of type summaries; ``failures`` are those of a RunSummary."""

    cells: list[str]
    pps: _EstimateColumns
    ns_per_frame: _EstimateColumns
    ratio: _EstimateColumns
    ratio_ns: _EstimateColumns
    openings: list[_OpeningColumns]
    notes: dict[str, dict[str, Count]] = {}
    failures: dict[str, str] = {}
    levels: Count = 1


Column = Sequence[float]


class Table(Mapping[str, CellSummary]):
    """Cells' summaries by their ids, each made when it is asked for.

    ``estimates`` maps each figure to its columns value, low, high and n; ``openings`` maps the
    number of each opening to its columns rounds and figures. All are as long as ``cells``.
    """

    def __init__(
        self,
        cells: Sequence[str],
        estimates: Mapping[str, Mapping[str, Column]],
        openings: Mapping[int, Mapping[str, Column]],
        notes: Mapping[str, Mapping[str, int]],
    ) -> None:
        self.cells, self.estimates, self.openings = tuple(cells), estimates, openings
        self.notes = notes

    def __getitem__(self, cell: str) -> CellSummary:
        row = self._rows[cell]
        return CellSummary(
            cell=cell,
            openings=tuple(
                _opening_figures(number, columns, row)
                for number, columns in self.openings.items()
                if columns["rounds"][row]
            ),
            **{figure: _estimate(columns, row) for figure, columns in self.estimates.items()},
            notes=self.notes.get(cell, {}),
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        return {cell: row for row, cell in enumerate(self.cells)}

    @classmethod
    def of(cls, summaries: Mapping[str, CellSummary]) -> Table:
        """The same summaries in columns."""
        if isinstance(summaries, Table):
            return summaries
        rows = [*summaries.values()]
        numbers = sorted({opening.opening for row in rows for opening in row.openings})
        by_opening = [{opening.opening: opening for opening in row.openings} for row in rows]
        return cls(
            cells=[*summaries],
            estimates={
                figure: _estimate_columns([getattr(row, figure) for row in rows])
                for figure in FIGURES
            },
            openings={
                number: _opening_columns([of.get(number) for of in by_opening])
                for number in numbers
            },
            notes={row.cell: row.notes for row in rows if row.notes},
        )

    @classmethod
    def of_line(cls, line: Line | LevelsLine) -> Table:
        """Raises ValueError where the columns of a line do not fit together.

        Without estimates and ratios of a line that was decoded without these.
        """
        count = len(line.cells)
        if len({*line.cells}) != count:
            raise ValueError("`cells` has a cell twice")
        estimates = {
            figure: {
                name: _column(getattr(columns, name), count, f"{figure}.{name}")
                for name in (*BOUNDS, "n")
            }
            for figure in FIGURES
            if isinstance(line, Line)
            for columns in (getattr(line, figure),)
        }
        found: Sequence[_LevelColumns] = line.openings
        openings = {
            columns.opening: {
                name: _column(getattr(columns, name, ()), count, f"openings[{index}].{name}")
                for name in ("rounds", *FIGURES)
            }
            for index, columns in enumerate(found)
        }
        if [*openings] != sorted(columns.opening for columns in found):
            raise ValueError("`openings` are not in their order, or one is there twice")
        for columns in found:
            if not (_all_known(columns.pps) and _all_known(columns.ns_per_frame)):
                of = openings[columns.opening]
                if any(map(_has_no_figures, of["rounds"], of["pps"], of["ns_per_frame"])):
                    raise ValueError(f"opening {columns.opening} has rounds without figures")
        return cls(line.cells, estimates, openings, line.notes)

    def line(self, failures: Mapping[str, str]) -> dict[str, Any]:
        """The fields of the line of a file, but for its type."""
        fields: dict[str, Any] = {"cells": self.cells}
        for figure, columns in self.estimates.items():
            fields[figure] = _written(columns)
        fields["openings"] = [
            {"opening": number, **_written(columns)} for number, columns in self.openings.items()
        ]
        return fields | {"notes": self.notes, "failures": failures, "levels": LEVELS}


def table_of(record: Record) -> Table:
    """The table of a line of type summaries. Raises UsageError."""
    try:
        return Table.of_line(msgspec.convert(record.fields, Line))
    except (msgspec.ValidationError, UnicodeEncodeError):
        why = misfit(record.fields, Line) or "it has text that is not Unicode"
        raise record.refusal(why) from None
    except ValueError as error:
        raise record.refusal(error) from None


# Cells -> columns


def _estimate_columns(figures: Sequence[Estimate | None]) -> dict[str, Column]:
    bounds = {
        name: array("d", [(getattr(f, name) or 0.0) if f else 0.0 for f in figures])
        for name in BOUNDS
    }
    return {**bounds, "n": array("q", [f.n if f else 0 for f in figures])}


def _opening_columns(openings: Sequence[OpeningFigures | None]) -> dict[str, Column]:
    rounds = array("q", [of.rounds if of else 0 for of in openings])
    figures = {
        name: array("d", [(getattr(of, name) or 0.0) if of else 0.0 for of in openings])
        for name in FIGURES
    }
    return {"rounds": rounds, **figures}


def _column(numbers: Sequence[float], count: int, name: str) -> Column:
    kind = "q" if name.endswith((".n", ".rounds")) else "d"
    if not numbers:
        return _zeros(count, kind)
    if len(numbers) != count:
        raise ValueError(f"`{name}` has {len(numbers)} numbers for {count} cells")
    packed = struct.pack(f"{count}{kind}", *numbers)  # faster than an array is
    if not packed[SIGNS].isascii():
        raise ValueError(f"`{name}` has a number below 0")
    column: Column = memoryview(packed).cast(kind)  # type: ignore[call-overload]
    return column


@lru_cache(maxsize=64)
def _zeros(count: int, kind: str) -> Column:
    """A column that a line left out; the same for all that do, as nobody writes into one."""
    return memoryview(bytes(8 * count)).cast(kind)  # type: ignore[call-overload, no-any-return]


def _all_known(numbers: Sequence[float]) -> bool:
    return bool(numbers) and all(numbers)


def _has_no_figures(rounds: float, pps: float, ns_per_frame: float) -> bool:
    return bool(rounds) and not (pps and ns_per_frame)


# Columns -> cells, lines


def _estimate(columns: Mapping[str, Column], row: int) -> Estimate | None:
    value, low, high, n = (columns[name][row] for name in (*BOUNDS, "n"))
    if not value:
        return None
    return Estimate(value, low or None, high or None, int(n))


def _opening_figures(number: int, columns: Mapping[str, Column], row: int) -> OpeningFigures:
    return OpeningFigures(
        opening=number,
        rounds=int(columns["rounds"][row]),
        pps=columns["pps"][row],
        ns_per_frame=columns["ns_per_frame"][row],
        ratio=columns["ratio"][row] or None,
        ratio_ns=columns["ratio_ns"][row] or None,
    )


def _written(columns: Mapping[str, Column]) -> dict[str, list[float]]:
    """Without columns of zeros; whole numbers have no point."""
    return {name: [*_short(column)] for name, column in columns.items() if any(column)}


def _short(column: Iterable[float]) -> Iterator[float]:
    return (int(number) if number == int(number) else number for number in column)
