"""Axis values as tables show them: what varies, as briefly as it can be told, and what does not.

Parts of a value that differ between the values of an axis go into its column, the others are
said once, in the heading.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bench.base.values import (
    Part,
    Value,
    brief_text,
    differing_options,
    distinct,
    joined,
    of_kind,
    parse,
    value_text,
)
from bench.model.axes import Role, role_of
from bench.model.cells import Cell, axes_of

Cells = Sequence[Cell]


def varying(cells: Cells) -> list[str]:
    """The axes with more than one value, not counting cells that do not have the axis.

    Where neither method nor interface says which have it (of a later version's axis nothing is
    known here), not to have it is a value: without a column two cells would look the same.
    """
    return [axis for axis in axes_of(cells) if _varies(cells, axis)]


def _varies(cells: Cells, axis: str) -> bool:
    return len(_distinct(cells, axis)) > 1 or _holders(cells, axis) is None


def column(cells: Cells, axis: str, among: Cells = ()) -> tuple[str, ...]:
    """The text of each cell's value, with only the options in which the values ``among`` these
    (or of the cells themselves) differ."""
    values = _distinct(among or cells, axis)
    return tuple(brief_text(cell.values.get(axis), values) for cell in cells)


def names(cells: Cells) -> tuple[str, ...]:
    """Each cell in one word, as pytest names a test: ``tx_ring[frame_size:64-fill:copy]``.

    Its option -k takes no equals sign.
    """
    told = [axis for axis in varying(cells) if axis != "method"]
    columns = [column(cells, axis) for axis in told]
    return tuple(
        _name_of(cell, {axis: texts[i] for axis, texts in zip(told, columns, strict=True)})
        for i, cell in enumerate(cells)
    )


def _name_of(cell: Cell, texts: Mapping[str, str]) -> str:
    told = [f"{axis}:{text}" for axis, text in texts.items() if cell.values.get(axis) is not None]
    name = f"{cell.method}[{'-'.join(told)}]" if told else cell.method
    return re.sub(r"\s+", "_", name).replace("=", ":")


def agreed(cells: Cells, among: Cells) -> tuple[str, ...]:
    """Of the axes that vary among many cells those that do not in a part of them."""
    still = varying(cells)
    phrases = []
    for axis in varying(among):
        held = [cell for cell in cells if cell.values.get(axis) is not None]
        if axis not in still and held:
            text = column(held[:1], axis, among)[0]
            phrases.append(f"{axis} {text}{_holders(cells, axis)}")
    return tuple(phrases)


def shared(cells: Cells) -> tuple[str, ...]:
    """What holds for every cell that has the axis: ``frame_size 64``, ``burst 64 (sendmmsg)``.

    That is each axis with a single value, and of those with several the options in which the
    values of one kind agree. That every cell is there once need not be said, nor an option that
    is at its default.
    """
    phrases: list[str] = []
    for axis in axes_of(cells):
        if role_of(axis) is Role.REPLICA:
            continue
        values, holders = _distinct(cells, axis), _holders(cells, axis)
        if len(values) == 1 and holders is not None:
            phrases.append(f"{axis} {remarkable_text(values[0])}{holders}")
        elif len(values) > 1:
            said = " (where it applies)" if holders is None else holders
            phrases += [phrase + said for phrase in _agreeing(axis, values)]
    return tuple(phrases)


def remarkable_text(value: Value) -> str:
    """A value without the options that are at their default."""
    if not isinstance(value, dict):
        return value_text(value)
    found = parse(value)
    return joined(found.head, [part.text for part in found.parts if not _is_usual(part, value)])


def _is_usual(part: Part, value: dict[str, Any]) -> bool:
    """Whether a part tells an option that is at its default."""
    usual = _defaults(str(value.get("kind")))
    return all(name in usual and value[name] == usual[name] for name in part.options)


@functools.cache
def _defaults(kind: str) -> Mapping[str, Any]:
    """The defaults of a kind's options; of what only another version knows there are none."""
    from bench.topology.kinds import INTERFACES, QDISC_KINDS  # a tenth of a second: pydantic

    known = INTERFACES.get(kind) or QDISC_KINDS.get(kind)
    fields = known.options.model_fields if known else {}
    return {name: field.default for name, field in fields.items()}


# Values of an axis beside each other


def _distinct(cells: Cells, axis: str) -> list[Value]:
    """The values of an axis in order of appearance, without None."""
    return distinct(cell.values.get(axis) for cell in cells)


def _agreeing(axis: str, values: Sequence[Value]) -> list[str]:
    """For each kind among the values of an axis, the options in which they agree."""
    phrases = []
    kinds = dict.fromkeys(value.get("kind") for value in values if isinstance(value, dict))
    for kind in kinds:
        alike = of_kind(values, kind)
        differing = differing_options(alike)
        agreeing = [part for part in parse(alike[0]).parts if not part.options & differing]
        text = joined("", [part.text for part in agreeing if not _is_usual(part, alike[0])])
        if text:
            phrases.append(f"{kind or axis} {text}")
    return phrases


def _holders(cells: Cells, axis: str) -> str | None:
    """Which cells have the axis: `` (tx_ring)``; nothing where all or none do, None where neither
    method nor interface says it."""
    has = [cell.values.get(axis) is not None for cell in cells]
    if all(has) or not any(has):
        return ""
    for by in ("method", "interface"):
        names = [_name(cell.values.get(by)) for cell in cells]
        having = dict.fromkeys(name for name, it in zip(names, has, strict=True) if it)
        lacking = {name for name, it in zip(names, has, strict=True) if not it}
        if lacking.isdisjoint(having):
            return f" ({', '.join(having)})"
    return None


def _name(value: Value | None) -> str:
    return str(value.get("kind")) if isinstance(value, dict) else value_text(value)
