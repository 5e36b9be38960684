"""Output formats: one file and one row in FORMATS each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.model import Report
from bench.render import csv_, json_, markdown, text


@dataclass(frozen=True, slots=True)
class Format:
    """An output format; ``suffix`` is that of its files.

    ``render(report, width, colour)`` gives the text to write, with its final newline; only a
    format for terminals heeds the width in columns and colour.
    """

    name: str
    help: str
    suffix: str
    render: Callable[[Report, int, bool], str]


FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format("terminal", "a table that fits the terminal", ".txt", text.render),
        Format("markdown", "a pipe table, for issues and reports", ".md", markdown.render),
        Format("csv", "every axis and figure, a line per cell", ".csv", csv_.render),
        Format("json", "every axis and figure, and what was measured on", ".json", json_.render),
    )
}
"""By name, in the order in which help texts list them."""
