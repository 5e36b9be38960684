"""Which cells' pps is no evidence: it says what others did to them. Their ns/frame stands."""

from __future__ import annotations

from collections.abc import Mapping

from bench.model.problems import REASONS, Code
from bench.model.results import CellResult
from bench.model.summaries import CellSummary

NO_EVIDENCE = ("starved", "stolen", "lossy", "invalid")
"""Notes of such a cell."""

MOST_INVALID = 0.10
"""Of a cell's samples, where the others still say how fast it was."""


def is_noted(summary: CellSummary, code: str) -> bool:
    """Whether a cell has one of NO_EVIDENCE, and more than a few samples of it."""
    if code == "invalid":
        invalid = summary.notes.get(code, 0)
        return invalid > MOST_INVALID * (invalid + summary.rounds)
    return code in summary.notes


def doubt(notes: Mapping[str, int], code: str) -> str:
    """A note of a cell in one word: its code, and that of the reason where a cell is invalid."""
    return next((each for each in notes if each.startswith(f"{code}:")), code)


def told(doubt: str) -> str:
    """``invalid (frames of ours left late)``."""
    code, _, reason = doubt.partition(":")
    known = REASONS.get(Code(reason)) if reason in [*Code] else None
    return f"{code} ({known})" if known else code


def doubts_of_row(row: CellResult) -> list[str]:
    """Of NO_EVIDENCE the notes that a row of one run has."""
    found = [n.code for n in row.notes if n.code in NO_EVIDENCE and n.code != "invalid"]
    invalid = row.tally.invalid > MOST_INVALID * (row.tally.invalid + row.tally.rounds)
    return [*found, *(["invalid"] if invalid else [])]
