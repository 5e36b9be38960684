"""Which cells' pps is no evidence: it says what others did to them. Their ns/frame stands."""

from __future__ import annotations

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
