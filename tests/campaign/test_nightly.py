"""Nights one after another: what each tells, and what it takes for a night."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bench.analysis.nightly import Finding
from bench.base.errors import UsageError
from bench.campaign import acknowledgements, sources, told
from bench.campaign.acknowledgements import Acknowledgement
from bench.campaign.budget import Budget
from bench.campaign.judging import condensed
from bench.campaign.nightly import Outcome
from bench.campaign.nights import nights as nights_in
from bench.model.cells import Cell
from bench.render.nightly import document_of, summary
from bench.store import folders, reader
from tests.campaign.nights_of import MATRIX, METHODS, Nights, same
from tests.running import assert_rounds


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built_core: None) -> Nights:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Nights(tmp_path / "m", monkeypatch)


def found(outcome: Outcome) -> dict[str, set[str]]:
    """What was found, and of which methods and shifts; steady and unknown series apart."""
    of_finding: dict[str, set[str]] = {}
    for of in condensed(outcome.judged):
        if of.decision.finding not in (Finding.STEADY, Finding.UNKNOWN):
            name = of.cell.method if of.cell else of.series
            of_finding.setdefault(of.decision.finding.value, set()).add(name)
    return of_finding


def sendto_slower(cell: Cell) -> float:
    return 1.08 if cell.method == "sendto" else 1.0


def sendto_faster(cell: Cell) -> float:
    return 1 / sendto_slower(cell)


def all_slower(cell: Cell) -> float:
    """All that send; what the calibration does costs as much as before."""
    return 1.1 * sendto_slower(cell) if cell.method in METHODS else 1.0


def machine_slower(_cell: Cell) -> float:
    return 1.1


def ifb_slower(cell: Cell) -> float:
    interface = cell.values["interface"]
    return 1.1 if isinstance(interface, dict) and interface["kind"] == "ifb" else 1.0


def several(nights: Nights, number: int = 8) -> None:
    for _ in range(number):
        nights.tonight()


def confirmations(nights: Nights) -> list[Path]:
    return folders.run_files(nights.folder / "confirm")


def test_thirty_nights_tell_a_cost_of_some_cells_and_one_of_all(nights: Nights) -> None:
    """Both are told on the night they begin, and are regressions with the next one."""
    for night in range(1, 31):
        costs = all_slower if night >= 25 else sendto_slower if night >= 20 else same
        outcome = nights.tonight(costs)
        of_cells = {20: {"suspected": {"sendto"}}}.get(night, {"regressed": {"sendto"}})
        expected = of_cells if night >= 20 else {}
        if night == 25:
            expected = expected | {"suspected": {"all"}}
        if night > 25:
            expected = {"regressed": {"sendto", "all"}}
        assert found(outcome) == expected, night
        assert (outcome.told.cells, outcome.told.nights) == (18 if night > 3 else 0, night - 1)


def test_a_suspect_that_is_not_confirmed_is_said_and_no_alarm(nights: Nights) -> None:
    several(nights)
    outcome = nights.tonight(sendto_slower, again=same)
    assert found(outcome) == {"unconfirmed": {"sendto"}}
    assert found(nights.tonight()) == {}


def test_a_starved_confirmation_is_no_evidence_and_another_night_must_agree(
    nights: Nights,
) -> None:
    several(nights)
    outcome = nights.tonight(sendto_slower, again=sendto_slower, share_again=0.5)
    doubted = [of for of in outcome.judged if of.doubts]
    assert {(of.cell.method if of.cell else "", of.figure, of.doubts) for of in doubted} == {
        ("sendto", "pps", ("starved",))
    }
    text = " ".join(item.text for item in document_of([outcome]).blocks[0].items)
    assert "pps" in text
    assert "measured again, but starved there: that is no evidence; another session" in text
    assert "sendto" in found(nights.tonight(sendto_slower))["regressed"]


def test_what_the_calibration_shares_is_taken_off_a_shift_and_said(nights: Nights) -> None:
    several(nights, 12)
    assert found(nights.tonight(machine_slower)) == {}
    outcome = nights.tonight(lambda cell: machine_slower(cell) * all_slower(cell))
    (of,) = [of for of in outcome.judged if of.key == ("all", "ns_per_frame")]
    assert of.decision.change == pytest.approx(0.1, abs=0.03)
    assert of.explained == pytest.approx(0.1, abs=0.03)
    text = " ".join(item.text for item in document_of([outcome]).blocks[0].items)
    assert re.search(r"without \+\d+\.\d% that the calibration cells share", text)


def test_a_plain_run_in_the_folder_is_a_night_and_is_counted_apart(nights: Nights) -> None:
    several(nights, 4)
    assert "plain" not in summary(nights.tonight())
    run = sorted(folders.run_files(nights.folder))[1]
    told.path_for(run).unlink()
    outcome = nights.tonight()
    assert (outcome.told.nights, outcome.plain) == (5, 1)
    assert summary(outcome) == "m: 18 cells compared with 5 nights, 1 plain bench run among them"


def test_a_second_session_of_the_same_night_agrees_at_once(nights: Nights) -> None:
    several(nights)
    outcome = nights.tonight(sendto_slower, at_once=True)
    assert found(outcome) == {"regressed": {"sendto"}}
    assert len(confirmations(nights)) == 2
    (second,) = [p for p in confirmations(nights) if p.stem.endswith("-2")]
    assert reader.read(second).header.id not in {
        reader.read(path).header.id for path in (*confirmations(nights)[:1], outcome.run) if path
    }


def test_a_confirmation_measures_suspects_and_calm_cells_in_openings_of_its_own(
    nights: Nights,
) -> None:
    several(nights)
    before = len(nights.openings)
    outcome = nights.tonight(sendto_slower)
    assert outcome.run is not None
    assert len(nights.openings) == before + 6
    (path,) = confirmations(nights)
    again = reader.read(path)
    assert {cell.method for cell in again.cells} == set(METHODS)
    sendto = {c.id for c in reader.read(outcome.run).cells if c.method == "sendto"}
    assert sendto <= {cell.id for cell in again.cells}
    assert again.header.measure.seed != reader.read(outcome.run).header.measure.seed


def test_confirmations_are_no_nights(nights: Nights) -> None:
    several(nights)
    nights.tonight(sendto_slower)
    assert confirmations(nights)
    assert len(nights_in(nights.folder).nights) == 9
    assert len(sources.sources(str(nights.folder))) == 9
    assert nights.tonight().told.nights == 9


def test_one_interface_that_shifts_is_that_and_no_cell(nights: Nights) -> None:
    several(nights)
    assert found(nights.tonight(ifb_slower)) == {"suspected": {"ifb"}}


def test_an_improvement_takes_two_nights_and_begins_a_level(nights: Nights) -> None:
    several(nights)
    assert found(nights.tonight(sendto_faster)) == {}
    assert found(nights.tonight(sendto_faster)) == {"improved": {"sendto"}}
    for _ in range(3):
        assert found(nights.tonight(sendto_faster)) == {}
    assert found(nights.tonight()) == {"suspected": {"sendto"}}


def test_an_acknowledgement_may_name_a_cell_with_its_letter(tmp_path: Path) -> None:
    for name in ("c0165529710", "0165529710", "all"):
        line = f"- {{series: '{name}', since: '2026-11-28T03:00:00+00:00', why: x}}\n"
        (tmp_path / "acknowledged.yaml").write_text(line)
        (entry,) = acknowledgements.read(tmp_path)
        assert entry.series == name.removeprefix("c")


def test_an_acknowledged_change_is_silent_until_the_next_one(nights: Nights) -> None:
    several(nights)
    nights.tonight(sendto_slower)
    outcome = nights.tonight(sendto_slower)
    assert found(outcome) == {"regressed": {"sendto"}}
    for change in outcome.told.changes:
        entry = Acknowledgement(since=change.since, why="known", series=change.series)
        acknowledgements.add(nights.folder, entry)
    for _ in range(3):
        assert found(nights.tonight(sendto_slower)) == {}

    def slower_still(cell: Cell) -> float:
        return sendto_slower(cell) ** 2

    assert found(nights.tonight(slower_still)) == {"suspected": {"sendto"}}


def test_a_note_on_a_night_begins_a_level_for_all(nights: Nights) -> None:
    several(nights)
    since = nights.date + timedelta(hours=12)
    acknowledgements.add(nights.folder, Acknowledgement(since=since, why="new BIOS"))
    for _ in range(4):
        outcome = nights.tonight(all_slower)
        assert found(outcome) == {}
    assert {of.decision.nights for of in outcome.judged} == {3}


def test_acknowledgements_that_cannot_be_read_are_said_and_none_is_known(nights: Nights) -> None:
    several(nights, 1)
    (nights.folder / acknowledgements.NAME).write_text("<<<<<<< HEAD\n- {}\n=======\n")
    (remark,) = nights.tonight().remarks
    assert remark.startswith(f"{nights.folder / acknowledgements.NAME}:")
    assert remark.endswith("no change is taken for a known one")


# What changes around the series


def test_a_new_kernel_is_compared_with_the_old_one_until_it_has_nights_of_its_own(
    nights: Nights,
) -> None:
    several(nights)
    nights.kernel = "6.2"
    outcome = nights.tonight(sendto_slower)
    assert found(outcome) == {"suspected": {"sendto"}}
    assert any("host kernel was 6.1 and is 6.2" in mark for mark in outcome.marks)
    outcome = nights.tonight(sendto_slower)
    assert (found(outcome), outcome.marks) == ({"regressed": {"sendto"}}, ())
    nights.tonight(sendto_slower)
    outcome = nights.tonight(sendto_slower)
    assert found(outcome) == {}
    assert {of.decision.nights for of in outcome.judged} == {3}


def test_another_setting_ends_the_series(nights: Nights) -> None:
    several(nights, 5)
    nights.matrix = {**MATRIX, "measure": {**MATRIX["measure"], "window": "2ms"}}
    outcome = nights.tonight(sendto_slower)
    assert (outcome.told.cells, outcome.told.nights, found(outcome)) == (0, 0, {})
    assert "measure window_ns was 1000000 and is 2000000; the series end here" in outcome.marks[0]
    assert outcome.marks[1] == "the matrix was edited: 0 series begin, 0 end, 18 go on"


def test_cells_of_an_edited_matrix_begin_and_end(nights: Nights) -> None:
    several(nights, 5)
    nights.matrix = {**MATRIX, "axes": {**MATRIX["axes"], "frame_size": [64, 128, 512]}}
    outcome = nights.tonight()
    assert outcome.marks == ("the matrix was edited: 6 series begin, 6 end, 12 go on",)
    assert (outcome.told.cells, outcome.told.nights) == (12, 5)


def test_a_renamed_machine_is_told_where_its_nights_may_be(nights: Nights) -> None:
    nights.folder = nights.folder.parent / "old" / "m"
    several(nights, 5)
    nights.folder = nights.folder.parent.parent / "new" / "m"
    outcome = nights.tonight()
    assert outcome.told.nights == 0
    (mark,) = outcome.marks
    assert "has 5 runs of a machine old: if it is this one, --machine old goes on" in mark
    assert nights.tonight().marks == ()


# Nights that went wrong


def test_a_night_that_was_killed_after_its_run_is_made_up_for(nights: Nights) -> None:
    several(nights, 4)
    outcome = nights.tonight()
    assert outcome.run
    told.write(nights.folder, replace(outcome.told, ended=False, cells=0))
    again = nights.at_once()
    assert (again.run, again.told) == (outcome.run, outcome.told)
    assert again.remarks == (f"{outcome.run} was measured before; its comparison is made up for",)


def test_a_night_that_was_killed_in_its_run_is_gone_on_with(nights: Nights) -> None:
    several(nights, 4)
    outcome = nights.tonight()
    assert outcome.run
    header, *_ = outcome.run.read_text().splitlines(keepends=True)
    outcome.run.write_text(header)
    told.write(nights.folder, replace(outcome.told, ended=False))
    again = nights.at_once()
    assert again.run == outcome.run
    assert reader.read(outcome.run).end == "done"
    assert f"{outcome.run} was killed, and is gone on with" in again.remarks
    assert again.told.cells == 18


def test_a_night_that_was_killed_before_its_run_is_a_failed_one(nights: Nights) -> None:
    several(nights, 4)
    killed = told.Told(run="20260101T000000Z-000000.jsonl", started=nights.date)
    told.write(nights.folder, killed)
    outcome = nights.tonight()
    at = f"{killed.started:%Y-%m-%d %H:%M}"
    assert outcome.told.cells == 18
    stored = told.read(told.path_for(nights.folder / killed.run))
    assert stored.ended
    assert stored.failed == "it was killed, and not gone on with for 12 hours"
    assert not any(at in remark for remark in outcome.remarks)  # a later night went well


def test_a_failed_night_is_stored_with_its_reason_and_said_until_one_succeeds(
    nights: Nights,
) -> None:
    several(nights, 4)
    over = Budget.of(0)
    outcome = nights.tonight(budget=over)
    assert outcome.run is None
    assert "the fewest rounds take" in outcome.told.failed
    stored = told.read(told.path_for(nights.folder / outcome.told.run))
    assert stored == outcome.told
    later = nights.tonight()
    assert any(outcome.told.failed in remark for remark in later.remarks)
    assert not nights.tonight().remarks


def test_corrupt_and_foreign_files_are_said_and_left_out(nights: Nights) -> None:
    several(nights, 4)
    outcome = nights.tonight()
    runs = folders.run_files(nights.folder)
    runs[0].write_text("<<<<<<< HEAD\n" + runs[0].read_text())
    header, rest = runs[1].read_text().split("\n", 1)
    runs[1].write_text(json.dumps(json.loads(header) | {"format": 99}) + "\n" + rest)
    file = told.path_for(nights.folder / outcome.told.run)
    file.write_text("=======\n")
    before = {path: path.read_bytes() for path in (*runs[:2], file)}
    tonight = nights.tonight()
    assert (tonight.told.nights, tonight.plain) == (3, 0)
    for part in (
        f"{runs[0]}:1: the mark of a merge",
        "format 99 is newer",
        f"{file}:1: the mark of a merge",
    ):
        assert any(part in remark for remark in tonight.remarks)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no JSON, or cut off"),
        ('{"run": "a.jsonl", "star', "no JSON, or cut off"),
        ('{"run": "a.jsonl", "started": 3}', "started is 3; it must be a date and time"),
        ('{"run": "a.jsonl"}', "started is missing"),
    ],
)
def test_what_is_nothing_that_a_night_told_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.told.json"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        told.read(path)
    assert str(refused.value).startswith(f"{path}: not what a night has told: ")
    assert said in str(refused.value)


def test_missing_nights_a_second_run_and_a_clock_that_went_back(nights: Nights) -> None:
    several(nights, 5)
    nights.date += timedelta(days=9)
    assert nights.tonight().told.cells == 18
    nights.date += timedelta(hours=1)
    (remark,) = nights.at_once().remarks
    assert "the night has another run" in remark
    nights.date -= timedelta(days=3)
    outcome = nights.at_once()
    assert outcome.told.nights == 7
    assert sum("a clock was or is wrong" in remark for remark in outcome.remarks) == 2


def test_a_budget_takes_rounds_and_says_so(nights: Nights) -> None:
    nights.matrix = {**MATRIX, "measure": {"window": "1ms", "rounds": 400, "openings": 3}}
    outcome = nights.tonight(budget=Budget.of(8_000_000_000))
    (remark,) = outcome.remarks
    assert outcome.run
    run = reader.read(outcome.run)
    assert remark == f"rounds: {run.header.measure.rounds.max} in place of 400, to fit the budget"
    assert_rounds(run, run.header.measure.rounds.max)
    assert 20 <= run.header.measure.rounds.max < 400
