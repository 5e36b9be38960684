"""Output formats: one file and one row in FORMATS each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bench.model.results import Report
from bench.render import csv_, json_, markdown, text

FORMATS: Mapping[str, Callable[[Report, int, bool], str]] = {
    "terminal": text.render,
    "markdown": markdown.render,
    "csv": csv_.render,
    "json": json_.render,
}
"""By name, in the order in which help texts list them: ``render(report, width, colour)`` gives the
text to write, with its final newline; only the one for terminals heeds the width in columns and
colour."""
