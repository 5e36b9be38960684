"""A comparison as a document: a sentence for each shift, the worst cells, a line that sums up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from bench.analysis.verdicts import (
    FIGURES,
    MOST_MORE,
    TOO_WIDE,
    Change,
    Row,
)
from bench.campaign.sides import Compared
from bench.model.axes import Role, with_role
from bench.model.cells import Cell
from bench.model.summaries import RunSummary
from bench.render import axes
from bench.render.changes import (
    LABELS,
    interval_text,
    shift_items,
)
from bench.render.comparison_data import data_of, provenance_of, records_of, summary
from bench.render.document import Column, Document, Fact, Listing, Table, text_column
from bench.render.scale import NONE
from bench.render.table import axis_columns
from bench.store.folders import run_name

MOVED = 0.01
"""From this change of the calibration cells on it is said: the machine itself was another."""
DIGEST = 12
"""Digits of a core's hash that tell it from others."""


def document_of(compared: Compared, chosen: Collection[str] | None = None) -> Document:
    """A comparison of two sides; ``chosen`` are the verdicts whose cells have rows, None is all."""
    result, cells = compared.result, [row.cell for row in compared.result.rows]
    shown = [row for row in result.rows if chosen is None or row.verdict.value in chosen]
    return Document(
        records=records_of(result, provenance_of(compared), ("A", compared.name)),
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
        ("on ", _listed(header.machine_name for header in headers)),
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
    columns += notes_columns([row.notes for row in rows])
    return Table(tuple(columns))


def notes_columns(notes: Sequence[Mapping[str, Sequence[str]]]) -> list[Column]:
    """``A: starved; B: 2 disturbed``; no column where no row has any."""
    if not any(notes):
        return []
    texts = ["; ".join(f"{side}: {', '.join(of)}" for side, of in row.items()) for row in notes]
    return [text_column("notes", texts)]


def change_columns(
    label: str,
    changes: Sequence[Change | None],
    dispensable: int,
) -> tuple[Column, Column]:
    """A figure's changes, and their intervals."""
    intervals = (interval_text(change) if change else NONE for change in changes)
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
    """Why cells are inconclusive or missing, how many for that reason, and what would settle it."""
    found = []
    counts = Counter((row.verdict, reason) for row in rows for reason in row.reasons)
    for (verdict, reason), number in counts.most_common():
        more = max(row.more_openings for row in rows if reason in row.reasons)
        would = f"; {_openings(more)} of each run would tell" if reason == TOO_WIDE else ""
        found.append(f"{number} {verdict.value} cell{'s' * (number > 1)}: {reason}{would}")
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
