"""The options that engines declare in their C files: as axes, and their values for the core.

``struct option_info`` of csrc/api.h is the declaration; an engine has the value of its option i in
``config->options[i]``.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable
from typing import Any

from bench.base.errors import BenchError
from bench.base.values import Value
from bench.engines.library import library, text_of
from bench.model.axes import AXES, LAST_MEANS, Axis, Choice, Flag, Ring, Size, Type, Whole

NAME = re.compile("[a-z][a-z0-9_]*")
"""Of an option, and of a method."""


@functools.cache
def options_of(method: str) -> tuple[Axis, ...]:
    """What a method's engine declares, in its order; nothing of a method that there is not.

    Raises BenchError where a declaration makes no sense.
    """
    lib = library().lib
    rows = [lib.core_method(i) for i in range(lib.core_method_count())]
    for row in rows:
        if text_of(row.name) == method:
            return declared(method, row)
    return ()


Setter = Callable[[Any, Value | None], None]
"""Sets the fields of a ``struct tx_config`` that are an axis's to a value of it."""


def setters(method: str) -> dict[str, Setter]:
    """Of each option; None, as any that is not read, is its default."""
    rows = enumerate(options_of(method))
    return {option.name: _setter(i, option.default, _raw(option.type)) for i, option in rows}


def _setter(index: int, default: Value, raw: Callable[[Any], dict[str, Any]]) -> Setter:
    def set_option(config: Any, value: Value | None) -> None:
        config.options[index] = raw(default if value is None else value)

    return set_option


def _raw(type_: Type) -> Callable[[Any], dict[str, Any]]:
    """What makes a ``union option_value`` of a value."""
    match type_:
        case Ring():
            return lambda value: {"ring": value}
        case Choice(names):
            return lambda value: {"number": names.index(value)}
    return lambda value: {"number": int(value)}


# From a declaration to an axis


def declared(method: str, row: Any) -> tuple[Axis, ...]:
    """The options of a ``struct method_info``. Raises BenchError where one makes no sense."""
    most = library().lib.CORE_MAX_OPTIONS
    if row.option_nr > most:
        raise BenchError(f"method {method} declares {row.option_nr} options; at most {most}")
    options = tuple(_axis(method, row.options[i]) for i in range(row.option_nr))
    if len({option.name for option in options}) < len(options):
        names = ", ".join(option.name for option in options)
        raise BenchError(f"method {method} declares an option twice: {names}")
    return options


def _axis(method: str, raw: Any) -> Axis:
    name, after = _text(raw.name), _text(raw.after) or LAST_MEANS
    problem = _problem(raw, name, after)
    if problem:
        raise BenchError(f"method {method}: option {name or 'without a name'}: {problem}")
    type_ = _types(raw)[raw.type]
    return Axis(
        name,
        type_,
        _default(type_, raw.fallback),
        _text(raw.help),
        at_opening=not raw.sending_only,
        after=after,
    )


def _text(pointer: Any) -> str:
    return text_of(pointer) if pointer else ""


def _problem(raw: Any, name: str, after: str) -> str:
    """What is wrong with a declaration, and what is allowed; "" if nothing is."""
    if not NAME.fullmatch(name):
        return "a name has small letters, digits and _, and begins with a letter"
    if not _text(raw.help):
        return "has no help"
    if after not in AXES:
        return f"follows {after}; one of {', '.join(AXES)}"
    number = raw.fallback.number
    match _types(raw).get(raw.type):
        case Flag() if number > 1:
            return f"its default is {number}; 0 or 1"
        case Whole(low, high) | Size(low, high) if not low <= number <= high:
            return f"its default is {number}; from {low} to {high}"
        case Choice(names) if number >= len(names):
            return f"its default is choice {number} of {len(names)}, counted from 0"
        case None:
            return f"its type is {raw.type}; one of OPTION_*"
    return ""


def _types(raw: Any) -> dict[int, Type]:
    """What a declaration means as each of OPTION_*."""
    lib = library().lib
    low, high = int(raw.low), int(raw.high)
    return {
        lib.OPTION_FLAG: Flag(),
        lib.OPTION_WHOLE: Whole(low, high),
        lib.OPTION_SIZE: Size(low, high),
        lib.OPTION_CHOICE: Choice(tuple(map(_text, itertools.takewhile(bool, raw.choices)))),
        lib.OPTION_RING: Ring(),
    }


def _default(type_: Type, raw: Any) -> Value:
    match type_:
        case Flag():
            return bool(raw.number)
        case Choice(names):
            return names[int(raw.number)]
        case Ring():
            fields = library().ffi.typeof("struct ring_geometry").fields
            return {name: int(getattr(raw.ring, name)) for name, _ in fields}
    return int(raw.number)
