"""A compared with several sides: a sentence for each shift, a row for each cell of all sides."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from bench.analysis.verdicts import FIGURES, Row, Verdict
from bench.campaign.sides import Compared
from bench.model.cells import Cell
from bench.render import axes, changes, comparison
from bench.render.changes import LABELS
from bench.render.comparison import cell_columns, change_columns
from bench.render.comparison_data import data_of, provenance_of, records_of
from bench.render.document import Document, Fact, Listing, Records, Table, text_column
from bench.render.scale import NONE


def document_of(sides: Sequence[Compared], chosen: Collection[str] | None = None) -> Document:
    """A with one side, or with each of several; ``chosen`` are the verdicts whose cells have rows,
    None is all."""
    if len(sides) == 1:
        return comparison.document_of(sides[0], chosen)
    cells = {row.cell.id: row.cell for of in sides for row in of.result.rows}
    rows = {of.name: {row.cell.id: row for row in of.result.rows} for of in sides}
    shown = [cells[id_] for id_ in _in_order(rows, chosen)]
    shifts = tuple(
        replace(item, names=(f"{of.name}, {item.names[0]}",))
        for of in sides
        for item in changes.shift_items(of.result)
    )
    return Document(
        records=_records(sides),
        name=comparison.title(sides),
        facts=(
            comparison.side_fact("A", sides[0].a),
            *(comparison.side_fact(of.name, of.b) for of in sides),
            *(fact for of in sides for fact in comparison.differences(of)),
            Fact("all cells", ", ".join(axes.shared([*cells.values()]))),
        ),
        blocks=(
            *((Listing(items=shifts),) if shifts else ()),
            *((_table(shown, rows, [*cells.values()]),) if shown else ()),
        ),
        notes=tuple(
            f"{of.name}: {note}"
            for of in sides
            for note in comparison.notes_of(of, _of(rows[of.name], shown))
        ),
        data={"comparisons": [data_of(of) for of in sides]},
    )


Rows = Mapping[str, Mapping[str, Row]]
"""By the name of the side and the cell."""


def _in_order(rows: Rows, chosen: Collection[str] | None) -> list[str]:
    """The cells with a chosen verdict on some side, in the order of their worst one."""
    worst: dict[str, int] = {}
    for of in rows.values():
        for cell, row in of.items():
            if chosen is None or row.verdict.value in chosen:
                at = list(Verdict).index(row.verdict)
                worst[cell] = min(at, worst.get(cell, at))
    return sorted(worst, key=worst.__getitem__)


def _of(rows: Mapping[str, Row], cells: Sequence[Cell]) -> list[Row]:
    return [rows[cell.id] for cell in cells if cell.id in rows]


def _table(cells: Sequence[Cell], rows: Rows, among: Sequence[Cell]) -> Table:
    """For each side its verdicts and changes; intervals go first where there is no room."""
    columns = cell_columns(cells, among)
    for name, of in rows.items():
        found = [of.get(cell.id) for cell in cells]
        columns.append(text_column(name, (row.verdict.value if row else NONE for row in found)))
        for figure in FIGURES:
            changes = [row.changes.get(figure) if row else None for row in found]
            columns += change_columns(f"{LABELS[figure]} of {name}", changes, dispensable=1)
    columns += comparison.notes_columns([_notes(cell.id, rows) for cell in cells])
    return Table(tuple(columns))


def _notes(cell: str, rows: Rows) -> dict[str, Sequence[str]]:
    """Of all sides; those of A are the same beside each other one."""
    found = [of[cell].notes for of in rows.values() if cell in of]
    return {side: marks for notes in found for side, marks in notes.items()}


def _records(sides: Sequence[Compared]) -> Records:
    """A row for each cell of each side, which it names."""
    found = [records_of(of.result, provenance_of(of), ("A", of.name)) for of in sides]
    return Records(
        name=found[0].name,
        fields={"side": ("side",)} | {key: at for of in found for key, at in of.fields.items()},
        rows=tuple(
            {"side": of.name, **row}
            for of, records in zip(sides, found, strict=True)
            for row in records.rows
        ),
        provenance={key: value for of in found for key, value in of.provenance.items()},
    )
