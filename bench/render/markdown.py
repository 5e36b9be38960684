"""Markdown: the facts as a list, the cells as a pipe table, the notes below."""

from __future__ import annotations

import re

from bench.base.printable import printable
from bench.model.results import Report
from bench.render.table import Table, tabulated

_SPECIAL = re.compile(r"([\\|<*`])")


def render(report: Report, _width: int = 0, _colour: bool = False) -> str:
    """The report as GitHub Flavored Markdown; neither the width nor colour matters."""
    description = _escaped(printable(" ".join(report.description.split())))
    heading = [f"## {_escaped(printable(report.name))}", description]
    return "\n\n".join(filter(None, [*heading, piped(tabulated(report))]))


def is_of(text: str, report: Report) -> bool:
    """Whether a text is a table of the run that a report is of, as far as that had got then."""
    return f"- **run:** {_escaped(printable(report.run))}\n" in text


def piped(table: Table) -> str:
    """A table with its facts and notes."""
    table = table.printable()
    blocks = [_facts(table), _pipes(table), _footnotes(table), *map(_escaped, table.notes)]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _facts(table: Table) -> str:
    return "\n".join(f"- **{_escaped(label)}:** {_escaped(text)}" for label, text in table.facts)


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


def _footnotes(table: Table) -> str:
    """An ordered list: its numbers are those in the rows."""
    return "\n".join(f"{i}. {_escaped(text)}" for i, text in enumerate(table.footnotes, 1))
