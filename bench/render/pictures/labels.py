"""What cells are called in pictures: where and what for, and the means that tell them apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.base import ids as identity
from bench.base.values import Value, brief_text, distinct
from bench.model.axes import Role, role_of, with_role
from bench.model.cells import Cell
from bench.render import axes

LONGEST = 60
"""Characters of a label; a tooltip has all of them."""

_BARE = ("interface", "method", "fill", "qdisc")
"""Axes whose values say what they are."""


class Labels:
    """Of some cells beside each other: only what varies among them is said."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.varying = axes.varying(cells)
        self._texts: dict[tuple[str, tuple[str, ...]], str] = {}
        self._values = {axis: distinct(c.values.get(axis) for c in cells) for axis in self.varying}

    def text(self, cell: Cell, names: Sequence[str]) -> str:
        """The values of a cell on some axes, without those that it does not have."""
        key = cell.id, tuple(names)
        if key not in self._texts:  # every panel asks for those of every cell
            found = [self.value(cell, axis) for axis in names if axis in self._values]
            self._texts[key] = ", ".join(filter(None, found))
        return self._texts[key]

    def value(self, cell: Cell, axis: str) -> str:
        """Empty for a flag that is off, and for an axis that is no knob of the method."""
        value = cell.values.get(axis)
        if value is None or value is False:
            return ""
        return named(axis, value, self._values.get(axis, ()))

    def place(self, cell: Cell) -> str:
        """Where its frames go out: empty where that is the same for all."""
        return self.text(cell, with_role(Role.PLACE))

    def workload(self, cell: Cell, but: str = "") -> str:
        return self.text(cell, [a for a in with_role(Role.WORKLOAD) if a != but])

    def means(self, cell: Cell, but: Sequence[str] = ()) -> str:
        """How it sends, and which of several replicas it is."""
        roles = (Role.MEANS, Role.REPLICA)
        kept = [a for a in self.varying if role_of(a) in roles and a not in but]
        return self.text(cell, kept) or cell.method

    def whole(self, cell: Cell) -> str:
        return "; ".join(filter(None, (self.place(cell), self.workload(cell), self.means(cell))))


def named(axis: str, value: Value, among: Sequence[Value]) -> str:
    """A value with the name of its axis, where it does not say itself what it is."""
    text = brief_text(value, among)
    if axis == "frame_size":
        return f"{text} B"
    if axis == "threads":
        return f"{text} thread{'s' * (value != 1)}"
    if value is True:
        return axis
    return text if axis in _BARE else f"{axis} {text}"


def plain(axis: str, value: Value | None, among: Sequence[Value]) -> str:
    """A value beside the name of its axis, as a table has it."""
    return brief_text(value, among)


def short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def unlike(texts: Sequence[str], ids: Sequence[str]) -> list[str]:
    """Short texts, each of them once: alike ones get the id of their cell."""
    shortened = [*map(short, texts)]
    counts = Counter(shortened)
    return [
        text if counts[text] == 1 else f"{text} ({identity.shown(id_)})"
        for text, id_ in zip(shortened, ids, strict=True)
    ]
