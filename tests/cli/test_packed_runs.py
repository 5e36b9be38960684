"""A run that gzip packed is read wherever a run is, and is called by the same name."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests import run_files
from tests.running import Outcome, inside

FORMATS = ("markdown", "csv", "json")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Results of a machine: as they were written, and packed."""
    plain, packed = tmp_path / "plain", tmp_path / "packed"
    for folder in (plain, packed):
        (folder / "here" / "m").mkdir(parents=True)
    for number in range(3):
        header = {"started": f"2026-11-2{number}T03:00:00+00:00", **run_files.HEADER}
        run = run_files.write(plain / "here" / "m" / f"{number}.jsonl", 1 + number / 50, header)
        packed_run = packed / "here" / "m" / f"{run.name}.gz"
        packed_run.write_bytes(gzip.compress(run.read_bytes()))
    return plain, packed


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("verb", ["show", "compare", "compare folder", "history"])
def test_every_verb_says_the_same_of_it(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], verb: str, form: str
) -> None:
    def said(results: Path) -> str:
        folder = results / "here" / "m"
        first, *_, last = sorted(folder.iterdir())
        arguments = {
            "show": ["show", first],
            "compare": ["compare", first, last],
            "compare folder": ["compare", folder, last],
            "history": ["history", "m", "--machine", "here", "--results", results],
        }
        outcome = inside(capsys, *arguments[verb], "--format", form)
        assert outcome.code in (0, 3, 4)
        for folder in folders:  # where a run is from, and what it has for an id
            outcome = Outcome(outcome.code, outcome.out.replace(str(folder), "R"), "")
        return outcome.out.replace(".jsonl.gz", ".jsonl")

    plain, packed = map(said, folders)
    assert packed == plain
