"""Output formats: one file and one row in FORMATS each."""

from __future__ import annotations

from collections.abc import Callable

from bench.render import csv_, json_, markdown, terminal
from bench.render.document import Document
from bench.render.screen import Screen

FORMATS: dict[str, Callable[[Document, Screen], str]] = {
    "terminal": terminal.render,
    "markdown": markdown.render,
    "csv": csv_.render,
    "json": json_.render,
}
"""By name, in the order in which help texts list them: each gives the text of any verb's document,
with its final newline; only the one for terminals heeds the screen."""
FOR_PEOPLE = frozenset({"terminal", "markdown"})
"""Formats that leave a document's records out."""
