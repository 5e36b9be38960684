"""Verdicts on the cells of a run against stored ones: those of `bench compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.panel import Figure
from bench.analysis.verdicts import Change, Row, Shift, Verdict, interface_of
from bench.campaign import sides, sources
from bench.render import comparison_data
from bench.render.changes import LABELS, change_text


@dataclass(frozen=True)
class Gate:
    """``failing`` maps cells to why they do not pass; ``told`` sums up the comparison."""

    failing: Mapping[str, str]
    told: str


def side_of(named: str, matrix: str) -> str:
    """The runs to compare a matrix with; a folder may have one for each matrix.

    Raises UsageError if there are none, or none that can be read.
    """
    own = Path(named, matrix)
    found = str(own) if own.is_dir() else named
    sources.read(sources.sources(found))
    return found


def gate(against: str, run: Path, strict: bool) -> Gate:
    """Raises UsageError for what cannot be compared."""
    (compared,) = sides.compare(against, [str(run)], sides.Policy())
    result = compared.result
    failing = {
        row.cell.id: "\n".join(reasons)
        for row in result.rows
        if (reasons := [*_shifted(row, result.shifts), *_changed(row, strict)])
    }
    heads = {id_: f"against {against}:\n{text}" for id_, text in failing.items()}
    return Gate(heads, f"against {against}: {comparison_data.summary(result)}")


def _shifted(row: Row, shifts: Sequence[Shift]) -> list[str]:
    """What cells lost in common is each one's loss, too."""
    scopes = {"": "all cells", interface_of(row.cell): "all cells of its interface"}
    return [
        f"{scopes[shift.scope]} regressed: {_text({shift.figure: shift.change})}"
        for shift in shifts
        if shift.verdict is Verdict.REGRESSED and shift.scope in scopes
    ]


def _changed(row: Row, strict: bool) -> list[str]:
    """What the cell lost beyond the others. A cell that was not selected is missing by intent."""
    if row.verdict is Verdict.REGRESSED:
        return [f"regressed beyond what all cells changed: {_text(row.changes)}", *_notes(row)]
    if row.verdict is Verdict.INCONCLUSIVE and strict:
        return [f"inconclusive (--bench-strict): {'; '.join(row.reasons)}", *_notes(row)]
    return []


def _notes(row: Row) -> list[str]:
    return [f"notes in {side}: {', '.join(of)}" for side, of in row.notes.items()]


def _text(changes: Mapping[Figure, Change]) -> str:
    return ", ".join(
        f"{LABELS[figure]} {change_text(change)}" for figure, change in changes.items()
    )
