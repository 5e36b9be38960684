"""A history as people read it, and as it is drawn: no series lost, the latest change first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.campaign.changed import Changed
from bench.campaign.nights import nights
from bench.campaign.timeline import Mark, Timeline, cells_of, timeline
from bench.render import history, history_data
from bench.render.document import Listing, Table
from bench.render.pictures import kind
from bench.render.pictures.picture import Choice
from bench.render.sparkline import BLOCKS
from tests.builders import a_cell, a_header
from tests.campaign.history_of import CELLS, write_night
from tests.drawn_runs import run_of, subject_of

NIGHTS = 40
SINCE = {"c3": 25, "c5": 33, "c8": 20}
"""The nights from which on these cells are slower."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    folder = tmp_path_factory.mktemp("nights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        for night in range(NIGHTS):
            write_night(
                folder / "runs",
                night,
                lambda night, cell: 1.08 if night >= SINCE.get(cell, NIGHTS) else 1.0,
            )
        found = nights(folder / "runs")
        return timeline(found.nights, [*cells_of(found.nights).values()], ())


def listing(made: Timeline, title: str) -> Listing:
    blocks = history.document_of(made, Path("runs")).blocks
    (found,) = [b for b in blocks if isinstance(b, Listing) and b.heading.startswith(title)]
    return found


def test_what_cells_share_is_a_line_each_with_its_nights(made: Timeline) -> None:
    shared = listing(made, "what cells share")
    names = [item.names[0] for item in shared.items]
    assert sorted(names) == ["all cells", "all of lo", "all of veth"]
    for item in shared.items:
        spark = item.text.split()[0]
        assert set(spark) <= set(BLOCKS)
        assert 10 <= len(spark) <= NIGHTS


def test_the_latest_change_comes_first(made: Timeline) -> None:
    changes = listing(made, "last change")
    assert [item.names[0] for item in changes.items] == ["c5", "c3", "c8"]
    assert all("ns/frame +8" in item.text or "ns/frame +7" in item.text for item in changes.items)


def test_every_cell_has_a_row_with_its_nights(made: Timeline) -> None:
    (table,) = [
        of for of in history.document_of(made, Path("runs")).blocks if isinstance(of, Table)
    ]
    columns = {column.label: column.cells for column in table.columns}
    assert [*columns["cell"]] == [cell.id for cell in made.cells]
    since = {cell: str(NIGHTS - first) for cell, first in SINCE.items()}
    assert [*columns["nights"]] == [since.get(cell, str(NIGHTS)) for cell in columns["cell"]]
    changed = {c: text for c, text in zip(columns["cell"], columns["last change"], strict=True)}
    assert {cell for cell, text in changed.items() if text != "-"} == {*SINCE}


@pytest.mark.parametrize("number", [3, 4, 5])
def test_every_series_of_a_history_is_drawn(made: Timeline, number: int) -> None:
    cells = [a_cell(cell.id, **cell.values) for cell in CELLS[:number]]
    subject = subject_of(run_of(cells), timeline=made)
    (picture,) = kind("history").pictures(subject, Choice())
    panels = [panel for line in picture.draw(1040)["vconcat"] for panel in line["hconcat"]]
    shared = sum(line.cell is None and line.figure == "ns_per_frame" for line in made.lines)
    assert len(panels) == number + shared
    assert len({panel["data"]["name"] for panel in panels}) == len(panels)


@pytest.mark.parametrize(("before", "after"), [("6.1", "6.12"), ("6.12", "6.1")])
def test_what_was_on_both_sides_of_a_change_is_said_and_what_was_not_with_both(
    before: str, after: str
) -> None:
    was, is_ = (a_header(host={"kernel": of}, core={"hash": "abc"}) for of in (before, after))
    assert [*history._sides(was, is_)] == [f"kernel {before} -> {after}", "core abc"]
    assert [*history._sides(was, was)] == [f"kernel {before}", "core abc"]
    assert next(history._sides(a_header(), is_)) == f"kernel unknown -> {after}"


@pytest.mark.parametrize(
    ("number", "more"), [(0, 0), (3, 0), (history.MOST, 0), (history.MOST + 3, 3)]
)
def test_of_many_remarks_the_first_are_told_and_the_others_counted(number: int, more: int) -> None:
    remarks = [f"r{n}" for n in range(number)]
    counted = [f"and {more} more such files"] if more else []
    assert history._first(remarks) == remarks[: number - more] + counted


def test_without_any_level_that_is_said_first(made: Timeline) -> None:
    lines = tuple(replace(line, values=np.full(NIGHTS, np.nan), changes=()) for line in made.lines)
    document = history.document_of(replace(made, lines=lines), Path("runs"))
    no_level, summary = document.notes
    assert "there is no level" in no_level
    assert summary.startswith("12 cells, 0 with a change")
    (only,) = history.document_of(made, Path("runs")).notes
    assert only.startswith("12 cells, 3 with a change")


def test_programs_have_where_the_last_night_is_from(made: Timeline) -> None:
    provenance = history_data.records_of(history_data.Shown(made, 0)).provenance
    assert {*provenance} == {
        "matrix",
        *(f"last_{of}" for of in ("run", "run_id", "started", "machine", "kernel", "core")),
    }


@pytest.mark.parametrize("why", ["", "a newer kernel"])
def test_the_tip_of_a_change_has_its_size_and_why_it_is_known(made: Timeline, why: str) -> None:
    change = Changed(night=20, before=19, size=0.08, low=0.07, high=0.09, why=why)
    known = tuple(
        replace(line, changes=(change,)) if line.series == "c0" else line for line in made.lines
    )
    cells = [a_cell(cell.id, **cell.values) for cell in CELLS[:1]]
    subject = subject_of(run_of(cells), timeline=replace(made, lines=known))
    (picture,) = kind("history").pictures(subject, Choice())
    (tip,) = [
        row["tip"] for rows in picture.data.values() for row in rows if row.get("kind") == "change"
    ]
    _, since, *acknowledged = tip.splitlines()
    assert since == "since 2026-01-21: +8.0% [+7.0%, +9.0%]"
    assert acknowledged == ([f"acknowledged: {why}"] if why else [])


def test_a_single_series_is_a_history_too(made: Timeline) -> None:
    alone = tuple(line for line in made.lines if line.cell is not None)
    cells = [a_cell(cell.id, **cell.values) for cell in CELLS[:1]]
    subject = subject_of(run_of(cells), timeline=replace(made, lines=alone))
    (picture,) = kind("history").pictures(subject, Choice())
    (line,) = picture.draw(1040)["vconcat"]
    assert len(line["hconcat"]) == 1


@pytest.mark.parametrize(("number", "said"), [(1, ""), (20, ""), (21, " (the latest 20 of 21)")])
def test_of_many_marks_the_latest_are_shown(made: Timeline, number: int, said: str) -> None:
    marks = tuple(Mark(n, f"kernel {n}") for n in range(number))
    shown = listing(replace(made, marks=marks), "marks")
    assert shown.heading == f"marks{said}:"
    assert [item.text for item in shown.items] == [mark.text for mark in marks[-20:]]


def test_the_notes_of_a_cell_are_those_of_the_last_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for night, notes in enumerate([{"lossy": 1}, {"lossy": 1}, {"starved": 1}]):
        write_night(tmp_path / "runs", night, notes=notes)
    found = nights(tmp_path / "runs").nights
    last = timeline(found, [*cells_of(found).values()], ())
    (table,) = [
        of for of in history.document_of(last, Path("runs")).blocks if isinstance(of, Table)
    ]
    (notes_of_cells,) = [of.cells for of in table.columns if of.label == "last night"]
    assert {*notes_of_cells} == {"1 starved"}


@pytest.mark.parametrize(("left_out", "said"), [((), ""), ((3, 4, 9), ", 3 missing")])
def test_nights_that_are_missing_are_counted(
    made: Timeline, left_out: tuple[int, ...], said: str
) -> None:
    kept = [n for n in range(NIGHTS) if n not in left_out]
    nights = tuple(made.nights[n] for n in kept)
    lines = tuple(replace(line, values=line.values[kept], changes=()) for line in made.lines)
    facts = history.document_of(replace(made, nights=nights, lines=lines), Path("runs")).facts
    (fact,) = [fact for fact in facts if fact.label == "nights"]
    assert fact.text == f"{len(kept)}, 2026-01-01 to 2026-02-09{said}"
    assert fact.value == len(left_out)


def test_programs_find_marks_at_their_series(made: Timeline) -> None:
    marks = (Mark(3, "another kernel"), Mark(5, "acknowledged", "c1"))
    found = history.document_of(replace(made, marks=marks), Path("runs")).data["marks"]
    assert [(mark["series"], mark["text"]) for mark in found] == [
        (None, "another kernel"),
        ("c1", "acknowledged"),
    ]
