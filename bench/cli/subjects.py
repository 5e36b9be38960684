"""What the verbs that draw have in common: a stored run, the history around it, its sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base.errors import UsageError
from bench.base.stderr import say

if TYPE_CHECKING:
    from bench.campaign.timeline import Timeline
    from bench.model.run import Run
    from bench.render.document import Document
    from bench.render.pictures.picture import Subject


@dataclass(frozen=True)
class Drawn:
    """A run as pictures and as a document."""

    subject: Subject
    document: Document


def drawn(path: Path, filters: Sequence[str]) -> Drawn:
    """A stored run, or its cells that pass. Raises UsageError."""
    from dataclasses import replace

    from bench.analysis.answer import answer_of
    from bench.model.cells import axes_of
    from bench.plan import selection
    from bench.render import answer, report, sides
    from bench.render.pictures.picture import Subject
    from bench.store import reader

    run = reader.read(path)
    for warning in run.warnings:
        say(warning)
    made = report.make_report(run)
    wanted = selection.parse_filters(filters, axes_of(run.cells))
    kept = selection.passing([row.cell for row in made.rows], wanted)
    if filters and not kept:
        raise UsageError(f"--filter {' '.join(filters)}: no cell of {path} has that")
    rows = tuple(row for row in made.rows if row.cell.id in kept)
    if not run.header.sides:
        known = answer_of(run, rows)
        document = answer.answered(run, replace(made, rows=rows), known=known)
        return Drawn(Subject(run, rows, timeline_of(run), answer=known), document)
    result = sides.compared(run)
    shown = replace(result, rows=tuple(row for row in result.rows if row.cell.id in kept))
    return Drawn(Subject(run, rows, comparison=shown), sides.document_of(run, result, True, kept))


def subject(paths: Sequence[Path], filters: Sequence[str]) -> Subject:
    """A run, or two of which what changed is drawn. Raises UsageError."""
    from dataclasses import replace

    from bench.campaign import sides

    first = drawn(paths[0], filters).subject
    if len(paths) == 1:
        return first
    (compared,) = sides.compare(str(paths[0]), [str(paths[1])], sides.Policy())
    result = compared.result
    kept = {row.cell.id for row in first.rows}
    rows = tuple(row for row in result.rows if not filters or row.cell.id in kept)
    return replace(first, comparison=replace(result, rows=rows))


def timeline_of(run: Run) -> Timeline | None:
    """The history that a run belongs to: the runs of its matrix and machine in its folder."""
    from bench.campaign import acknowledgements
    from bench.campaign.nights import nights
    from bench.campaign.timeline import timeline
    from bench.store.folders import run_files

    folder = Path(run.path).parent
    if len(run_files(folder)) < 2:
        return None
    own = run.header.matrix.name, run.header.machine_name
    found = [
        night
        for night in nights(folder).nights
        if (night.run.header.matrix.name, night.run.header.machine_name) == own
        and not night.run.header.sides
    ]
    if not found:
        return None
    try:
        known = acknowledgements.read(folder)
    except UsageError as error:
        say(f"{error}; no change is taken for a known one")
        known = ()
    return timeline(found, run.cells, known)
