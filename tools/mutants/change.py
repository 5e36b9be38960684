"""A fault by its content, and the faults that are none."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

EQUIVALENT = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True)
class Change:
    """A change by its content, so that it stays the same one where lines move."""

    file: str
    within: str
    """The function or class around it; empty outside of any."""
    line: str
    mutant: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.within}" if self.within else self.file
        return f"{place}\n  - {self.line}\n  + {self.mutant}"


@dataclass(frozen=True)
class Mutant:
    change: Change
    lineno: int
    """The first changed line, from 1."""
    text: str
    """The whole file with the fault."""


def equivalents(path: Path = EQUIVALENT) -> dict[Change, str]:
    """Changes that alter nothing that matters, with the reason of each."""
    entries = tomllib.loads(path.read_text())["equivalent"]
    return {Change(e["file"], e["within"], e["line"], e["mutant"]): e["reason"] for e in entries}
