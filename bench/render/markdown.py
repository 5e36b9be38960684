"""Markdown: the facts as a list, tables as pipe tables, the notes below."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.base.printable import printable
from bench.render.document import Document, Item, Listing, Table
from bench.render.screen import PAPER, Screen

_SPECIAL = re.compile(r"([\\|<*`])")


def render(document: Document, _screen: Screen = PAPER) -> str:
    """The document as GitHub Flavored Markdown."""
    document = document.printable()
    blocks = [
        f"## {_escaped(document.name)}" if document.name else "",
        _escaped(document.description),
        *map(_block, document.lead),
        _list([Item((label,), text) for label, text in document.shown()]),
        *map(_block, document.blocks),
        _footnotes(document.footnotes),
        *map(_escaped, document.notes),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def is_of(text: str, run: str) -> bool:
    """Whether a text is a table of the run with that name, as far as it had got then."""
    return f"- **run:** {_escaped(printable(run))}\n" in text


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _block(block: Table | Listing) -> str:
    if isinstance(block, Table):
        return _pipes(block)
    return "\n\n".join(filter(None, [_escaped(block.heading), _list(block.items)]))


def _list(items: Sequence[Item]) -> str:
    return "\n".join(map(_entry, items))


def _entry(item: Item) -> str:
    """Its details are a list in the list."""
    details = [f"\n  - {_escaped(label)}: {_escaped(text)}" for label, text in item.details]
    return f"- **{_escaped(' '.join(item.names))}:** {_escaped(item.text)}" + "".join(details)


def _pipes(table: Table) -> str:
    if not table.columns:
        return "no cells"
    from tabulate import tabulate

    return tabulate(
        [list(map(_escaped, row)) for row in zip(*(c.cells for c in table.columns), strict=True)],
        headers=[_escaped(column.label) for column in table.columns],
        tablefmt="pipe",
        colalign=["right" if column.right else "left" for column in table.columns],
        disable_numparse=True,
    )


def _footnotes(footnotes: Sequence[str]) -> str:
    """An ordered list: its numbers are those in the rows."""
    return "\n".join(f"{i}. {_escaped(text)}" for i, text in enumerate(footnotes, 1))
