"""Series, changes and marks of nights whose levels are known beforehand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.analysis.cell_summaries import summary_of
from bench.analysis.panel import Figure, panel_of
from bench.campaign.acknowledgements import Acknowledgement
from bench.campaign.changed import Changes, Found
from bench.campaign.leveled import leveled, levels_of
from bench.campaign.nights import nights
from bench.campaign.timeline import Line, Timeline, cells_of, timeline
from bench.render import history, json_
from bench.store.run_summaries import read_summary
from tests.campaign.history_of import CELLS, at, write_night

NIGHTS = 40
OLD, NEW = {"cpu": "x", "kernel": "6.17"}, {"cpu": "x", "kernel": "6.18"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def made(folder: Path, *known: Acknowledgement) -> Timeline:
    found = nights(folder)
    return timeline(found.nights, [*cells_of(found.nights).values()], known)


def line(of: Timeline, series: str, figure: str = "ns_per_frame") -> Line:
    return next(one for one in of.lines if (one.series, one.figure) == (series, figure))


def changed(of: Timeline) -> dict[str, list[int]]:
    """The nights of the changes of each series that has some, in ns/frame."""
    found = [one for one in of.lines if one.figure == "ns_per_frame" and one.changes]
    return {one.series: [change.night for change in one.changes] for one in found}


def test_a_cell_that_changed_is_told_with_the_kernels_on_both_sides(tmp_path: Path) -> None:
    for night in range(NIGHTS):
        write_night(
            tmp_path,
            night,
            lambda night, cell: 1.05 if cell == "c3" and night >= 25 else 1.0,
            host=OLD if night < 25 else NEW,
        )
    of = made(tmp_path)
    assert changed(of) == {"c3": [25]}
    found = line(of, "c3")
    assert found.last is not None
    assert found.last.low < 0.05 < found.last.high
    sides = [of.nights[n].run.header.host.kernel for n in (found.last.before, found.last.night)]
    assert sides == ["6.17", "6.18"]
    assert (found.since, found.nights) == (25, 15)
    assert found.level == pytest.approx(1050, rel=0.02)
    assert found.noise == pytest.approx(0.003, rel=0.7)
    assert [(mark.night, mark.text) for mark in of.marks] == [
        (25, "host kernel was 6.17 and is 6.18")
    ]
    assert of.cuts == ()


def test_what_all_cells_share_is_a_shift_and_no_change_of_a_cell(tmp_path: Path) -> None:
    for night in range(NIGHTS):
        write_night(tmp_path, night, lambda night, _cell: 1.08 if night >= 30 else 1.0)
    of = made(tmp_path)
    assert changed(of) == {"lo": [30], "veth": [30], "all": [30]}
    assert line(of, "c0").level == pytest.approx(1080, rel=0.02)


def test_a_new_core_ends_the_series_and_is_no_change(tmp_path: Path) -> None:
    for night in range(NIGHTS):
        core = {"hash": "a" if night < 20 else "b"}
        write_night(tmp_path, night, lambda night, _: 1.5 if night >= 20 else 1.0, core=core)
    of = made(tmp_path)
    assert changed(of) == {}
    assert of.cuts == (20,)
    assert [mark.text for mark in of.marks] == [
        "core hash was a and is b; here series end, and new series begin"
    ]
    assert (line(of, "c0").since, line(of, "c0").nights) == (20, 20)
    assert line(of, "c0").level == pytest.approx(1500, rel=0.02)


def test_machines_of_one_folder_are_not_mixed(tmp_path: Path) -> None:
    """Nights that two machines measured in turns: each has its own series."""
    for night in range(2 * NIGHTS):
        fast = night % 2 == 0
        write_night(
            tmp_path,
            night,
            lambda night, cell: (
                (1.0 if night % 2 == 0 else 2.0)
                * (1.05 if cell == "c3" and night % 2 and night >= 50 else 1.0)
            ),
            host={"cpu": "fast" if fast else "slow"},
        )
    of = made(tmp_path)
    assert changed(of) == {"c3": [51]}
    last = line(of, "c3").last
    assert last is not None
    assert last.before == 49
    assert line(of, "c0").nights == NIGHTS


def test_an_edited_matrix_ends_some_series_and_begins_others(tmp_path: Path) -> None:
    for night in range(20):
        cells = CELLS[:10] if night < 15 else CELLS[2:]
        text = "old" if night < 15 else "new"
        write_night(tmp_path, night, cells=cells, matrix={"name": "m", "text": text})
    of = made(tmp_path)
    assert [mark.text for mark in of.marks] == [
        "the matrix was edited: 2 series begin, 2 end, 8 go on"
    ]
    assert [cell.id for cell in of.cells] == [c.id for c in (*CELLS[2:], *CELLS[:2])]
    assert np.isfinite(line(of, "c10").values).sum() == 5
    assert np.isfinite(line(of, "c0").values).sum() == 15


def test_an_acknowledged_change_has_its_reason_and_begins_a_level(tmp_path: Path) -> None:
    for night in range(NIGHTS):
        write_night(tmp_path, night, lambda n, c: 1.05 if c == "c3" and n >= 25 else 1.0)
    known = Acknowledgement(since=at(25), why="new driver", series="c3")
    note = Acknowledgement(since=at(10), why="new BIOS")
    of = made(tmp_path, known, note)
    last = line(of, "c3").last
    assert last is not None
    assert last.why == "new driver"
    assert line(of, "c0").since == 10
    assert [(mark.night, mark.series, mark.text) for mark in of.marks] == [
        (10, "", "new BIOS"),
        (25, "c3", "new driver"),
    ]


def test_a_night_without_evidence_of_pps_has_its_time_per_frame(tmp_path: Path) -> None:
    for night in range(6):
        write_night(tmp_path, night, notes={"starved": 3} if night == 4 else None)
    of = made(tmp_path)
    assert np.isnan(line(of, "c0", "pps").values[4])
    assert np.isfinite(line(of, "c0").values).all()


@pytest.mark.parametrize("figure", ["pps", "ns_per_frame"])
def test_levels_are_what_a_panel_has(tmp_path: Path, figure: Figure) -> None:
    paths = [write_night(tmp_path, night, cells=CELLS[night:]) for night in range(4)]
    runs = [read_summary(path, summary_of) for path in paths]
    ids = [cell.id for cell in CELLS]
    expected = panel_of([[run] for run in runs], ids, figure).runs
    np.testing.assert_allclose(levels_of(map(leveled, runs), ids, figure), expected)


def told(folder: Path) -> str:
    """The whole history, as programs read it; with what was found before."""
    found = nights(folder)
    cells = [*cells_of(found.nights).values()]
    of = timeline(found.nights, cells, (), folder)
    return json_.render(history.document_of(of, folder))


def test_what_is_kept_is_what_is_found_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cost(night: int, cell: str) -> float:
        return (1.06 if cell in ("c2", "c5") and night >= 25 else 1.0) * (1 + 0.1 * (night >= 33))

    for night in range(NIGHTS):
        core, notes = {"hash": "a" if night < 15 else "b"}, {"starved": 1} if night == 20 else None
        write_night(tmp_path, night, cost, cells=CELLS[night < 30 :], notes=notes, core=core)
    first = told(tmp_path)
    assert first.count('"night"') > 8  # changes, not only marks
    with monkeypatch.context() as without:
        without.setattr(Found, "of", None)  # nothing is looked for again
        assert told(tmp_path) == first
    write_night(tmp_path, NIGHTS, cost, core={"hash": "b"})
    later = told(tmp_path)
    assert later != first
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    assert told(tmp_path) == later


def test_what_is_kept_is_of_these_levels_strands_and_cells(tmp_path: Path) -> None:
    raw = np.random.default_rng(1).normal(0, 0.01, (NIGHTS, len(CELLS)))
    strands = [np.arange(NIGHTS)]
    keeper = Changes(tmp_path)
    keeper.of(raw, strands, CELLS)
    keeper.save()
    stepped = raw + np.where(np.arange(NIGHTS) >= 20, 0.2, 0.0)[:, None] * (np.arange(12) == 3)
    assert [*Changes(tmp_path).of(stepped, strands, CELLS).changes] == ["c3"]
    others = [replace(cell, id=f"d{n}") for n, cell in enumerate(CELLS)]
    assert Changes(tmp_path).of(raw, strands, others).names[0] == "d0"
    halves = [np.arange(20), np.arange(20, NIGHTS)]
    assert not Changes(tmp_path).of(stepped, halves, CELLS).changes
