"""``latest`` in place of a run file, on every verb that reads a stored run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.cli import main
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
