"""The history of a folder: each run once, in the order of their dates; what is odd is said."""

from __future__ import annotations

import gzip
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.campaign import nights
from bench.campaign.nights import History, Kind
from bench.store.writer import RunWriter
from tests.builders import a_cell, a_header, a_sample

FIRST = datetime(2026, 1, 1, 2, tzinfo=UTC)
NOW = FIRST + timedelta(days=300)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(path: Path, started: datetime | None, rounds: int = 3, **header: Any) -> Path:
    when = {"started": started.isoformat()} if started else {}
    with RunWriter(path) as writer:
        writer.header(a_header(**({"id": path.stem} | when | header)), [a_cell("a")])
        for round_ in range(rounds):
            writer.sample(a_sample("a", round_))
        writer.end("done")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three nights, whose names are not in the order of their dates."""
    for number, name in enumerate(("c", "a", "b")):
        write(tmp_path / f"{name}.jsonl", FIRST + timedelta(days=number))
    return tmp_path


def names(found: History) -> list[str]:
    return [Path(night.run.path).name.partition(".")[0] for night in found.nights]


def said(found: History) -> list[tuple[Kind, str]]:
    return [(oddity.kind, oddity.text) for oddity in found.oddities]


def test_nights_are_in_the_order_in_which_they_began(folder: Path) -> None:
    for _ in range(2):  # the second time from the cache
        found = nights.nights(folder, NOW)
        assert names(found) == ["c", "a", "b"]
        assert [night.started for night in found.nights] == [
            FIRST + timedelta(days=number) for number in range(3)
        ]
        assert said(found) == []
        assert {night.run.rounds for night in found.nights} == {3}


def test_a_folder_that_is_not_there_has_no_nights(tmp_path: Path) -> None:
    assert nights.nights(tmp_path / "none") == History((), ())


def test_a_copy_counts_once_and_the_run_that_got_farthest_is_kept(folder: Path) -> None:
    whole = folder / "c.jsonl"
    (folder / "z.jsonl.gz").write_bytes(gzip.compress(whole.read_bytes()))
    longer = write(folder / "d.jsonl", FIRST + timedelta(days=1), rounds=4, id="a")
    found = nights.nights(folder, NOW)
    assert names(found) == ["c", "d", "b"]
    assert sorted(said(found)) == [
        (Kind.COPY, f"{folder}/a.jsonl is the same run as {longer}: it counts once"),
        (Kind.COPY, f"{folder}/z.jsonl.gz is the same run as {whole}: it counts once"),
    ]


def test_what_cannot_be_read_is_said_and_left_out(folder: Path) -> None:
    lines = (folder / "a.jsonl").read_text().splitlines(keepends=True)
    marked = [lines[0], "<<<<<<< ours\n", lines[1], "=======\n", ">>>>>>> theirs\n", *lines[2:]]
    (folder / "a.jsonl").write_text("".join(marked))
    (folder / "b.jsonl").write_text(json.dumps(json.loads(lines[0]) | {"format": 99}) + "\n")
    (folder / "d.jsonl").write_bytes(b"\x00\xff")
    (folder / "e.jsonl").mkdir()
    found = nights.nights(folder, NOW)
    assert names(found) == ["c"]
    assert [kind for kind, _ in said(found)] == [
        Kind.MERGE,
        Kind.FORMAT,
        Kind.UNREADABLE,
        Kind.UNREADABLE,
    ]
    merge, newer, *others = (text for _, text in said(found))
    assert merge == f"{folder}/a.jsonl:2: the mark of a merge; keep one side of it; left out"
    assert newer.startswith(f"{folder}/b.jsonl:1: format 99 is newer than this bench reads")
    assert all(text.endswith("; left out") for text in others)


def test_a_run_that_does_not_say_when_it_began_is_left_out(folder: Path) -> None:
    undated = write(folder / "d.jsonl", None)
    found = nights.nights(folder, NOW)
    assert names(found) == ["c", "a", "b"]
    text = f"{undated}: does not say when it began; left out"
    assert said(found) == [(Kind.UNDATED, text)]


def test_a_run_from_the_future_shows_that_a_clock_was_wrong(folder: Path) -> None:
    found = nights.nights(folder, FIRST + timedelta(days=1, hours=1))
    assert names(found) == ["c", "a", "b"]
    assert said(found) == [
        (
            Kind.FUTURE,
            f"{folder}/b.jsonl: began 2026-01-03 02:00:00 UTC, and it is 2026-01-02 03:00:00 UTC "
            "now: a clock was or is wrong",
        )
    ]


def test_a_second_run_of_a_night_is_said(folder: Path) -> None:
    again = write(folder / "d.jsonl", FIRST + timedelta(hours=1))
    found = nights.nights(folder, NOW)
    assert names(found) == ["c", "d", "a", "b"]
    text = f"{again}: the night has another run, {folder}/c.jsonl"
    assert said(found) == [(Kind.SAME_NIGHT, text)]


def test_a_run_that_was_killed_is_a_night_with_what_it_has(folder: Path) -> None:
    path = folder / "b.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    found = nights.nights(folder, NOW)
    assert found.nights[-1].run.end == ""
    assert found.nights[-1].run.rounds == 3
    assert [kind for kind, _ in said(found)] == [Kind.CUT_OFF]


def test_a_run_that_changed_is_read_again(folder: Path) -> None:
    nights.nights(folder, NOW)
    shutil.copy(write(folder / "new" / "b.jsonl", FIRST, rounds=5), folder / "b.jsonl")
    found = nights.nights(folder, NOW)
    rounds = {Path(night.run.path).stem: night.run.rounds for night in found.nights}
    assert rounds == {"c": 3, "a": 3, "b": 5}
