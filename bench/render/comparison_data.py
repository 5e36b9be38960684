"""A comparison as programs read it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.analysis.environments import Difference
from bench.analysis.verdicts import (
    FIGURES,
    Change,
    Comparison,
    Verdict,
)
from bench.base import ids
from bench.campaign.sides import Compared
from bench.model.summaries import RunSummary
from bench.render import provenance
from bench.render.changes import interfaces_of
from bench.render.document import Json, Records
from bench.render.records import axis_fields, axis_values


def summary(result: Comparison) -> str:
    """How many cells of each verdict."""
    counts = Counter(row.verdict for row in result.rows)
    told = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
    return f"{len(result.rows)} cells: {', '.join(told)}"


def _sides(compared: Compared) -> tuple[tuple[str, Sequence[RunSummary]], ...]:
    return ("A", compared.a), (compared.name, compared.b)


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
            "interface": interfaces_of(result)[shift.scope] if shift.scope else None,
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


def records_of(
    result: Comparison, provenance: Mapping[str, Json], sides: Sequence[str] = ("A", "B")
) -> Records:
    """A row for each cell; ``sides`` are the names of both."""
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
            **{f"notes_{name.lower()}": ("notes", name) for name in sides},
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
                "notes": {name: [*row.notes.get(name, ())] for name in sides},
            }
            for row in result.rows
        ),
        provenance=provenance,
    )
