"""What a verb has to say, before anybody has asked in which format.

A document knows nothing of widths, colours or syntax. People read title, facts, blocks and notes;
programs read facts by their keys, what else is filed under a key, and records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bench.base.printable import printable

Json = Any
"""What JSON has: texts, numbers, flags, None, lists, and mappings by texts."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something about the whole: ``text`` is for people, ``value`` for programs.

    Without a label it is for programs only, without a key for people only. ``short`` is the text in
    a short heading: None is the same, "" leaves it out.
    """

    label: str
    text: str
    key: str = ""
    value: Json = None
    short: str | None = None

    def shortened(self) -> Fact:
        return self if self.short is None else replace(self, text=self.short)


def count(label: str, number: int, key: str = "") -> Fact:
    """A number that people and programs read alike; its label is its key if it has no other."""
    return Fact(label, str(number), key or label, number)


@dataclass(frozen=True, slots=True)
class Column:
    """``stacked`` is the label over several lines; ``briefer`` has shorter and shorter cells.

    ``dispensable`` is 0 for a column that must be shown; of the others the one with the
    lowest number goes first. What ``heads`` rows may stand on a line above them, where a column
    is too much.
    """

    label: str
    cells: tuple[str, ...]
    right: bool = True
    stacked: str = ""
    briefer: tuple[tuple[str, ...], ...] = ()
    dispensable: int = 0
    heads: bool = False

    def narrow(self, brevity: int) -> Column:
        """The same with its label stacked, and its cells so many steps briefer, if they can."""
        steps = (self.cells, *self.briefer)
        cells = steps[min(brevity, len(self.briefer))]
        return replace(self, label=self.stacked or self.label, cells=cells)

    def printable(self) -> Column:
        """The same with cells as they are to be shown."""
        briefer = tuple(tuple(map(printable, cells)) for cells in self.briefer)
        return replace(self, cells=tuple(map(printable, self.cells)), briefer=briefer)


def text_column(label: str, cells: Iterable[str]) -> Column:
    """A column of words, which stand on the left."""
    return Column(label, tuple(cells), right=False)


@dataclass(frozen=True, slots=True)
class Table:
    """``bad``, ``best`` and ``breaks`` hold row indices.

    A ``bad`` row has no figures; a ``best`` one is the fastest of its group; a gap belongs
    before each row in ``breaks``.
    """

    columns: tuple[Column, ...]
    bad: frozenset[int] = frozenset()
    best: frozenset[int] = frozenset()
    breaks: frozenset[int] = frozenset()

    def printable(self) -> Table:
        return replace(self, columns=tuple(column.printable() for column in self.columns))


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a listing: names, a text, and labelled texts that belong to it.

    ``severity`` is "bad", "warn" or nothing.
    """

    names: tuple[str, ...]
    text: str
    details: tuple[tuple[str, str], ...] = ()
    severity: str = ""

    def printable(self) -> Item:
        return replace(
            self,
            names=tuple(map(printable, self.names)),
            text=printable(self.text),
            details=_printable_pairs(self.details),
        )


@dataclass(frozen=True, slots=True)
class Listing:
    """A sentence, the entries that belong to it, or both."""

    heading: str = ""
    items: tuple[Item, ...] = ()

    def printable(self) -> Listing:
        items = tuple(item.printable() for item in self.items)
        return Listing(printable(self.heading), items)

    def shortened(self) -> Listing:
        return replace(self, items=tuple(replace(item, details=()) for item in self.items))


@dataclass(frozen=True, slots=True)
class Records:
    """The machine-readable rows, under the name that programs know them by.

    ``fields`` maps the columns of a flat table to where each row has their values: a path of
    keys. A row that lacks it has none. ``provenance`` is what all rows have in common: the first
    columns of a flat table.
    """

    name: str
    fields: Mapping[str, tuple[str, ...]]
    rows: tuple[Mapping[str, Json], ...]
    provenance: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """``lead`` is what people read first, above the facts.

    ``footnotes`` are numbered from 1, which is what cells of tables refer to.

    ``data`` is what programs read besides ``facts`` and ``records``, by key.
    """

    records: Records
    name: str = ""
    description: str = ""
    lead: tuple[Table | Listing, ...] = ()
    facts: tuple[Fact, ...] = ()
    blocks: tuple[Table | Listing, ...] = ()
    footnotes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    data: Mapping[str, Json] = field(default_factory=dict)

    def shown(self) -> tuple[tuple[str, str], ...]:
        """The facts that people read."""
        return tuple((fact.label, fact.text) for fact in self.facts if fact.label and fact.text)

    def shortened(self) -> Document:
        """The same with its short heading, and without details above it."""
        lead = tuple(b.shortened() if isinstance(b, Listing) else b for b in self.lead)
        return replace(self, lead=lead, facts=tuple(fact.shortened() for fact in self.facts))

    def printable(self) -> Document:
        """The same, of whatever a run file had in it, for people to read; texts are one line."""
        return replace(
            self,
            name=_line(self.name),
            description=_line(self.description),
            lead=tuple(block.printable() for block in self.lead),
            facts=tuple(replace(f, label=_line(f.label), text=_line(f.text)) for f in self.facts),
            blocks=tuple(block.printable() for block in self.blocks),
            footnotes=tuple(map(_line, self.footnotes)),
            notes=tuple(map(_line, self.notes)),
        )


def _line(text: str) -> str:
    return printable(" ".join(text.split()))


def _printable_pairs(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple((printable(label), printable(text)) for label, text in pairs)
