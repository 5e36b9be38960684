"""What was measured of a matrix, for tests in Python: figures that only their intervals compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bench.analysis.estimates import estimates_of
from bench.analysis.evidence import doubts_of_row
from bench.analysis.figures import pps, usable_by_cell
from bench.analysis.intervals import quantile
from bench.base.errors import UsageError
from bench.base.values import Value, covers, distinct, named, value_text
from bench.model.cells import Cell
from bench.model.results import CellResult, Estimate
from bench.model.run import Run
from bench.render import records
from bench.render.changes import LABELS


def fitting(cells: Sequence[Cell], wanted: Mapping[str, Any]) -> list[Cell]:
    """The cells that have these values of axes; a list of values is any of them.

    A value is a text as `--filter` takes it, or a value as YAML has it, of which a mapping may name
    a part. Raises UsageError if no cell has them.
    """
    found = list(cells)
    for axis, value in wanted.items():
        if axis not in cells[0].values:
            raise UsageError(f"no axis is called {axis}; one of {', '.join(cells[0].values)}")
        have = [cell.values[axis] for cell in cells]
        found = [cell for cell in found if _has(cell.values[axis], value, have)]
    if not found:
        there = {axis: distinct(cell.values[axis] for cell in cells) for axis in wanted}
        shown = (f"{axis} is one of {', '.join(map(value_text, v))}" for axis, v in there.items())
        raise UsageError(f"no cell has {_told(wanted)}; {'; '.join(shown)}")
    return found


def _has(value: Value | None, wanted: Any, among: Sequence[Value | None]) -> bool:
    if isinstance(wanted, list | tuple | set | frozenset):
        return any(_has(value, each, among) for each in wanted)
    if isinstance(wanted, str):
        return value in named(wanted, among)
    return value is not None and covers(wanted, value)


def _told(wanted: Mapping[str, Any]) -> str:
    return ", ".join(f"{axis} {value}" for axis, value in wanted.items())


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Figure:
    """A median with its 95 % interval, which alone decides a comparison with a number.

    The test is inconclusive (skipped, or failed under ``--bench-strict``) where the interval has
    the number in it, where there is no interval, and where ``doubt`` says why the figure is no
    evidence. ``notes`` are those of the cells. Each bound of the interval is wrong at most once in
    forty times.
    """

    of: str
    value: float
    low: float | None
    high: float | None
    rounds: int
    doubt: str = ""
    is_strict: bool = False
    notes: str = ""

    def __ge__(self, bound: float) -> bool:
        __tracebackhide__ = True
        low, high = self._interval(f">= {bound}")
        return self._decided(low >= bound, high < bound, f">= {bound}")

    def __gt__(self, bound: float) -> bool:
        __tracebackhide__ = True
        low, high = self._interval(f"> {bound}")
        return self._decided(low > bound, high <= bound, f"> {bound}")

    def __lt__(self, bound: float) -> bool:
        __tracebackhide__ = True
        return not self >= bound

    def __le__(self, bound: float) -> bool:
        __tracebackhide__ = True
        return not self > bound

    def __eq__(self, other: object) -> bool:
        raise TypeError("an interval equals no number; compare both ends: 0.99 <= ratio <= 1.01")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise TypeError("compare it with a number")

    def __repr__(self) -> str:
        interval = "no interval" if self.low is None else f"[{self.low:.4g}, {self.high:.4g}]"
        notes = f"; {self.notes}" if self.notes else ""
        return f"<{self.of} {self.value:.4g} {interval} from {self.rounds} rounds{notes}>"

    def _interval(self, claim: str) -> tuple[float, float]:
        __tracebackhide__ = True
        if self.doubt or self.low is None or self.high is None:
            self._inconclusive(claim, self.doubt or "no interval would hold from so few rounds")
        return self.low, self.high

    def _decided(self, holds: bool, fails: bool, claim: str) -> bool:
        __tracebackhide__ = True
        if not (holds or fails):
            self._inconclusive(claim, "the interval reaches both sides; more rounds narrow it")
        return holds

    def _inconclusive(self, claim: str, why: str) -> NoReturn:
        __tracebackhide__ = True
        text = f"inconclusive: {self!r} {claim}: {why}"
        if self.is_strict:
            pytest.fail(f"{text} (--bench-strict)", pytrace=False)
        pytest.skip(text)


class MeasuredCell:
    """A cell with valid figures: ``pps``, ``gbps``, ``ns_per_frame``, and to its baseline ``ratio``
    (of pps: above 1 is faster) and ``ratio_ns`` (of ns/frame: below 1 is cheaper)."""

    def __init__(self, matrix: MeasuredMatrix, row: CellResult) -> None:
        self._matrix, self.result = matrix, row
        self.name = matrix.names[row.cell.id]

    def __repr__(self) -> str:
        return f"<cell {self.name}>"

    @property
    def values(self) -> Mapping[str, Value | None]:
        """The value of each axis; None where the method does not read it."""
        return self.result.cell.values

    @property
    def pps(self) -> Figure:
        return self._figure("pps", self.result.figures.pps, [self])

    @property
    def gbps(self) -> Figure:
        return self._figure("Gb/s", self.result.figures.gbps, [self])

    @property
    def ns_per_frame(self) -> Figure:
        return self._figure("ns/frame", self.result.figures.ns_per_frame, [self], rate=False)

    @property
    def ratio(self) -> Figure:
        return self._to_baseline("pps")

    @property
    def ratio_ns(self) -> Figure:
        return self._to_baseline("ns_per_frame")

    def over(self, other: MeasuredCell, figure: str = "pps") -> Figure:
        """The ratio of this cell's pps (or ns_per_frame) to another's, taken within rounds."""
        estimate = self._matrix.ratio(self.result.cell.id, other.result.cell.id, figure)
        of = f"{LABELS[figure]} of {self.name} over {other.name}"
        return self._figure(of, estimate, [self, other], rate=figure == "pps")

    @property
    def seconds_per_frame(self) -> list[float]:
        """Of each usable sample, in round order."""
        return [1 / pps(sample) for sample in self._matrix.usable[self.result.cell.id]]

    @property
    def record(self) -> Mapping[str, Any]:
        """All that `bench show --format json` has of it."""
        (row,) = records.records(self._matrix.path.stem, [self.result]).rows
        return row

    @property
    def doubt(self) -> str:
        """Why its pps is no evidence: it says what others did to the sender."""
        codes = doubts_of_row(self.result)
        return f"{self.name} is {' and '.join(codes)}" if codes else ""

    @property
    def notes(self) -> str:
        """Its row's, in short."""
        marks = ", ".join(note.mark for note in self.result.notes)
        return f"{self.name}: {marks}" if marks else ""

    def _to_baseline(self, figure: str) -> Figure:
        __tracebackhide__ = True
        base = self._matrix.run.baselines.get(self.result.cell.id)
        if base is None:
            pytest.fail(f"{self.name} has no baseline in its matrix: use over(cell)")
        return self.over(self._matrix.cell(base), figure)

    def _figure(
        self, of: str, estimate: Estimate | None, cells: Sequence[MeasuredCell], rate: bool = True
    ) -> Figure:
        """Of these cells; ``rate`` says whether it is one of pps."""
        __tracebackhide__ = True
        if estimate is None:
            pytest.fail(f"there is no {of}: no round has valid samples of it")
        doubt = "; ".join(filter(None, (cell.doubt for cell in cells))) if rate else ""
        return Figure(
            of,
            estimate.value,
            estimate.low,
            estimate.high,
            estimate.n,
            f"pps is no evidence: {doubt}" if doubt else "",
            self._matrix.is_strict,
            "; ".join(filter(None, (cell.notes for cell in cells))),
        )


class MeasuredMatrix:
    """The cells of a run; ``names`` are those of all cells of its matrix."""

    def __init__(
        self,
        run: Run,
        rows: Sequence[CellResult],
        names: Mapping[str, str],
        is_strict: bool = False,
        among: Sequence[Cell] | None = None,
    ) -> None:
        self.run, self._rows, self.names, self.is_strict = run, rows, names, is_strict
        self._among = run.cells if among is None else among

    def __repr__(self) -> str:
        return f"<matrix {self.run.header.matrix.name}, run {self.path.stem}>"

    @property
    def path(self) -> Path:
        """The run's file."""
        return Path(self.run.path)

    def cells(self, **axes: Any) -> list[MeasuredCell]:
        """The cells that have these values, in the matrix's order. Fails the test if one failed."""
        __tracebackhide__ = True
        try:
            return [self.cell(cell.id) for cell in fitting(self._among, axes)]
        except UsageError as error:
            raise pytest.fail.Exception(str(error)) from None

    def cell(self, id: str = "", /, **axes: Any) -> MeasuredCell:
        """The one cell that has an id, or these values. Fails the test if it failed."""
        __tracebackhide__ = True
        if not id:
            found = self.cells(**axes)
            if len(found) > 1:
                names = ", ".join(cell.name for cell in found)
                pytest.fail(f"{len(found)} cells have {_told(axes)}; name more axes: {names}")
            return found[0]
        row = next(row for row in self._rows if row.cell.id == id)
        if row.failure or not row.is_measured:
            why = row.failure or f"no sample is valid: {row.tally.invalid_reason or 'none taken'}"
            pytest.fail(f"{self.names[id]}: {why}", pytrace=False)
        return MeasuredCell(self, row)

    def of(self, axes: Mapping[str, Any]) -> MeasuredMatrix:
        """The same run, whose ``cells`` are only those that have these values."""
        among = fitting(self._among, axes)
        return MeasuredMatrix(self.run, self._rows, self.names, self.is_strict, among)

    @cached_property
    def usable(self) -> Mapping[str, Sequence[Any]]:
        """The samples of each cell that its figures are made of."""
        return usable_by_cell(self.run)

    def ratio(self, cell: str, other: str, figure: str) -> Estimate | None:
        """Between any two cells. All ratios to the other one say together how uncertain each is."""
        z = quantile(self.run.header.measure.rounds.by_precision)
        bases = dict.fromkeys(self.usable, other)
        return estimates_of(self.usable, bases, figure, z).ratio[cell]
