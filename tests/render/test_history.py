"""A history as people read it, and as it is drawn: no series lost, the latest change first."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.campaign.nights import nights
from bench.campaign.timeline import Timeline, cells_of, timeline
from bench.render import history
from bench.render.document import Listing, Table
from bench.render.pictures import kind
from bench.render.pictures.picture import Choice
from bench.render.sparkline import BLOCKS
from tests.builders import a_cell
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
