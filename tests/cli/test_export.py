"""``bench export``: which file, which cells, and what is said of those that are not in it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from bench.render.export import EXPORTS
from bench.store.writer import RunWriter
from tests.builders import a_header
from tests.render.export.runs import a_measured_run, cells
from tests.running import complaints, inside

TEXTS = [name for name, export in EXPORTS.items() if export.is_text]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return store(tmp_path / "r.jsonl")


def store(path: Path, rounds: int = 8, failures: bool = False) -> Path:
    """A run of two cells, of which the last has failed or none has."""
    made = a_measured_run(rounds=rounds, openings=1) if rounds else None
    first, second = cells()
    with RunWriter(path) as writer:
        writer.header(
            a_header(baselines={second.id: first.id}, started="2026-11-28T03:00:00+00:00"),
            cells(),
            (),
        )
        for sample in made.samples if made else ():
            if not (failures and sample.cell == second.id):
                writer.sample(sample)
        if failures:
            writer.failure(second.id, "no such thing")
        writer.end("done")
    return path


@pytest.mark.parametrize("form", EXPORTS)
def test_every_format_is_written_to_a_file(
    run: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    file = run.with_name("out")
    outcome = inside(capsys, "export", run, "--format", form, "-o", file)
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert file.stat().st_size > 100
    assert {path.name for path in run.parent.iterdir()} == {"r.jsonl", "out"}


@pytest.mark.parametrize("form", TEXTS)
def test_every_text_goes_to_stdout_and_is_that_of_a_packed_run(
    run: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    packed = run.with_name("r.jsonl.gz")
    packed.write_bytes(gzip.compress(run.read_bytes()))
    shown = inside(capsys, "export", run, "--format", form)
    assert shown.code == 0
    assert shown.out.endswith("\n")
    assert inside(capsys, "export", packed, "--format", form) == shown


def test_a_filter_chooses_cells(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["export", run, "--format", "bencher", "--filter"]
    (name,) = json.loads(inside(capsys, *arguments, "method=tx_ring").out)
    assert "/method=tx_ring/" in name
    assert "no cell of" in complaints(capsys, *arguments, "method=send")[0]


def test_a_cell_without_figures_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = store(tmp_path / "r.jsonl", failures=True)
    outcome = inside(capsys, "export", run, "--format", "bencher")
    assert (outcome.code, len(json.loads(outcome.out))) == (0, 1)
    (line,) = outcome.complaints
    assert line.startswith("m/interface=lo/method=tx_ring/")
    assert line.endswith(": no figures: no such thing")


@pytest.mark.parametrize("form", TEXTS)
def test_a_run_without_rounds_has_nothing_to_export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    """What the format has for nothing is written: its reader shall not take yesterday's file."""
    run = store(tmp_path / "r.jsonl", rounds=0)
    outcome = inside(capsys, "export", run, "--format", form)
    assert outcome.code == 4
    assert outcome.complaints == [f"{run}: no cell has figures"]


def test_an_existing_file_is_replaced_but_no_run(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = run.with_name("x.json")
    file.write_text("old")
    arguments = ["export", run, "--format", "bencher", "--output"]
    assert inside(capsys, *arguments, file).code == 0
    assert json.loads(file.read_text())
    before = run.read_bytes()
    (line,) = complaints(capsys, *arguments, run)
    assert line == f"--output {run}: the table would replace it; name another file"
    assert run.read_bytes() == before


def test_where_the_file_cannot_be_written_one_line_says_so(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["export", run, "--format", "go", "-o"]
    (line,) = complaints(capsys, *arguments, run.parent / "none" / "x")
    assert "name a file in a folder that is there" in line
    (line,) = complaints(capsys, *arguments, run.parent)
    assert "name a file in a folder that is there" in line


def test_a_file_that_is_no_text_is_not_for_a_terminal(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    (line,) = complaints(capsys, "export", run, "--format", "parquet")
    assert line == "--format parquet is no text for a terminal; name --output FILE"


def test_what_is_no_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = complaints(capsys, "export", tmp_path / "none.jsonl", "--format", "go")
    assert line == f"{tmp_path}/none.jsonl: No such file or directory; name a run file (.jsonl)"
