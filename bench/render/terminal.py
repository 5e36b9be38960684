"""The terminal: tables of at most its width, one line per row; prose is wrapped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from textwrap import fill

from bench.render.document import Column, Document, Item, Listing, Table
from bench.render.screen import PAPER, Screen

_BOLD, _DIM, _RED, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"
_SEVERITIES = {"bad": "\x1b[1;31m", "warn": "\x1b[33m"}
_LEAST_PROSE = 20
"""Columns of a wrapped text beside what leads it, however narrow the screen is."""
_INTERVAL = re.compile(r"[\d.]+ \[[\d.]+, [\d.]+\]")
_HELD = "\x1f"
"""Stands for a space at which no line may end; printable texts have none."""


def render(document: Document, screen: Screen = PAPER) -> str:
    """The document as text that fits the screen."""
    document = document.printable()
    facts = tuple(Item((label,), text) for label, text in document.shown())
    blocks = [
        _title(document, screen),
        *(_block(block, screen) for block in document.lead),
        _listing(Listing(items=facts), screen, "  "),
        *(_block(block, screen) for block in document.blocks),
        _footnotes(document, screen),
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _paint(text: str, code: str, screen: Screen) -> str:
    """Each line for itself, so that a pager shows any of them right."""
    if not screen.colour or not code:
        return text
    return "\n".join(f"{code}{line}{_PLAIN}" for line in text.split("\n"))


def _hanging(lead: str, text: str, screen: Screen) -> str:
    unbroken = _INTERVAL.sub(lambda found: found[0].replace(" ", _HELD), text)
    return fill(
        lead + unbroken,
        max(screen.width, len(lead) + _LEAST_PROSE),
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_HELD, " ")


def _title(document: Document, screen: Screen) -> str:
    title = ": ".join(filter(None, (document.name, document.description)))
    return _paint(_hanging("", title, screen), _BOLD, screen) if title else ""


def _footnotes(document: Document, screen: Screen) -> str:
    numbered = [_hanging(f"({i}) ", text, screen) for i, text in enumerate(document.footnotes, 1)]
    plain = [_hanging("", text, screen) for text in document.notes]
    lines = "\n".join(numbered + plain)
    return _paint(lines, _DIM, screen) if lines else ""


def _block(block: Table | Listing, screen: Screen) -> str:
    return _table(block, screen) if isinstance(block, Table) else _listing(block, screen)


# Listings


def _listing(listing: Listing, screen: Screen, indent: str = "") -> str:
    """Names in columns, the text beside them, its details below that."""
    heading = [_hanging("", listing.heading, screen)] if listing.heading else []
    indent = "  " if heading else indent
    names = [item.names for item in listing.items]
    widths = [max(map(len, column)) + 2 for column in zip(*names, strict=True)]
    labels = [label for item in listing.items for label, _ in item.details]
    beside = max(map(len, labels), default=0) + 2
    items = [_item(item, indent, widths, beside, screen) for item in listing.items]
    return "\n".join(heading + items)


def _item(item: Item, indent: str, widths: Sequence[int], beside: int, screen: Screen) -> str:
    """``beside``: columns for the labels of details."""
    named = [f"{name:{width}}" for name, width in zip(item.names, widths, strict=True)]
    lead = indent + "".join(named)
    text = _hanging(lead, item.text, screen)
    marked = len(indent) + widths[0]
    first = _paint(text[:marked], _SEVERITIES.get(item.severity, ""), screen) + text[marked:]
    below = " " * len(lead)
    details = [
        _hanging(f"{below}{label + ':':{beside}}", detail, screen) for label, detail in item.details
    ]
    return "\n".join([first, *details])


# Tables


@dataclass(frozen=True, slots=True)
class _Layout:
    """``heads`` are columns of which rows have lines above them."""

    columns: tuple[Column, ...]
    left_out: tuple[str, ...] = ()
    heads: tuple[Column, ...] = ()


def _layouts(columns: tuple[Column, ...]) -> Iterator[_Layout]:
    """From the widest to the narrowest."""
    yield _Layout(columns)
    briefest = max(len(column.briefer) for column in columns)
    for brevity in range(briefest + 1):
        yield _Layout(tuple(column.narrow(brevity) for column in columns))
    left_out: tuple[str, ...] = ()
    for victim in sorted(filter(_is_dispensable, columns), key=lambda column: column.dispensable):
        left_out += (victim.label,)
        kept = [column for column in columns if column.label not in left_out]
        yield _Layout(tuple(column.narrow(briefest) for column in kept), left_out)
    heads = tuple(column for column in columns if column.heads)
    kept = [column for column in columns if not (column.heads or _is_dispensable(column))]
    yield _Layout(tuple(column.narrow(briefest) for column in kept), left_out, heads)


def _is_dispensable(column: Column) -> bool:
    return column.dispensable > 0


def _table(table: Table, screen: Screen) -> str:
    if not table.columns:
        return "no cells"
    for layout in _layouts(table.columns):
        header, rows = _draw(layout.columns)
        if max(map(len, header + rows)) <= screen.width:
            break
    painted = _painted(rows, table, screen)
    below = _headed(painted, layout.heads) if layout.heads else _with_gaps(painted, table.breaks)
    lines = [*header, *below]
    if layout.left_out:
        missing = f"not shown at this width: {', '.join(layout.left_out)}"
        lines.append(_paint(missing, _DIM, screen))
    return "\n".join(lines)


def _draw(columns: tuple[Column, ...]) -> tuple[list[str], list[str]]:
    """The lines of the header with its rule, and a line per row."""
    labels = [column.label.split("\n") for column in columns]
    height = max(map(len, labels))
    standing = [[""] * (height - len(label)) + label for label in labels]
    cells = [[*label, *column.cells] for label, column in zip(standing, columns, strict=True)]
    from tabulate import tabulate

    text = tabulate(
        list(zip(*cells, strict=True)),
        tablefmt="plain",  # its own headers would be padded to two columns more than they need
        colalign=["right" if column.right else "left" for column in columns],
        disable_numparse=True,
    )
    lines = [line.rstrip() for line in text.split("\n")]
    rule = "-" * max(map(len, lines))
    return [*lines[:height], rule], lines[height:]


def _painted(rows: list[str], table: Table, screen: Screen) -> list[str]:
    """Bad rows red, the best bold."""
    codes = {**dict.fromkeys(table.best, _BOLD), **dict.fromkeys(table.bad, _RED)}
    return [
        _paint(row, codes[index], screen) if index in codes else row
        for index, row in enumerate(rows)
    ]


def _with_gaps(rows: list[str], breaks: frozenset[int]) -> Iterator[str]:
    for index, row in enumerate(rows):
        if index in breaks:
            yield ""
        yield row


def _headed(rows: list[str], heads: Sequence[Column]) -> Iterator[str]:
    """A line above the first row of each piece in which the heads do not change."""
    lines = [
        ", ".join(f"{column.label} {cell}" for column, cell in zip(heads, cells, strict=True))
        for cells in zip(*(column.cells for column in heads), strict=True)
    ]
    before = ""
    for row, line in zip(rows, lines, strict=True):
        if line != before:
            yield from ([""] if before else [])
            yield f"{line}:"
        before = line
        yield row
