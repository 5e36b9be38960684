"""`bench nightly` and `bench ack` as a timer or a user calls them."""

from __future__ import annotations

import csv
import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.campaign import commit, lock, nightly, told
from bench.store import reader
from tests.running import Bench, assert_rounds, complaints, inside

MATRIX = """
name: NAME
axes: {method: ['null'], frame_size: [64, 128]}
measure: {window: 1ms, rounds: 30}
"""


def a_matrix(folder: Path, name: str = "m") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(MATRIX.replace("NAME", name))
    return path


@pytest.fixture
def options(tmp_path: Path, built_core: None) -> list[object]:
    return ["--results", tmp_path / "results", "--machine", "here"]


def folder_of(tmp_path: Path, name: str = "m") -> Path:
    return tmp_path / "results" / "here" / name


def test_a_night_is_stored_with_its_tables_and_reported(bench: Bench, tmp_path: Path) -> None:
    """Without a terminal; the run is packed, and can be shown."""
    first, second = a_matrix(tmp_path, "m"), a_matrix(tmp_path, "k")
    results = tmp_path / "results"
    done = bench("nightly", first, second, "--results", results, "--machine", "here")
    assert (done.code, done.err) == (0, "")
    assert "m: 0 cells compared with 0 nights" in done.out
    assert "k: 0 cells compared with 0 nights" in done.out
    assert not (results / lock.NAME).exists()
    for name in "mk":
        (run,) = folder_of(tmp_path, name).glob("*.jsonl")
        assert '{"type":"samples"' in run.read_text()
        assert_rounds(reader.read(run), rounds=30)
        rows = [*csv.DictReader(run.with_suffix(".csv").open())]
        assert [row["frame_size"] for row in rows] == ["64", "128"]
        assert f"- **run:** {run.stem}" in run.with_suffix(".md").read_text()
        assert told.read(told.path_for(run)).ended


def test_a_night_counts_the_nights_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[object]
) -> None:
    matrix = a_matrix(tmp_path)
    for _ in range(3):
        assert inside(capsys, "nightly", matrix, *options).code == 0
    outcome = inside(capsys, "nightly", matrix, *options, "--format", "json")
    (night,) = json.loads(outcome.out)["nights"]
    assert (night["cells"], night["nights"]) == (2, 3)


def test_matrices_of_one_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[object]
) -> None:
    matrix = a_matrix(tmp_path)
    (said,) = complaints(capsys, "nightly", matrix, matrix, *options)
    assert said.endswith("matrices of one night need names of their own")


def test_bad_arguments_are_known_before_anything_is_measured(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    matrix = a_matrix(tmp_path)
    (said,) = complaints(capsys, "nightly", matrix, *options, "--budget", "1s")
    assert said.startswith("--budget: the fewest rounds of every cell take")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (said,) = complaints(capsys, "nightly", matrix, *options, "--commit")
    assert "not a git repository" in said
    assert not folder_of(tmp_path).exists()


def test_a_second_job_is_told_of_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[object]
) -> None:
    matrix = a_matrix(tmp_path)
    with lock.held(tmp_path / "results"):
        (said,) = complaints(capsys, "nightly", matrix, *options)
    assert f"process {os.getpid()} (since" in said
    assert not folder_of(tmp_path).exists()


def test_a_commit_that_fails_costs_no_result(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object) -> str:
        raise BenchError(f"git commit failed: {os.strerror(errno.ENOSPC)}")

    monkeypatch.setattr(commit, "check", lambda _folder: "a merge is under way; end it")
    monkeypatch.setattr(commit, "commit", full)
    outcome = inside(capsys, "nightly", a_matrix(tmp_path), *options, "--commit")
    assert outcome.code == 1
    before, said = outcome.complaints
    assert before.startswith("--commit: a merge is under way; end it")
    assert said.endswith(f"the results stay in {folder_of(tmp_path)}, uncommitted")
    assert "0 cells compared with 0 nights" in outcome.out
    assert [*folder_of(tmp_path).glob("*.jsonl")]


def test_one_matrix_that_fails_does_not_keep_others_from_their_night(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = nightly.runner.run

    def failing(matrix: object, *arguments: object) -> object:
        if getattr(matrix, "name", "") == "m":
            raise BenchError("the cable is out")
        return run(matrix, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(nightly.runner, "run", failing)
    matrices = [a_matrix(tmp_path, "m"), a_matrix(tmp_path, "k")]
    outcome = inside(capsys, "nightly", *matrices, *options)
    assert outcome.code == 1
    assert "m: 0 cells compared: the night failed: the cable is out" in outcome.out
    assert "k: 0 cells compared with 0 nights" in outcome.out


# Acknowledging


def a_told_night(folder: Path, series: str) -> datetime:
    since = datetime(2026, 11, 27, 3, tzinfo=UTC)
    change = told.Change(series, "pps", "regressed", -0.05, -0.06, -0.04, since, None, True)
    told.write(folder, told.Told("r.jsonl", since, ended=True, changes=(change,)))
    return since


def test_an_acknowledgement_is_since_when_the_change_was_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[object]
) -> None:
    a_told_night(folder_of(tmp_path), "all")
    a_told_night(folder_of(tmp_path, "k"), "abc")
    assert inside(capsys, "ack", "all", "--why", "a: new kernel #7", *options).code == 0
    text = (folder_of(tmp_path) / "acknowledged.yaml").read_text()
    assert 'series: "all", since: "2026-11-27T03:00:00+00:00", why: "a: new kernel #7"}\n' in text
    assert not (folder_of(tmp_path, "k") / "acknowledged.yaml").exists()
    assert inside(capsys, "ack", "--night", "2026-11-28", "--note", "BIOS", *options).code == 0
    after = (folder_of(tmp_path) / "acknowledged.yaml").read_text()
    assert after.startswith(text)
    assert (folder_of(tmp_path, "k") / "acknowledged.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["all"], "write CELL|SHIFT --why TEXT, or --night DATE --note TEXT"),
        (["--night", "2026-11-28"], "write CELL|SHIFT --why TEXT, or --night DATE --note TEXT"),
        (["abc", "--why", "x"], "no night told a change of abc; told were: all"),
        (["all", "--why", "x"], "all changed in k, m; name one with --matrix"),
        (["all", "--why", "x", "--matrix", "o"], "name --results, --machine and --matrix"),
    ],
)
def test_what_cannot_be_acknowledged(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[object],
    arguments: list[str],
    said: str,
) -> None:
    for name in "mk":
        a_told_night(folder_of(tmp_path, name), "all")
    (complaint,) = complaints(capsys, "ack", *arguments, *options)
    assert complaint.endswith(said)


def test_a_file_of_acknowledgements_in_conflict_is_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[object]
) -> None:
    a_told_night(folder_of(tmp_path), "all")
    path = folder_of(tmp_path) / "acknowledged.yaml"
    path.write_text("- {since: 2026-01-01, why: a}\n<<<<<<< HEAD\n")
    (said,) = complaints(capsys, "ack", "all", "--why", "x", *options)
    assert said.startswith(f"{path}:2: the mark of a merge")
    assert path.read_text().endswith("<<<<<<< HEAD\n")
