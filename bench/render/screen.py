"""What is known of where a document is going to be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Screen:
    """``width`` in columns: as many as a file has that is no terminal."""

    width: int = 120
    colour: bool = False


PAPER = Screen()
"""A file, a pipe."""
