"""What changed from A to B: a forest plot of the shifts and of each cell beyond them."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.verdicts import FIGURES, Change, Comparison, Row, Verdict, interface_of
from bench.base.values import brief_text, distinct
from bench.model.results import Estimate
from bench.render.pictures import figures, forest, layout, picture
from bench.render.pictures.labels import Labels, short, unlike
from bench.render.pictures.layout import Panel
from bench.render.pictures.picture import Choice, Kind, NotDrawn, Picture, Spec, Subject

MOST = 60
"""Cells that are drawn, the worst first."""


def pictures(subject: Subject, choice: Choice) -> list[Picture]:
    result = subject.comparison
    if result is None:
        raise NotDrawn("it takes two runs of one matrix, or a run of `bench ab`")
    shown = [row for row in result.rows if row.changes][:MOST]
    if not shown and not result.shifts:
        raise NotDrawn("no cell has figures on both sides")
    wanted = [f for f in FIGURES if choice.figure in (f, "")]
    names = _names(shown)
    scopes = [s for s in dict.fromkeys(shift.scope for shift in result.shifts)]
    above = dict(zip(scopes, [_scope(result, scope) for scope in scopes], strict=True))
    every = [*above.values(), *names]
    line = []
    for figure in wanted:
        rows = [
            _row(above[shift.scope], shift.verdict, shift.change)
            for shift in result.shifts
            if shift.figure == figure
        ]
        rows += [
            _row(name, row.verdict, row.changes[figure])
            for name, row in zip(names, shown, strict=True)
            if figure in row.changes
        ]
        line.append(Panel(figures.NAMES[figure], rows, {"names": every}))
    left = len(result.rows) - len(shown)
    verdicts = [v.value for v in Verdict if v not in (Verdict.MISSING, Verdict.NEW)]
    beyond = ", each cell beyond the shift of its interface" if result.shifts else ""
    return [
        Picture(
            title=f"What changed from A to {subject.side}",
            variant="",
            caption=f"{subject.side} over A minus 1{beyond}. Bars are 95 % intervals; left is less."
            + (f" {left} more cells are in the table." if left else ""),
            data=layout.data([line]),
            draw=lambda width: _spec([line], verdicts, width),
        )
    ]


def _names(rows: Sequence[Row]) -> list[str]:
    labels = Labels([row.cell for row in rows])
    return unlike([labels.whole(row.cell) for row in rows], [row.cell.id for row in rows])


def _scope(result: Comparison, scope: str) -> str:
    if not scope:
        return "ALL CELLS"
    values = distinct(row.cell.values["interface"] for row in result.rows)
    texts = {interface_of(r.cell): r.cell.values["interface"] for r in result.rows}
    return short(f"ALL OF {brief_text(texts.get(scope), values)}")


def _row(name: str, verdict: Verdict, change: Change) -> picture.Row:
    tip = f"{name}\n{change.value:+.1%} [{change.low:+.1%}, {change.high:+.1%}]\n{verdict.value}"
    estimate = Estimate(change.value, change.low, change.high, 0)
    return forest.row(name, verdict.value, estimate, tip)


def _spec(lines: Sequence[Sequence[Panel]], verdicts: Sequence[str], width: int) -> Spec:
    axis = forest.Axis("change from A to B", 0.0, "+.0~%", is_ratio=False, are_verdicts=True)
    return forest.spec(lines, axis, verdicts, width)


KIND = Kind(
    title="What changed",
    pictures=pictures,
    reads=("figure",),
)
