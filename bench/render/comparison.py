"""A comparison in every output format: the worst cells first, and a line that sums up."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence

from bench.analysis.environments import Difference
from bench.analysis.intervals import MIN_ROUNDS
from bench.analysis.verdicts import FIGURES, Comparison, Row, Verdict
from bench.model.axes import AXES, Role, with_role
from bench.model.results import CellResult
from bench.render import axes, csv_, markdown, text
from bench.render.table import NONE, Column, Table, axis_columns

FORMAT = 1
LABELS = {"pps": "Mpps", "ns_per_frame": "ns/frame"}


def render(result: Comparison, found: Sequence[Difference], form: str, width: int = 120) -> str:
    """The comparison as text in one of FORMATS; ``found`` is what the environments differ in."""
    match form:
        case "csv":
            return _csv(result)
        case "json":
            return _json(result, found)
        case "markdown":
            return markdown.piped(_table(result, found))
        case _:
            return text.fitted(_table(result, found), width, colour=False)


def summary(result: Comparison) -> str:
    """How many cells of each verdict."""
    counts = Counter(row.verdict for row in result.rows)
    told = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
    return f"{len(result.rows)} cells: {', '.join(told)}"


def _table(result: Comparison, found: Sequence[Difference]) -> Table:
    rows = [CellResult(cell=row.cell) for row in result.rows]
    facts = [
        *(("differs", f"{d.what}: {d.a} in A, {d.b} in B") for d in found),
        ("not normalised", result.why_not_normalised),
        ("all cells", ", ".join(axes.shared(rows))),
    ]
    verdicts = tuple(row.verdict.value for row in result.rows)
    replicas = with_role(Role.REPLICA)
    return Table(
        title="",
        facts=tuple((label, text) for label, text in facts if text),
        columns=(
            Column("verdict", verdicts, right=False),
            *(column for column in axis_columns(rows) if column.label not in replicas),
            *(column for figure in FIGURES for column in _change_columns(result.rows, figure)),
        ),
        footnotes=(),
        notes=tuple(filter(None, (_basis(result), _too_few(result), summary(result)))),
    )


def _change_columns(rows: Sequence[Row], figure: str) -> tuple[Column, Column]:
    """A figure's changes, and their intervals; those of pps are kept for longer."""
    label = LABELS[figure]
    changes = [row.changes.get(figure) for row in rows]
    intervals = (f"[{c.low:+.1%}, {c.high:+.1%}]" if c else NONE for c in changes)
    return (
        Column(label, tuple(f"{c.value:+.1%}" if c else NONE for c in changes)),
        Column(
            f"95 % interval of {label}",
            tuple(intervals),
            right=False,
            stacked=f"95 % interval\nof {label}",
            dispensable=2 if figure == "pps" else 1,
        ),
    )


def _basis(result: Comparison) -> str:
    """What the verdicts rest on."""
    spread = ", ".join(f"{LABELS[f]} {sd:.1%}" for f, sd in result.spread.items())
    source = (
        "assumed, as no runs are there that should agree"
        if result.assumed
        else f"from these and {result.history} other runs of this matrix"
    )
    return (
        f"A: {result.runs_a} run{'s' * (result.runs_a > 1)}, "
        f"B: {result.runs_b} run{'s' * (result.runs_b > 1)}; "
        f"standard deviation between runs: {spread} ({source})"
        + ("; normalised by the calibration cells" if result.normalised else "")
    )


def _too_few(result: Comparison) -> str:
    """How many cells have no verdict for want of rounds."""
    number = sum(row.verdict is Verdict.INCONCLUSIVE and not row.changes for row in result.rows)
    if not number:
        return ""
    cells = "1 cell has" if number == 1 else f"{number} cells have"
    return f"{cells} valid samples of fewer than {MIN_ROUNDS} rounds on a side: too few to compare"


def _csv(result: Comparison) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"{figure}_{part}" for figure in FIGURES for part in ("change", "low", "high", "p")]
    writer.writerow(["cell", *AXES, "verdict", "min_effect", *names])
    for row in result.rows:
        shown = [csv_.field(row.cell.values.get(axis)) for axis in AXES]
        record = [row.cell.id, *shown, row.verdict.value, row.threshold, *_numbers(row)]
        writer.writerow(map(csv_.field_text, record))
    return text.getvalue()


def _numbers(row: Row) -> list[float | str]:
    found: list[float | str] = []
    for figure in FIGURES:
        change = row.changes.get(figure)
        found += [change.value, change.low, change.high, change.p] if change else [""] * 4
    return found


def _json(result: Comparison, found: Sequence[Difference]) -> str:
    document = {
        "format": FORMAT,
        "summary": summary(result),
        "runs": {"a": result.runs_a, "b": result.runs_b, "history": result.history},
        "spread": dict(result.spread) | {"assumed": result.assumed},
        "normalised": result.normalised,
        "why_not_normalised": result.why_not_normalised or None,
        "differences": [
            {"what": d.what, "a": d.a, "b": d.b, "incomparable": d.incomparable} for d in found
        ],
        "cells": [
            {
                "cell": row.cell.id,
                "axes": dict(row.cell.values),
                "verdict": row.verdict.value,
                "min_effect": row.threshold,
                "changes": {
                    figure: {"change": c.value, "low": c.low, "high": c.high, "p": c.p}
                    for figure, c in row.changes.items()
                },
            }
            for row in result.rows
        ],
    }
    return json.dumps(document, indent=2) + "\n"
