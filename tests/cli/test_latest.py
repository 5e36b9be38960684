"""``latest`` in place of a run file, on every verb that reads a stored run."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.campaign import sources
from bench.cli import main
from tests.run_files import write
from tests.running import measured

VERBS = {
    "show": [],
    "export": ["--format", "go"],
    "report": ["-o", "latest.html"],
    "plot": ["--kind", "time", "-o", "latest.svg"],
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, built_core: None) -> Path:
    axes = {"method": ["null"], "frame_size": [64, 1514]}
    return Path(measured(tmp_path_factory.mktemp("stored"), axes).path)


@pytest.mark.parametrize("verb", VERBS)
def test_latest_is_the_run_that_was_started_last(
    verb: str,
    stored: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([verb, "latest", *VERBS[verb]]) == 2
    assert "latest: no run below results/" in capsys.readouterr().err
    folder = tmp_path / "results" / "here" / "m"
    folder.mkdir(parents=True)
    shutil.copy(stored, folder)
    printed = []
    for run in ("latest", str(folder / stored.name)):
        assert main([verb, run, *VERBS[verb]]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_a_clock_that_was_wrong_once_does_not_make_a_run_the_latest_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    times = {"a": "2031-01-01T00:00:00", "b": "2026-01-02T00:00:00Z", "c": "2026-01-01T00:00:00Z"}
    for name, started in times.items():
        write(tmp_path / "results" / "m" / "x" / f"{name}.jsonl", 1.0, {"started": started})
    now = datetime(2026, 2, 1, tzinfo=UTC)
    assert sources.latest(now=now).name == "b.jsonl"
    runs = sources.read([(path, None) for path in sorted(tmp_path.rglob("*.jsonl"))])
    assert [Path(run.path).stem for run in sources.in_order(runs, now)] == ["a", "c", "b"]


def test_a_folder_of_results_may_be_a_link_and_one_that_leads_back_is_entered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "disk" / "x" / "a.jsonl", 1.0, {"started": "2026-01-01T00:00:00Z"})
    (tmp_path / "disk" / "x" / "back").symlink_to(tmp_path / "disk")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "ci").symlink_to(tmp_path / "disk")
    assert sources.latest() == Path("results", "ci", "x", "a.jsonl")
