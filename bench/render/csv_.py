"""CSV: a record per cell with every axis and every figure, for spreadsheets and pandas."""

from __future__ import annotations

import csv
import io

from bench.base.printable import printable
from bench.base.values import Value, yaml_text
from bench.model.axes import AXES
from bench.model.results import CellResult, Report
from bench.render.records import FIGURES, Figure, figures

_HEADER = ("run", "cell", *AXES, *FIGURES, "notes")


def render(report: Report, _width: int = 0, _colour: bool = False) -> str:
    """The cells as CSV with a header line; an axis or figure that there is not is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows(map(field_text, _record(report.run, row)) for row in report.rows)
    return text.getvalue()


def field_text(field: object) -> str:
    """As it is to be written: CSV has quotes for line feeds, and nothing for control characters."""
    return "\n".join(map(printable, str(field).split("\n")))


def _record(run: str, row: CellResult) -> list[str]:
    axes = (row.cell.values.get(axis) for axis in AXES)
    return [
        run,
        row.cell.id,
        *map(field, axes),
        *map(field, figures(row).values()),
        "; ".join(row.notes),
    ]


def field(value: Value | Figure) -> str:
    """Spelled as in a matrix or in JSON: ``true``, the shortest exact number, or nothing."""
    return "" if value is None else yaml_text(value)
