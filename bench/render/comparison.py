"""A comparison as a document: a sentence for each shift, the worst cells, a line that sums up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from bench.analysis.environments import Difference
from bench.analysis.verdicts import (
    FIGURES,
    MOST_MORE,
    TOO_WIDE,
    Change,
    Comparison,
    Row,
    Shift,
    Verdict,
    interface_of,
)
from bench.base import ids
from bench.base.values import brief_text, distinct
from bench.campaign.sides import Compared
from bench.model.axes import Role, with_role
from bench.model.cells import Cell
from bench.model.summaries import RunSummary
from bench.render import axes, provenance
from bench.render.document import Column, Document, Fact, Item, Json, Listing, Records, Table
from bench.render.records import axis_fields, axis_values
from bench.render.scale import NONE
from bench.render.table import axis_columns
from bench.store.folders import run_name

LABELS = {"pps": "pps", "ns_per_frame": "ns/frame", "ratio": "ratio"}
MOVED = 0.01
"""From this change of the calibration cells on it is said: the machine itself was another."""
DIGEST = 12
"""Digits of a core's hash that tell it from others."""


def document_of(compared: Compared, chosen: Collection[str] | None = None) -> Document:
    """A comparison of two sides; ``chosen`` are the verdicts whose cells have rows, None is all."""
    result, cells = compared.result, [row.cell for row in compared.result.rows]
    shown = [row for row in result.rows if chosen is None or row.verdict.value in chosen]
    return Document(
        records=records_of(result, provenance_of(compared)),
        name=title([compared]),
        facts=(
            side_fact("A", compared.a),
            side_fact(compared.name, compared.b),
            *differences(compared),
            Fact("all cells", ", ".join(axes.shared(cells))),
        ),
        blocks=(
            *((Listing(items=tuple(shift_items(result))),) if result.shifts else ()),
            *((table_of(shown, cells),) if shown else ()),
        ),
        notes=notes_of(compared, shown),
        data=data_of(compared),
    )


def notes_of(compared: Compared, shown: Sequence[Row]) -> tuple[str, ...]:
    """What is said below the table."""
    return (*reasons_of(shown), _basis(compared), summary(compared.result))


def differences(compared: Compared) -> list[Fact]:
    name = compared.name
    return [Fact("differs", f"{d.what}: {d.a} in A, {d.b} in {name}") for d in compared.differences]


def summary(result: Comparison) -> str:
    """How many cells of each verdict."""
    counts = Counter(row.verdict for row in result.rows)
    told = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
    return f"{len(result.rows)} cells: {', '.join(told)}"


def _sides(compared: Compared) -> tuple[tuple[str, Sequence[RunSummary]], ...]:
    return ("A", compared.a), (compared.name, compared.b)


def title(sides: Sequence[Compared]) -> str:
    runs = [run for of in sides for run in (*of.a, *of.b)]
    return ", ".join(dict.fromkeys(run.header.matrix.name for run in runs))


def side_fact(name: str, side: Sequence[RunSummary]) -> Fact:
    """Which runs a side is, of which machine, kernel and core, and what the doctor said."""
    headers = [run.header for run in side]
    started = sorted(str(header.started) for header in headers if header.started)
    core = [header.core.hash[:DIGEST] for header in headers]
    kernels = [" ".join(filter(None, (h.host.kernel, h.host.kernel_version))) for h in headers]
    doctor = [header.doctor.verdict for header in headers]
    names = sorted(run_name(run.path) for run in side)
    parts = (
        ("", _listed(header.matrix.name for header in headers)),
        ("", f"run {names[0]}" if len(names) == 1 else _runs(len(names))),
        ("", " to ".join([names[0], names[-1]]) if len(names) > 1 else ""),
        ("started ", " to ".join(dict.fromkeys(started[:1] + started[-1:]))),
        ("on ", _listed(header.host.hostname for header in headers)),
        ("kernel ", _listed(kernels)),
        ("core ", _listed(core)),
        ("", _doctor(doctor)),
    )
    return Fact(name, ", ".join(f"{label}{text}" for label, text in parts if text))


def _doctor(verdicts: Sequence[str]) -> str:
    """The verdict of the runs' doctor; of several different ones only how many there are."""
    known = list(dict.fromkeys(filter(None, verdicts)))
    return known[0] if len(known) == 1 else f"doctor: {len(known)} verdicts" if known else ""


def _listed(texts: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(filter(None, texts)))


# Shifts


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
    names = _interfaces(result)
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


def _interfaces(result: Comparison) -> dict[str, str]:
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
    return f"{change.value:+.1%} {_interval(change)}"


def _interval(change: Change) -> str:
    return f"[{change.low:+.1%}, {change.high:+.1%}]"


# Rows


def cell_columns(cells: Sequence[Cell], among: Sequence[Cell]) -> list[Column]:
    """What tells cells from all others of a comparison, shown or not."""
    replicas = with_role(Role.REPLICA)
    return [c for c in axis_columns(cells, among, varying=among) if c.label not in replicas]


def table_of(rows: Sequence[Row], among: Sequence[Cell]) -> Table:
    """``among`` are all cells of the comparison."""
    verdicts = tuple(row.verdict.value for row in rows)
    ratios = [row.ratio for row in rows]
    columns = [
        Column("verdict", verdicts, right=False),
        *cell_columns([row.cell for row in rows], among),
    ]
    for figure in FIGURES:
        columns += change_columns(
            LABELS[figure],
            [row.changes.get(figure) for row in rows],
            dispensable=3 if figure == "pps" else 4,
        )
    if any(ratios):
        change, interval = change_columns(LABELS["ratio"], ratios, dispensable=1)
        columns += [replace(change, dispensable=2), interval]
    return Table(tuple(columns))


def change_columns(
    label: str,
    changes: Sequence[Change | None],
    dispensable: int,
) -> tuple[Column, Column]:
    """A figure's changes, and their intervals."""
    intervals = (_interval(change) if change else NONE for change in changes)
    return (
        Column(
            label,
            tuple(f"{change.value:+.1%}" if change else NONE for change in changes),
        ),
        Column(
            f"95 % interval of {label}",
            tuple(intervals),
            right=False,
            stacked=f"95 % interval\nof {label}",
            dispensable=dispensable,
        ),
    )


def reasons_of(rows: Sequence[Row]) -> list[str]:
    """Why cells are inconclusive, how many for that reason, and what would settle it."""
    found = []
    for reason, number in Counter(reason for row in rows for reason in row.reasons).most_common():
        more = max(row.more_openings for row in rows if reason in row.reasons)
        would = f"; {_openings(more)} of each run would tell" if reason == TOO_WIDE else ""
        found.append(f"{number} inconclusive cell{'s' * (number > 1)}: {reason}{would}")
    return found


def _openings(more: int) -> str:
    return f"{more} more opening{'s' * (more > 1)}" + " or more" * (more == MOST_MORE)


def _basis(compared: Compared) -> str:
    """What the verdicts rest on."""
    result = compared.result
    parts = [
        f"A: {_runs(result.runs_a)}",
        f"{compared.name}: {_runs(result.runs_b)}",
        f"at least {result.openings} opening{'s' * (result.openings != 1)} each",
        f"{result.history or 'no'} other run{'s' * (result.history != 1)} that should agree with A",
    ]
    beyond = "; changes of cells are beyond the shift of their interface" if result.shifts else ""
    calibrated = ""
    if result.calibration is not None and abs(result.calibration) >= MOVED:
        calibrated = f"; the calibration cells' ns/frame moved by {result.calibration:+.1%}"
    return ", ".join(parts) + beyond + calibrated


def _runs(number: int) -> str:
    return f"{number} run{'s' * (number > 1)}"


# For programs


def data_of(compared: Compared) -> dict[str, Json]:
    result = compared.result
    return {
        "summary": summary(result),
        "runs": {"a": result.runs_a, "b": result.runs_b, "history": result.history},
        "openings": result.openings,
        "calibration": result.calibration,
        "sides": {
            name.lower(): [
                {
                    **provenance.of(run.header, run.path),
                    "path": run.path,
                    "doctor": run.header.doctor.verdict,
                }
                for run in side
            ]
            for name, side in _sides(compared)
        },
        "shifts": shifts_of(result),
        "differences": [_difference(d) for d in compared.differences],
    }


def provenance_of(compared: Compared) -> dict[str, Json]:
    """Of both sides: ``kernel_a``, ``kernel_b`` ..."""
    return {
        key: value
        for name, side in _sides(compared)
        for key, value in provenance.of_side(
            name.lower(), (provenance.of(run.header, run.path) for run in side)
        ).items()
    }


def shifts_of(result: Comparison) -> list[Json]:
    """The shifts as programs read them."""
    return [
        {
            "interface": _interfaces(result)[shift.scope] if shift.scope else None,
            "figure": shift.figure,
            "verdict": shift.verdict.value,
            "assumed": shift.assumed,
            "more_runs": shift.more_runs,
            **_change_fields(shift.change),
        }
        for shift in result.shifts
    ]


def _difference(of: Difference) -> dict[str, Json]:
    return {"what": of.what, "a": of.a, "b": of.b, "incomparable": of.incomparable}


def _change_fields(change: Change) -> dict[str, float]:
    return {"change": change.value, "low": change.low, "high": change.high, "p": change.p}


def records_of(result: Comparison, provenance: Mapping[str, Json]) -> Records:
    fields = axis_fields([row.cell for row in result.rows])
    parts = ("change", "low", "high", "p")
    changes = {
        f"{figure}_{part}": ("changes", figure, part)
        for figure in (*FIGURES, "ratio")
        for part in parts
    }
    return Records(
        name="cells",
        fields={
            "cell": ("cell",),
            **fields,
            "verdict": ("verdict",),
            "min_effect": ("min_effect",),
            **changes,
            "reasons": ("reasons",),
        },
        rows=tuple(
            {
                "cell": ids.shown(row.cell.id),
                "axes": axis_values(row.cell, fields),
                "verdict": row.verdict.value,
                "min_effect": row.threshold,
                "changes": {
                    name: _change_fields(change)
                    for name, change in (*row.changes.items(), ("ratio", row.ratio))
                    if change is not None
                },
                "reasons": list(row.reasons),
                "more_openings": row.more_openings,
            }
            for row in result.rows
        ),
        provenance=provenance,
    )
