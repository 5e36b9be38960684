"""What a night says: of each matrix what changed, what must be known, and how much was compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.analysis.evidence import told
from bench.analysis.levels import MIN_NIGHTS
from bench.analysis.nightly import Finding
from bench.base import ids
from bench.base.values import brief_text, distinct
from bench.campaign.judging import ALL, Judged, condensed
from bench.campaign.nightly import Outcome
from bench.model.axes import Role, role_of
from bench.model.cells import Cell
from bench.render import axes
from bench.render.document import Document, Item, Json, Listing, Records
from bench.render.records import axis_fields, axis_values
from bench.store.folders import run_name

LABELS = {"pps": "pps", "ns_per_frame": "ns/frame"}
MEANINGS = {
    Finding.REGRESSED: "two sessions agree",
    Finding.SUSPECTED: "measured again in this session, and still so; another session must agree",
    Finding.SUSPECT: "not measured again; another session must agree",
    Finding.UNCONFIRMED: "measured again, and not so",
    Finding.IMPROVED: "two sessions agree: its level begins anew",
}
SAID = tuple(MEANINGS)

LEAST_TOLD = 0.001
"""A smaller part of a shift that was taken off is not worth a word."""


def document_of(outcomes: Sequence[Outcome]) -> Document:
    """The report of a night of some matrices."""
    return Document(
        records=_records(outcomes),
        name="nightly",
        blocks=tuple(_listing(outcome) for outcome in outcomes),
        notes=tuple(summary(outcome) for outcome in outcomes),
        data={"nights": [_data(outcome) for outcome in outcomes]},
    )


def summary(outcome: Outcome) -> str:
    """How much was compared with how much: a job that compares nothing says so."""
    told = outcome.told
    name = outcome.task.matrix.name
    if told.failed:
        return f"{name}: 0 cells compared: the night failed: {told.failed}"
    if outcome.is_interrupted:
        return f"{name}: 0 cells compared: interrupted; the next call goes on"
    cells, nights = _number(told.cells, "cell"), _number(told.nights, "night")
    plain = f", {_number(outcome.plain, 'plain bench run')} among them" if outcome.plain else ""
    return f"{name}: {cells} compared with {nights}{plain}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _listing(outcome: Outcome) -> Listing:
    items = [
        *(_item(outcome, of) for of in _said(outcome)),
        *(
            Item((_cell_text(outcome, cell),), f"no figures: {reason}", severity="bad")
            for cell, reason in outcome.missing.items()
        ),
        *(Item(("mark",), mark, severity="warn") for mark in outcome.marks),
        *((Item(("note",), noted, severity="warn"),) if (noted := _noted(outcome)) else ()),
        *(Item(("note",), remark, severity="warn") for remark in outcome.remarks),
    ]
    return Listing(_heading(outcome), tuple(items))


def _noted(outcome: Outcome) -> str:
    """How many cells have each note tonight."""
    codes = Counter(mark.split()[-1] for marks in outcome.notes.values() for mark in marks)
    told = (f"{code} {number}" for code, number in codes.most_common())
    return f"cells with notes: {', '.join(told)}" if codes else ""


def _heading(outcome: Outcome) -> str:
    name = outcome.task.matrix.name
    if outcome.told.failed or outcome.is_interrupted:
        return f"{name}: {'failed' if outcome.told.failed else 'interrupted'}"
    findings = {of.decision.finding for of in _said(outcome)}
    worst = next((finding for finding in SAID if finding in findings), None)
    if worst is None and not outcome.told.cells:
        return f"{name}: too few nights to compare with; {MIN_NIGHTS} are the least"
    return f"{name}: {worst.value if worst else 'nothing changed'}"


def _said(outcome: Outcome) -> list[Judged]:
    """What is worth a line, worst first."""
    said = [of for of in condensed(outcome.judged) if of.decision.finding in SAID]
    return sorted(
        said, key=lambda of: (SAID.index(of.decision.finding), of.cell is not None, of.series)
    )


def _item(outcome: Outcome, of: Judged) -> Item:
    found, finding = of.decision, of.decision.finding
    against = f"against {_number(found.nights, 'night')}"
    since = ""
    if of.since != outcome.told.started and finding in (Finding.REGRESSED, Finding.IMPROVED):
        since = f", since {of.since:%Y-%m-%d}"
    beyond = " beyond its interface" if of.cell and outcome.has_shifts else ""
    text = f"{finding.value}: {change_text(of)}{beyond} {against}{since}{_taken_off(of)}"
    text += f"; {_meaning(of)}"
    if notes := outcome.notes.get(of.series):
        text += f"; notes: {', '.join(notes)}"
    if finding in (Finding.REGRESSED, Finding.SUSPECTED):
        text += f"; if it is known: bench ack {ids.shown(of.series)} --why TEXT"
    severity = "bad" if finding is Finding.REGRESSED else "warn"
    name = _cell_text(outcome, of.cell.id) if of.cell else shift_text(of.series)
    return Item((name,), text, severity=severity)


def change_text(of: Judged) -> str:
    """``pps -4.0% [-4.4%, -3.6%]``."""
    found = of.decision
    return f"{LABELS[of.figure]} {found.change:+.1%} [{found.low:+.1%}, {found.high:+.1%}]"


def _taken_off(of: Judged) -> str:
    """The part of a shift that is none of it."""
    if abs(of.explained) < LEAST_TOLD:
        return ""
    return f", without {of.explained:+.1%} that the calibration cells share"


def _meaning(of: Judged) -> str:
    if not of.doubts:
        return MEANINGS[of.decision.finding]
    why = " and ".join(map(told, of.doubts))
    return f"measured again, but {why} there: that is no evidence; another session must agree"


def shift_text(series: str) -> str:
    return "all cells" if series == ALL else f"all of {series}"


def _cell_text(outcome: Outcome, cell: str) -> str:
    """A cell's id, and the axes in which it differs from others."""
    cells = outcome.task.plan.cells
    found = next(each for each in cells if each.id == cell)
    return f"{ids.shown(cell)} ({_axes_text(found, cells)})"


def _axes_text(cell: Cell, cells: Sequence[Cell]) -> str:
    parts = []
    for axis in axes.varying(cells):
        if role_of(axis) is not Role.REPLICA and cell.values.get(axis) is not None:
            values = distinct(each.values.get(axis) for each in cells)
            parts.append(f"{axis} {brief_text(cell.values[axis], values)}")
    return ", ".join(parts)


# For programs


def _data(outcome: Outcome) -> dict[str, Json]:
    return {
        "matrix": outcome.task.matrix.name,
        "run": str(outcome.run) if outcome.run else None,
        "failed": outcome.told.failed or None,
        "cells": outcome.told.cells,
        "nights": outcome.told.nights,
        "plain_nights": outcome.plain,
        "marks": list(outcome.marks),
        "remarks": list(outcome.remarks),
        "missing": {ids.shown(cell): reason for cell, reason in outcome.missing.items()},
        "confirmations": list(outcome.told.confirmations),
    }


def _records(outcomes: Sequence[Outcome]) -> Records:
    """A row for each series and figure: what was found, and by how much it differs."""
    parts = ("finding", "change", "low", "high", "p", "nights")
    named = axis_fields([of.cell for o in outcomes for of in o.judged if of.cell])
    flat = ("matrix", "run", "series", "figure", *parts, "explained", "doubts", "since", "notes")
    return Records(
        name="cells",
        fields={**{name: (name,) for name in flat}, **named},
        rows=tuple(_record(outcome, of, named) for outcome in outcomes for of in outcome.judged),
    )


def _record(outcome: Outcome, of: Judged, named: dict[str, tuple[str, ...]]) -> dict[str, Json]:
    found = of.decision
    known = found.finding is not Finding.UNKNOWN
    return {
        "matrix": outcome.task.matrix.name,
        "run": run_name(outcome.told.run),
        "series": ids.shown(of.series),
        "figure": of.figure,
        "finding": found.finding.value,
        "change": found.change if known else None,
        "low": found.low if known else None,
        "high": found.high if known else None,
        "p": found.p if known else None,
        "nights": found.nights,
        "explained": of.explained,
        "doubts": " ".join(of.doubts) or None,
        "since": of.since.isoformat() if found.stands_out else None,
        "notes": list(outcome.notes.get(of.series, ())),
        "axes": axis_values(of.cell, named) if of.cell else {},
    }
