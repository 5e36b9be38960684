"""A report as a document: a table of texts that knows nothing of any output format.

One row per cell. What varies is a column; what does not is said once, in the heading. Whatever
is to be known about a cell beyond its figures is a footnote, which rows may share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from bench.base.values import value_text
from bench.model.axes import Role, with_role
from bench.model.cells import Cell
from bench.model.results import CellResult
from bench.render import axes, best, records
from bench.render.document import Column, Document, Fact, Table
from bench.render.figure_columns import figure_columns
from bench.render.report import Report
from bench.render.scale import NONE

MOST_ALIKE = 8
"""So many rows are shown that failed for the same reason."""


def document_of(report: Report, every: bool = True) -> Document:
    """A report as a document: its table, what rows are marked with, and every figure.

    Without ``every`` a long table has the best of each group only.
    """
    shown = _without_repeated_failures(report)
    cells = [row.cell for row in shown.rows]
    rows = shown.rows if every else best.in_short(shown.rows, report.baselines)
    told = best.left_out(rows, cells)
    remarks = [_remarks(row) for row in rows]
    footnotes = tuple(dict.fromkeys(remark.text for each in remarks for remark in each))
    return Document(
        records=records.records(report.run, report.rows, report.provenance),
        name=report.name,
        description=report.description,
        facts=_facts(shown),
        blocks=(tabulated(rows, _notes_column(remarks, footnotes), cells),),
        footnotes=footnotes,
        notes=(*told, *shown.notes),
        data={
            "run": report.run,
            "baseline": None if report.baseline is None else dict(report.baseline),
        },
    )


def tabulated(rows: Sequence[CellResult], notes: Column, among: Sequence[Cell]) -> Table:
    """A row per cell: what varies, the figures that there are, and the notes.

    Values are told as tells them from others ``among`` these cells.
    """
    cells = [row.cell for row in rows]
    columns = (*axis_columns(cells, among), *figure_columns(rows), notes)
    return Table(
        columns=tuple(
            column for column in columns if any(c not in ("", NONE) for c in column.cells)
        ),
        bad=frozenset(index for index, row in enumerate(rows) if not row.is_measured),
        best=frozenset(index for index, row in enumerate(rows) if row.is_fastest),
        breaks=_breaks(cells),
    )


def _without_repeated_failures(report: Report) -> Report:
    """Many rows without figures that failed alike are told in one note: they hide the others."""
    counts = Counter(row.failure for row in report.rows if row.failure and not row.is_measured)
    many = {reason: count for reason, count in counts.items() if count > MOST_ALIKE}
    rows = tuple(row for row in report.rows if row.is_measured or row.failure not in many)
    if not rows:
        return report
    notes = [f"{count} cells are not shown, failed: {reason}" for reason, count in many.items()]
    return replace(report, rows=rows, notes=(*notes, *report.notes))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _facts(report: Report) -> tuple[Fact, ...]:
    baseline = ""
    if report.baseline:
        cell = ", ".join(f"{axis} {value_text(v)}" for axis, v in report.baseline.items())
        baseline = f"{cell} (ratio: pps to the baseline's in the same round)"
    return (
        Fact("run", report.run),
        *report.facts,
        Fact("baseline", baseline),
        Fact("all cells", ", ".join(axes.shared([row.cell for row in report.rows]))),
    )


# Axes

_STACKED = {"msg_dontwait": "dont\nwait"}


def axis_columns(
    cells: Sequence[Cell], among: Sequence[Cell] = (), varying: Sequence[Cell] = ()
) -> list[Column]:
    """A column for each axis that varies, over these cells or those of ``varying``; values are
    told as tells them from others ``among``."""
    return [
        Column(
            label=axis,
            cells=axes.column(cells, axis, among),
            right=_is_number(cells, axis),
            stacked=_STACKED.get(axis, axis.replace("_", "\n")),
            heads=axis in with_role(Role.PLACE),
        )
        for axis in axes.varying(varying or cells)
    ]


def _is_number(cells: Sequence[Cell], axis: str) -> bool:
    values = [cell.values.get(axis) for cell in cells]
    return not any(isinstance(value, bool | str | dict) for value in values)


def _breaks(cells: Sequence[Cell]) -> frozenset[int]:
    """Where the place changes, if each comes in one piece of several rows."""
    outer = [axis for axis in axes.varying(cells) if axis in with_role(Role.PLACE)][:1]
    if not outer:
        return frozenset()
    texts = axes.column(cells, outer[0])
    lengths = [len(list(group)) for _, group in groupby(texts)]
    if len(lengths) > len(set(texts)) or max(lengths) == 1:
        return frozenset()
    return frozenset(sum(lengths[:end]) for end in range(1, len(lengths)))


# Footnotes


@dataclass(frozen=True, slots=True)
class _Remark:
    """What is to be said about a cell: ``code`` (may be empty) in its row, ``text`` below."""

    code: str
    text: str


def _listed(names: Sequence[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


_FASTEST = (
    "fastest: its pps is above that of each other cell on the same "
    f"{_listed(with_role(Role.PLACE))} with the same {_listed(with_role(Role.WORKLOAD))}, in the "
    "same rounds (95 % intervals of the ratios are above 1); lossy cells compete among themselves"
)
_NOT_RUN = "not run: the run ended before the first sample of the cell"


def _remarks(row: CellResult) -> list[_Remark]:
    remarks = []
    if row.is_fastest:
        remarks.append(_Remark("fastest", _FASTEST))
    invalid, reason = row.tally.invalid, row.tally.invalid_reason
    if not row.is_measured and not row.failure and not invalid:
        remarks.append(_Remark("not run", _NOT_RUN))
    if row.failure:
        remarks.append(_Remark("failed", f"failed: {_one_line(row.failure)}"))
    if invalid:
        code = f"{invalid} invalid" if row.is_measured else "invalid"
        reason = reason or "samples that contradict the kernel's counters"
        remarks.append(_Remark(code, f"invalid: {_one_line(reason)}"))
    return remarks + [
        _Remark(note.mark, _one_line(f"{note.code}: {note.text}"))
        for note in row.notes
        if note.code != "invalid"
    ]


def _notes_column(remarks: Sequence[Sequence[_Remark]], footnotes: Sequence[str]) -> Column:
    """With the codes of all remarks, of the first in each row, or footnote numbers alone."""
    every, first, none = (
        tuple(_notes_cell(row, footnotes, codes) for row in remarks)
        for codes in (len(footnotes), 1, 0)
    )
    return Column("notes", every, right=False, briefer=(first, none))


def _notes_cell(row: Sequence[_Remark], footnotes: Sequence[str], codes: int) -> str:
    numbers = [f"({footnotes.index(remark.text) + 1})" for remark in row]
    coded = [f"{remark.code} {n}".lstrip() for remark, n in zip(row, numbers, strict=True)]
    return ", ".join([*coded[:codes], *numbers[codes:]])
