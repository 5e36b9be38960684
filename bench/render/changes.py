"""Changes and shifts between runs as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bench.analysis.verdicts import (
    Change,
    Comparison,
    Shift,
    Verdict,
    interface_of,
)
from bench.base.values import brief_text, distinct
from bench.render.document import Item

LABELS = {"pps": "pps", "ns_per_frame": "ns/frame", "ratio": "ratio"}


class ShiftText(NamedTuple):
    """Of a scope: the changes of both figures, and what would settle an inconclusive one."""

    name: str
    verdict: Verdict
    changes: str
    outlook: str


def shift_items(result: Comparison) -> list[Item]:
    """A sentence for each scope, of both figures."""
    items = []
    for name, verdict, changes, outlook in shift_texts(result):
        text = f"{changes}: {verdict.value}{f' ({outlook})' if outlook else ''}"
        severity = "bad" if verdict is Verdict.REGRESSED else ""
        items.append(Item((name,), text, severity=severity))
    return items


def shift_texts(result: Comparison) -> list[ShiftText]:
    """All cells, and each interface that did not go with the others."""
    scopes = list(dict.fromkeys(shift.scope for shift in result.shifts))
    names = interfaces_of(result)
    found = []
    for scope in scopes:
        of = [shift for shift in result.shifts if shift.scope == scope]
        verdict = min((shift.verdict for shift in of), key=list(Verdict).index)
        if scope and verdict is Verdict.UNCHANGED:
            continue
        changes = ", ".join(labelled_change(shift.figure, shift.change) for shift in of)
        name = f"{names[scope]}, beyond the others" if scope else "all cells"
        found.append(ShiftText(name, verdict, changes, _outlook(of, verdict)))
    return found


def _outlook(of: Sequence[Shift], verdict: Verdict) -> str:
    """What would settle an inconclusive shift."""
    if verdict is not Verdict.INCONCLUSIVE:
        return ""
    parts = []
    more = max((shift.more_runs for shift in of if shift.more_runs), default=0)
    if any(shift.assumed for shift in of):
        parts.append("no runs show how far such a shift strays, so it is assumed")
    if more:
        parts.append(f"{more} more run{'s' * (more > 1)} of each side would tell it")
    return "; ".join(parts)


def interfaces_of(result: Comparison) -> dict[str, str]:
    """The text of each interface by its key, as briefly as tells them apart."""
    values = distinct(row.cell.values["interface"] for row in result.rows)
    return {
        interface_of(row.cell): brief_text(row.cell.values["interface"], values)
        for row in result.rows
    }


def labelled_change(figure: str, change: Change) -> str:
    """``pps -4.0% [-4.4%, -3.6%]``."""
    return f"{LABELS[figure]} {change_text(change)}"


def change_text(change: Change) -> str:
    return f"{change.value:+.1%} {interval_text(change)}"


def interval_text(change: Change) -> str:
    return f"[{change.low:+.1%}, {change.high:+.1%}]"
