"""A run of two sides as a document: B over A, of all cells and of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import asdict, replace

from bench.analysis import paired
from bench.analysis.cell_summaries import summary_of
from bench.analysis.verdicts import Comparison, Verdict
from bench.base.values import value_text
from bench.model.header import Side
from bench.model.run import Run
from bench.render import axes, changes, comparison, comparison_data, facts, provenance, report
from bench.render.comparison import DIGEST
from bench.render.document import Document, Fact, Listing
from bench.store.folders import run_name

OF_ONE_SIDE = ("core", "openings")
"""Facts of a run, by key, that its sides have for themselves or verdicts say."""

MOST_REASONS = 3
"""Why cells are inconclusive: each may have a reason of its own."""


def compared(run: Run) -> Comparison:
    """What B changed."""
    return paired.compare(summary_of(run))


def document_of(
    run: Run, result: Comparison, every: bool = True, kept: Collection[str] | None = None
) -> Document:
    """With ``every`` unchanged cells have rows, too; ``kept`` are cells to show, None is all."""
    if kept is not None:
        result = replace(result, rows=tuple(row for row in result.rows if row.cell.id in kept))
    shown = [row for row in result.rows if every or row.verdict is not Verdict.UNCHANGED]
    matrix, shifts = run.header.matrix, changes.shift_items(result)
    cells = [row.cell for row in result.rows]
    counts = Counter(reason for row in shown for reason in row.reasons)
    return Document(
        records=comparison_data.records_of(result, provenance.of(run.header, run.path)),
        name=matrix.name,
        description=matrix.description,
        facts=(
            Fact("run", run_name(run.path)),
            *(Fact(side.label, "; ".join(_told(side))) for side in run.header.sides),
            *(fact for fact in facts.of(run) if fact.key not in OF_ONE_SIDE),
            Fact("all cells", ", ".join(axes.shared(cells))),
        ),
        blocks=(
            *((Listing(items=tuple(shifts)),) if shifts else ()),
            *((comparison.table_of(shown, cells),) if shown else ()),
        ),
        notes=(
            *_reasons(counts),
            f"changes are B over A, within rounds; intervals are from {_openings(result)}",
            comparison_data.summary(result),
            *report.notes_of(run),
        ),
        data={
            "run": run_name(run.path),
            "summary": comparison_data.summary(result),
            "openings": result.openings,
            "sides": {side.label.lower(): asdict(side) for side in run.header.sides},
            "shifts": comparison_data.shifts_of(result),
        },
    )


def _reasons(counts: Counter[str]) -> Iterator[str]:
    """The commonest, and that there are others."""
    for reason, number in counts.most_common(MOST_REASONS):
        yield f"{number} cell{'s' * (number > 1)}: {reason}"
    if len(counts) > MOST_REASONS:
        yield f"and {len(counts) - MOST_REASONS} other reasons, which csv and json have"


def _told(side: Side) -> Iterator[str]:
    """What a side has: its core, sysctls, values of axes."""
    yield f"core {side.core[:DIGEST]}" + (f" of {side.checkout}" if side.checkout else "")
    yield from (f"sysctl {name}={value}" for name, value in side.sysctls.items())
    yield from (f"{axis} {value_text(value)}" for axis, value in side.settings.items())


def _openings(result: Comparison) -> str:
    return f"{result.openings} opening{'s' * (result.openings != 1)} of each side"
