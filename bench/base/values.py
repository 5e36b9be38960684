"""The value of an axis: its text, its key, and what names it.

Values are *canonical*: ``str``, ``int``, ``bool`` or a ``dict`` of those with every option
spelled out, so that two spellings of one value are equal, hash alike in a cell's id and can be
written as JSON. ``None`` stands for an axis that is no knob of the cell's method.

A value with options (an interface, a qdisc, a ring, a send buffer) consists of *parts*, each
with the options it tells. Of values beside each other only the parts that differ need be shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.base.units import rate_text, size_text

Value = str | int | bool | dict[str, Any]
"""A canonical axis value; see the module's docstring. (A program has a list in its mapping.)"""
NO_VALUE = "-"
"""The text of an axis that is no knob of the method."""


# Equal and covered


def key_of(value: object) -> str:
    """A text that equal values have in common, and no others: True is not 1."""
    return _encode(value)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def distinct(values: Iterable[Value | None]) -> list[Value]:
    """Each value once, in order of appearance, without None."""
    return list({_quick_key(value): value for value in values if value is not None}.values())


def _quick_key(value: Value) -> object:
    """As ``key_of``, for comparing in memory: encoding takes longer than all else here."""
    return (type(value), value) if isinstance(value, str | int | bool) else key_of(value)


def covers(rule: Value, value: Value) -> bool:
    """Whether a rule's value means this one; a mapping in a rule may name only a part."""
    if isinstance(rule, dict) and isinstance(value, dict):
        return all(name in value and covers(part, value[name]) for name, part in rule.items())
    return rule == value and type(rule) is type(value)  # True is not 1


# Texts


def value_text(value: Value | None) -> str:
    """A value with all its options; a flag that is off is left out."""
    if isinstance(value, dict):
        found = parse(value)
        return joined(found.head, [part.text for part in found.parts])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NO_VALUE if value is None else str(value)


def brief_text(value: Value | None, among: Sequence[Value]) -> str:
    """A value with only the options in which those of its kind among some values differ."""
    if not isinstance(value, dict):
        return value_text(value)
    differing = differing_options(of_kind(among, value.get("kind")))
    found = parse(value)
    shown = [part.text for part in found.parts if part.options & differing]
    return joined(found.head, shown) or value_text(value)


def yaml_text(value: Value | float) -> str:
    """A value without options as a matrix and JSON write it; one with options as value_text."""
    if isinstance(value, dict):
        return value_text(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def named(name: str, among: Sequence[Value | None]) -> list[Value | None]:
    """Which of some values a user means: as a table of them shows it, with all its options, as
    YAML writes it, or by its kind; whichever of these comes first."""
    those = distinct(among)
    forms: tuple[Callable[[Value | None], object], ...] = (
        lambda value: brief_text(value, those),
        value_text,
        lambda value: None if value is None else yaml_text(value),
        lambda value: value.get("kind") if isinstance(value, dict) else None,
    )
    found = ([value for value in among if form(value) == name] for form in forms)
    return next(filter(None, found), [])


# Parts of a value

_GEOMETRY = frozenset({"block_nr", "block_size", "frame_size"})
_WRITE: dict[tuple[str, str], Callable[[int], str]] = {
    ("bfifo", "limit"): size_text,
    ("fq_codel", "memory_limit"): size_text,
    ("fq_codel", "quantum"): size_text,
    ("htb", "burst"): size_text,
    ("htb", "rate"): rate_text,
    ("tbf", "burst"): size_text,
    ("tbf", "limit"): size_text,
    ("tbf", "rate"): rate_text,
}
"""How to write an option (kind, name) that has a unit; a limit not listed counts frames."""


@dataclass(frozen=True, slots=True)
class Part:
    """What tells some of the options of a value: nothing for one that is off."""

    options: frozenset[str]
    text: str


@dataclass(frozen=True, slots=True)
class Parts:
    """``head`` is what is always shown: the kind, or the size of a buffer."""

    head: str
    parts: tuple[Part, ...]


def parse(value: dict[str, Any]) -> Parts:
    """A value with options in parts, in the order in which they are shown."""
    if value.keys() >= _GEOMETRY | {"version"}:
        geometry = "{block_nr}x{block_size}/{frame_size}".format(**value)
        ring = (Part(frozenset({"version"}), f"v{value['version']}"), Part(_GEOMETRY, geometry))
        return Parts("", ring + _options(value, told=_GEOMETRY | {"version"}))
    if "command" in value:  # no two of one name are in a matrix
        return Parts(str(value.get("name", value.get("kind"))), ())
    if "bytes" in value:
        return Parts(size_text(value["bytes"]), _options(value, told=frozenset({"bytes"})))
    return Parts(str(value.get("kind", "")), _options(value, told=frozenset({"kind"})))


def _options(value: dict[str, Any], told: frozenset[str]) -> tuple[Part, ...]:
    kind = str(value.get("kind"))
    return tuple(
        Part(frozenset({name}), _option_text(kind, name, option))
        for name, option in value.items()
        if name not in told
    )


def _option_text(kind: str, name: str, option: Any) -> str:
    if option is None or option is False:
        return ""
    if option is True:
        return name
    return f"{name}={_WRITE.get((kind, name), str)(option)}"


def joined(head: str, texts: Sequence[str]) -> str:
    return " ".join(each for each in (head, *texts) if each)


def of_kind(among: Sequence[Value], kind: object) -> list[dict[str, Any]]:
    return [value for value in among if isinstance(value, dict) and value.get("kind") == kind]


def differing_options(among: Sequence[dict[str, Any]]) -> set[str]:
    """The names of the options in which values of one kind differ."""
    names = {name for value in among for name in value}
    return {name for name in names if len({key_of(value.get(name)) for value in among}) > 1}
