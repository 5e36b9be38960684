"""A comparison as a document: the worst cells first, and a line that sums up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bench.analysis.environments import Difference
from bench.analysis.intervals import MIN_ROUNDS
from bench.analysis.verdicts import FIGURES, Comparison, Row, Verdict
from bench.model.axes import Role, with_role
from bench.render import axes
from bench.render.document import Column, Document, Fact, Records, Table
from bench.render.records import AXIS_FIELDS
from bench.render.table import NONE, axis_columns

LABELS = {"pps": "Mpps", "ns_per_frame": "ns/frame"}


def document_of(result: Comparison, found: Sequence[Difference]) -> Document:
    """A comparison; ``found`` is what the environments differ in."""
    cells = [row.cell for row in result.rows]
    verdicts = tuple(row.verdict.value for row in result.rows)
    columns = (
        Column("verdict", verdicts, right=False),
        *(column for column in axis_columns(cells) if column.label not in with_role(Role.REPLICA)),
        *(column for figure in FIGURES for column in _change_columns(result.rows, figure)),
    )
    return Document(
        records=_records(result),
        facts=(
            *(Fact("differs", f"{d.what}: {d.a} in A, {d.b} in B") for d in found),
            Fact("not normalised", result.why_not_normalised),
            Fact("all cells", ", ".join(axes.shared(cells))),
        ),
        blocks=(Table(columns),),
        notes=tuple(filter(None, (_basis(result), _too_few(result), summary(result)))),
        data={
            "summary": summary(result),
            "runs": {"a": result.runs_a, "b": result.runs_b, "history": result.history},
            "spread": dict(result.spread) | {"assumed": result.assumed},
            "normalised": result.normalised,
            "why_not_normalised": result.why_not_normalised or None,
            "differences": [
                {"what": d.what, "a": d.a, "b": d.b, "incomparable": d.incomparable} for d in found
            ],
        },
    )


def summary(result: Comparison) -> str:
    """How many cells of each verdict."""
    counts = Counter(row.verdict for row in result.rows)
    told = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict]]
    return f"{len(result.rows)} cells: {', '.join(told)}"


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


def _records(result: Comparison) -> Records:
    parts = ("change", "low", "high", "p")
    changes = {
        f"{figure}_{part}": ("changes", figure, part) for figure in FIGURES for part in parts
    }
    return Records(
        name="cells",
        fields={
            "cell": ("cell",),
            **AXIS_FIELDS,
            "verdict": ("verdict",),
            "min_effect": ("min_effect",),
            **changes,
        },
        rows=tuple(
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
        ),
    )
