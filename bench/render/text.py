"""The terminal: a table of at most the given width, one line per cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import fill

from bench.model.results import Report
from bench.render.table import Column, Table, tabulated

_BOLD, _DIM, _RED, _PLAIN = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m"


def render(report: Report, width: int, colour: bool) -> str:
    """The report as text."""
    return fitted(tabulated(report), width, colour)


def fitted(table: Table, width: int, colour: bool) -> str:
    """A table with its heading and notes, made to fit ``width`` columns; a row is never wrapped."""
    table = table.printable()
    blocks = [_heading(table, width, colour), _body(table, width, colour)]
    blocks += [_footnotes(table, width, colour)] if table.footnotes or table.notes else []
    return "\n\n".join(filter(None, blocks)) + "\n"


def _paint(text: str, code: str, colour: bool) -> str:
    """Each line for itself, so that a pager shows any of them right."""
    if not colour:
        return text
    return "\n".join(f"{code}{line}{_PLAIN}" for line in text.split("\n"))


def _hanging(lead: str, text: str, width: int) -> str:
    return fill(
        lead + text,
        max(width, len(lead) + 20),
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _heading(table: Table, width: int, colour: bool) -> str:
    title = _paint(_hanging("", table.title, width), _BOLD, colour) if table.title else ""
    indent = max((len(label) for label, _ in table.facts), default=0)
    facts = [_hanging(f"  {label:{indent}}  ", text, width) for label, text in table.facts]
    return "\n\n".join(filter(None, [title, "\n".join(facts)]))


def _footnotes(table: Table, width: int, colour: bool) -> str:
    numbered = [_hanging(f"({i}) ", text, width) for i, text in enumerate(table.footnotes, 1)]
    plain = [_hanging("", text, width) for text in table.notes]
    return _paint("\n".join(numbered + plain), _DIM, colour)


# The table proper


@dataclass(frozen=True, slots=True)
class _Layout:
    columns: tuple[Column, ...]
    left_out: tuple[str, ...] = ()


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


def _is_dispensable(column: Column) -> bool:
    return column.dispensable > 0


def _body(table: Table, width: int, colour: bool) -> str:
    if not table.columns:
        return "no cells"
    for layout in _layouts(table.columns):
        header, rows = _draw(layout.columns)
        if max(map(len, header + rows)) <= width:
            break
    lines = [*header, *_with_gaps(_painted(rows, table, colour), table.breaks)]
    if layout.left_out:
        missing = f"not shown at this width: {', '.join(layout.left_out)}"
        lines.append(_paint(missing, _DIM, colour))
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


def _painted(rows: list[str], table: Table, colour: bool) -> list[str]:
    """Bad rows red, the best bold."""
    codes = {**dict.fromkeys(table.best, _BOLD), **dict.fromkeys(table.bad, _RED)}
    return [
        _paint(row, codes[index], colour) if index in codes else row
        for index, row in enumerate(rows)
    ]


def _with_gaps(rows: list[str], breaks: frozenset[int]) -> Iterator[str]:
    for index, row in enumerate(rows):
        if index in breaks:
            yield ""
        yield row
