"""Axis values as tables show them: what varies, as briefly as it can be told, and what does not.

A value with options (an interface, a qdisc, a ring) consists of *parts*, each with the options
it tells. Parts that differ between the values of an axis go into its column, the others are said
once, in the heading.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.model.axes import AXES, Value, value_text
from bench.model.results import CellResult

Rows = Sequence[CellResult]

_GEOMETRY = frozenset({"block_nr", "block_size", "frame_size"})


def varying(rows: Rows) -> list[str]:
    """The axes with more than one value, not counting rows that do not have the axis."""
    return [axis for axis in AXES if len(_distinct(rows, axis)) > 1]


def column(rows: Rows, axis: str) -> tuple[str, ...]:
    """The text of each row's value, with only the options in which the values differ."""
    values = _distinct(rows, axis)
    return tuple(_differing_text(row.cell.values.get(axis), values) for row in rows)


def shared(rows: Rows) -> tuple[str, ...]:
    """What holds for every row that has the axis: ``frame_size 64``, ``burst 64 (sendmmsg)``.

    That is each axis with a single value, and of those with several the options in which the
    values of one kind agree. That every cell is there once need not be said, nor an option that
    is at its default.
    """
    phrases: list[str] = []
    for axis in AXES:
        if axis == "replica":
            continue
        values = _distinct(rows, axis)
        if len(values) == 1:
            phrases.append(f"{axis} {_remarkable_text(values[0])}{_holders(rows, axis)}")
        elif values:
            phrases += [phrase + _holders(rows, axis) for phrase in _agreeing(axis, values)]
    return tuple(phrases)


def full_text(value: Value) -> str:
    """A value with all its options; a flag that is off is left out."""
    if not isinstance(value, dict):
        return value_text(value)
    parsed = _parse(value)
    return _join(parsed.head, [part.text for part in parsed.parts])


def _remarkable_text(value: Value) -> str:
    """A value without the options that are at their default."""
    if not isinstance(value, dict):
        return value_text(value)
    parsed = _parse(value)
    return _join(parsed.head, [part.text for part in parsed.parts if not part.usual])


def size_text(size: int) -> str:
    """Bytes as a matrix would write them: ``64KiB``, ``8MiB``, ``1514``."""
    return _in_unit(size, {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10})


def rate_text(rate: int) -> str:
    """Bits per second as a matrix would write them: ``10mbit``, ``1gbit``, ``1500``."""
    return _in_unit(rate, {"gbit": 10**9, "mbit": 10**6, "kbit": 10**3})


def _in_unit(amount: object, units: dict[str, int]) -> str:
    """In the largest unit that tells it exactly; as it is where there is none."""
    for name, factor in units.items():
        if isinstance(amount, int) and amount >= factor and amount % factor == 0:
            return f"{amount // factor}{name}"
    return str(amount)


# Parts of a value

_WRITE: dict[tuple[str, str], Callable[[int], str]] = {
    ("bfifo", "limit"): size_text,
    ("htb", "burst"): size_text,
    ("htb", "rate"): rate_text,
    ("tbf", "burst"): size_text,
    ("tbf", "limit"): size_text,
    ("tbf", "rate"): rate_text,
}
"""How to write an option (kind, name) that has a unit; a limit not listed counts frames."""


@dataclass(frozen=True, slots=True)
class _Part:
    """``usual``: an option that is at its default."""

    options: frozenset[str]
    text: str
    usual: bool = False


@dataclass(frozen=True, slots=True)
class _Parsed:
    """``head`` is what is always shown: the kind, or the size of a buffer."""

    head: str
    parts: tuple[_Part, ...]


def _parse(value: dict[str, Any]) -> _Parsed:
    if value.keys() >= _GEOMETRY | {"version"}:
        geometry = "{block_nr}x{block_size}/{frame_size}".format(**value)
        parts = [
            _Part(frozenset({"version"}), f"v{value['version']}"),
            _Part(_GEOMETRY, geometry),
        ]
        return _Parsed("", (*parts, *_options(value, told=_GEOMETRY | {"version"})))
    if "bytes" in value:
        return _Parsed(size_text(value["bytes"]), _options(value, told=frozenset({"bytes"})))
    return _Parsed(str(value.get("kind", "")), _options(value, told=frozenset({"kind"})))


def _options(value: dict[str, Any], told: frozenset[str]) -> tuple[_Part, ...]:
    kind = str(value.get("kind"))
    usual = _defaults(kind) if value.keys() - told else {}
    return tuple(
        _Part(
            frozenset({name}),
            _option_text(kind, name, option),
            usual=name in usual and option == usual[name],
        )
        for name, option in value.items()
        if name not in told
    )


@functools.cache
def _defaults(kind: str) -> Mapping[str, Any]:
    """The defaults of a kind's options; of what only another version knows there are none."""
    from bench.topology.kinds import INTERFACES, QDISC_KINDS  # a tenth of a second: pydantic

    known = INTERFACES.get(kind) or QDISC_KINDS.get(kind)
    fields = known.options.model_fields if known else {}
    return {name: field.default for name, field in fields.items()}


def _option_text(kind: str, name: str, option: Any) -> str:
    if option is None or option is False:
        return ""
    if option is True:
        return name
    return f"{name}={_WRITE.get((kind, name), str)(option)}"


def _join(head: str, texts: Sequence[str]) -> str:
    return " ".join(text for text in (head, *texts) if text)


# Values of an axis beside each other


def _distinct(rows: Rows, axis: str) -> list[Value]:
    """The values of an axis in order of appearance, without None."""
    values = (row.cell.values.get(axis) for row in rows)
    return list({_key(value): value for value in values if value is not None}.values())


def _key(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _of_kind(values: Sequence[Value], kind: object) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict) and value.get("kind") == kind]


def _differing_options(values: Sequence[dict[str, Any]]) -> set[str]:
    names = {name for value in values for name in value}
    return {name for name in names if len({_key(value.get(name)) for value in values}) > 1}


def _differing_text(value: Value | None, values: Sequence[Value]) -> str:
    if not isinstance(value, dict):
        return value_text(value)
    differing = _differing_options(_of_kind(values, value.get("kind")))
    parsed = _parse(value)
    shown = [part.text for part in parsed.parts if part.options & differing]
    return _join(parsed.head, shown) or full_text(value)


def _agreeing(axis: str, values: Sequence[Value]) -> list[str]:
    """For each kind among the values of an axis, the options in which they agree."""
    phrases = []
    kinds = dict.fromkeys(value.get("kind") for value in values if isinstance(value, dict))
    for kind in kinds:
        alike = _of_kind(values, kind)
        differing = _differing_options(alike)
        parts = _parse(alike[0]).parts
        alike_parts = [part for part in parts if not (part.usual or part.options & differing)]
        text = _join("", [part.text for part in alike_parts])
        if text:
            phrases.append(f"{kind or axis} {text}")
    return phrases


def _holders(rows: Rows, axis: str) -> str:
    """Which cells have the axis: `` (tx_ring)``; nothing where all do."""
    has = [row.cell.values.get(axis) is not None for row in rows]
    if all(has):
        return ""
    for by in ("method", "interface"):
        names = [_name(row.cell.values.get(by)) for row in rows]
        having = dict.fromkeys(name for name, it in zip(names, has, strict=True) if it)
        lacking = {name for name, it in zip(names, has, strict=True) if not it}
        if lacking.isdisjoint(having):
            return f" ({', '.join(having)})"
    return " (where it applies)"


def _name(value: Value | None) -> str:
    return str(value.get("kind")) if isinstance(value, dict) else value_text(value)
