"""Rows of JSON -> columns of whole numbers, and back.

Each field of the rows is a column. Text has its distinct values beside it. A list of objects or of
numbers (a sample's threads, say) is the column of its lengths, and its items are rows of a table of
their own. What is none of that is kept as it is. Nothing is lost but the order of fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal

import msgspec

from bench.model.results import LARGEST_INTEGER


class Shape(msgspec.Struct, omit_defaults=True):
    """What a column's numbers mean.

    ``name`` is that of the field; ``of`` is the number of the column whose lists the rows are items
    of, -1 for the rows themselves. ``texts`` are what numbers stand for. ``items``: numbers are
    lengths of lists of such items; the only column of a list of numbers has no name. ``values`` has
    [value] for each row, [] where the field is not there; there are no numbers then.
    ``is_sparse``: 0 (and the text "") mean that the field is not there.
    """

    name: str
    of: int = -1
    texts: list[str] | None = None
    items: Literal["", "objects", "numbers"] = ""
    values: list[list[Any]] | None = None
    is_sparse: bool = False


Rows = Sequence[Mapping[str, Any]]
Column = tuple[Shape, list[int]]
"""A shape, and a number for each row."""

_NOT_THERE = object()


def columns_of(
    rows: Rows, first: Sequence[str] = (), first_of_items: Sequence[str] = ()
) -> list[Column]:
    """The columns of rows; fields of ``first`` (in lists: ``first_of_items``) come first, if any
    row has them."""
    made: list[Column] = []
    _add(made, rows, -1, (first, first_of_items))
    return made


def rows_of(count: int, columns: Iterable[Column]) -> list[dict[str, Any]]:
    """The rows again. Raises ValueError or LookupError for columns that fit no rows."""
    rows: list[dict[str, Any]] = [{} for _ in range(count)]
    tables: dict[int, list[Any]] = {-1: rows}
    lists: list[tuple[list[Any], Shape, list[int], list[Any]]] = []
    for number, (shape, numbers) in enumerate(columns):
        table = tables[shape.of]
        if shape.items:
            if min(numbers, default=0) < 0:
                raise ValueError("a list of negative length")
            is_of_numbers = shape.items == "numbers"
            items = tables[number] = [0 if is_of_numbers else {} for _ in range(sum(numbers))]
            lists.append((table, shape, numbers, items))
        elif table and not isinstance(table[0], dict):
            table[:] = numbers
        else:
            _put(table, shape.name, _values(shape, numbers))
    for table, shape, numbers, items in lists:
        ends = iter(items)
        parts = [[next(ends) for _ in range(length)] for length in numbers]
        _put(table, shape.name, [p if p or not shape.is_sparse else _NOT_THERE for p in parts])
    return rows


# Rows -> columns


def _add(made: list[Column], rows: Rows, of: int, first: Sequence[Sequence[str]]) -> None:
    names = dict.fromkeys(chain(first[0], chain.from_iterable(rows)))
    for name in names:
        values = [row.get(name, _NOT_THERE) for row in rows]
        there = [value for value in values if value is not _NOT_THERE]
        if not there:
            continue
        is_sparse = len(there) < len(values)
        kind = _kind(there)
        if is_sparse and not all(there):  # a zero that is there, and one that is not
            kind = ""
        if kind == "number":
            numbers = [0 if value is _NOT_THERE else value for value in values]
            made.append((Shape(name, of, is_sparse=is_sparse), numbers))
        elif kind == "text":
            texts = [*dict.fromkeys(chain([""] if is_sparse else [], there))]
            known = {text: number for number, text in enumerate(texts)}
            numbers = [0 if value is _NOT_THERE else known[value] for value in values]
            made.append((Shape(name, of, texts, is_sparse=is_sparse), numbers))
        elif (kind == "objects" or kind == "numbers") and of < 0:
            lists = [() if value is _NOT_THERE else value for value in values]
            made.append((Shape(name, of, items=kind, is_sparse=is_sparse), [*map(len, lists)]))
            items = [*chain.from_iterable(lists)]
            number = len(made) - 1
            if kind == "objects":
                _add(made, items, number, first[1:])
            elif items:
                made.append((Shape("", number), items))
        else:
            kept = [[] if value is _NOT_THERE else [value] for value in values]
            made.append((Shape(name, of, values=kept), []))


def _kind(values: Sequence[Any]) -> Literal["number", "text", "objects", "numbers", ""]:
    """What all of these are."""
    if all(map(_is_number, values)):
        return "number"
    if all(isinstance(value, str) for value in values):
        return "text"
    if all(isinstance(value, list) for value in values):
        items = [*chain.from_iterable(values)]
        if all(map(_is_number, items)):
            return "numbers"
        if all(isinstance(item, dict) for item in items):
            return "objects"
    return ""


def _is_number(value: object) -> bool:
    return type(value) is int and abs(value) <= LARGEST_INTEGER


# Columns -> rows


def _values(shape: Shape, numbers: Sequence[int]) -> Sequence[Any]:
    if shape.values is not None:
        return [value[0] if value else _NOT_THERE for value in shape.values]
    values: Sequence[Any] = numbers
    if shape.texts is not None:
        if min(numbers, default=0) < 0:
            raise LookupError("a text of negative number")
        values = [shape.texts[number] for number in numbers]
    return [value or _NOT_THERE for value in values] if shape.is_sparse else values


def _put(rows: Sequence[dict[str, Any]], name: str, values: Sequence[Any]) -> None:
    for row, value in zip(rows, values, strict=True):
        if value is not _NOT_THERE:
            row[name] = value
