"""CSV: the records of a document, for spreadsheets and pandas."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from bench.base.printable import printable
from bench.base.values import yaml_text
from bench.render.document import Document, Json
from bench.render.screen import PAPER, Screen


def render(document: Document, _screen: Screen = PAPER) -> str:
    """A header line and a line per record; a value that there is not is empty."""
    records = document.records
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    common = [_field(value) for value in records.provenance.values()]
    writer.writerow([*records.provenance, *records.fields])
    for row in records.rows:
        writer.writerow([*common, *(_field(_at(row, path)) for path in records.fields.values())])
    return text.getvalue()


def _at(row: Json, path: Sequence[str]) -> Json:
    for key in path:
        if not isinstance(row, Mapping):
            return None
        row = row.get(key)
    return row


def _field(value: Json) -> str:
    """Spelled as in a matrix or in JSON: ``true``, the shortest exact number, or nothing."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "; ".join(map(_field, value))
    return _printable(yaml_text(value))


def _printable(text: str) -> str:
    """CSV has quotes for line feeds, and nothing for control characters."""
    return "\n".join(map(printable, text.split("\n")))
