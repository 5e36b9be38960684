"""Where a value read from JSON is not of a type: msgspec's refusals in our words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from msgspec import inspect

from bench.base.units import show

_WANTED: dict[type[inspect.Type], tuple[tuple[type, ...], str]] = {
    inspect.BoolType: ((bool,), "true or false"),
    inspect.DataclassType: ((dict,), "an object"),
    inspect.DateTimeType: ((str,), "a date and time such as 2026-01-02T03:04:05+00:00"),
    inspect.DictType: ((dict,), "an object"),
    inspect.EnumType: ((str,), "text"),
    inspect.FloatType: ((int, float), "a number"),
    inspect.IntType: ((int,), "a whole number"),
    inspect.ListType: ((list,), "a list"),
    inspect.NoneType: ((type(None),), "null"),
    inspect.StrType: ((str,), "text"),
    inspect.StructType: ((dict,), "an object"),
    inspect.VarTupleType: ((list,), "a list"),
}
"""Of each type that a record has: what JSON's values become in Python, and what they are called."""


def misfit(value: object, type_: object, at: str = "") -> str:
    """The first part of a value that is not of a type: ``host is null; it must be an object``.

    Empty where all of it is. ``at`` is the name of the value itself.
    """
    return _misfit(value, inspect.type_info(type_), at)


def _misfit(value: Any, kind: inspect.Type, at: str) -> str:
    match kind:
        case inspect.AnyType():
            return ""
        case inspect.UnionType():
            fitting = [one for one in kind.types if type(value) in _WANTED[type(one)][0]]
            if not fitting:
                wanted = " or ".join(_WANTED[type(one)][1] for one in kind.types)
                return f"{at} is {show(value)}; it must be {wanted}"
            found = [_misfit(value, one, at) for one in fitting]
            return found[0] if all(found) else ""
    python, wanted = _WANTED[type(kind)]
    if type(value) not in python:  # true is no number
        return f"{at} is {show(value)}; it must be {wanted}"
    match kind:
        case inspect.IntType(ge=int(least), le=int(most)) if not least <= value <= most:
            return f"{at} is {show(value)}; it must be from {least} to {most}"
        case inspect.DateTimeType() if not _is_time(value):
            return f"{at} is {show(value)}; it must be {wanted}"
        case inspect.StructType() | inspect.DataclassType():
            return _first(_misfits_of_fields(value, kind.fields, at))
        case inspect.DictType():
            parts = ((f"{at}.{key}", inner) for key, inner in value.items())
            return _first(_misfit(inner, kind.value_type, part) for part, inner in parts)
        case inspect.ListType() | inspect.VarTupleType():
            parts = ((f"{at}[{index}]", inner) for index, inner in enumerate(value))
            return _first(_misfit(inner, kind.item_type, part) for part, inner in parts)
    return ""


def _is_time(text: str) -> bool:
    with suppress(msgspec.ValidationError, UnicodeEncodeError):
        return bool(msgspec.convert(text, datetime))
    return False


def _misfits_of_fields(
    record: dict[str, Any], fields: Iterable[inspect.Field], at: str
) -> Iterator[str]:
    for field in fields:
        part = f"{at}.{field.encode_name}" if at else field.encode_name
        if field.encode_name in record:
            yield _misfit(record[field.encode_name], field.type, part)
        elif field.required:
            yield f"{part} is missing"


def _first(texts: Iterable[str]) -> str:
    return next(filter(None, texts), "")
