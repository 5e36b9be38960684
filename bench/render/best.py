"""A long table in short: the best of each group, and its baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.analysis.contests import SENDS_NOTHING, contest_of
from bench.model.axes import Role, with_role
from bench.model.cells import Cell
from bench.model.results import CellResult
from bench.render import axes

LONG = 40
"""A table with more rows than these is long."""


def in_short(rows: Sequence[CellResult], baselines: Mapping[str, str]) -> tuple[CellResult, ...]:
    """Of a long table the best of each group, its baseline, and rows without figures: a failure is
    told nowhere else. ``baselines`` has each cell's, by their ids."""
    if len(rows) <= LONG:
        return tuple(rows)
    best: dict[str, CellResult] = {}
    for row in filter(_competes, rows):
        group = contest_of(row.cell)
        best[group] = max(best.get(group, row), row, key=_rate)
    if not best:
        return tuple(rows)
    ids = {row.cell.id for row in best.values()}
    ids |= {baselines[cell] for cell in ids if cell in baselines}
    return tuple(row for row in rows if row.cell.id in ids or not row.is_measured)


def left_out(shown: Sequence[CellResult], cells: Sequence[Cell]) -> tuple[str, ...]:
    """What must be said of a table without some of these cells."""
    if len(shown) == len(cells):
        return ()
    agreed = ", ".join(axes.agreed([row.cell for row in shown], cells))
    rows = (f"rows shown: {agreed}",) if agreed else ()
    group = ", ".join((*with_role(Role.PLACE), *with_role(Role.WORKLOAD)))
    return (
        *rows,
        f"{len(shown)} of {len(cells)} cells: the highest pps of each group ({group}) and its "
        f"baseline; --all shows the other {len(cells) - len(shown)}",
    )


def _competes(row: CellResult) -> bool:
    return row.is_measured and row.cell.method != SENDS_NOTHING


def _rate(row: CellResult) -> tuple[bool, float]:
    """A cell whose frames were dropped is best only where all are."""
    is_lossy = any(note.code == "lossy" for note in row.notes)
    return not is_lossy, row.figures.pps.value if row.figures.pps else 0.0
