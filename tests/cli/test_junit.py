"""``--junit FILE`` of the verbs that give verdicts: beside the table, not instead of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from junitparser import JUnitXml

from tests import run_files
from tests.running import Bench, complaints, inside


def counts(file: Path) -> tuple[int, int, int, int]:
    """Cases, failures, errors, skipped ones."""
    whole = JUnitXml.fromstring(file.read_bytes())
    return tuple(
        sum(getattr(suite, name) for suite in whole)
        for name in ("tests", "failures", "errors", "skipped")
    )  # type: ignore[return-value]


def test_compare_writes_its_verdicts_beside_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(6):
        run_files.write(tmp_path / f"{number}.jsonl", 1)
    slow = run_files.write(tmp_path / "slow.jsonl", 1.2)
    file = tmp_path / "x.xml"
    arguments = ["compare", tmp_path / "0.jsonl", slow, "--all"]
    table = inside(capsys, *arguments)
    assert inside(capsys, *arguments, "--junit", file) == table
    assert table.code == 3
    cases, failures, errors, _ = counts(file)
    assert (cases, errors) == (len(run_files.CELLS), 0)
    assert failures >= 1


def test_nightly_writes_what_it_told(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    file = bench.folder / "night.xml"
    arguments = ["nightly", bench.matrix(), "--results", bench.results, "--junit", file]
    outcome = inside(capsys, *arguments)
    assert outcome.code == 0
    cases, failures, errors, skipped = counts(file)
    assert cases >= 2
    assert (failures, errors) == (0, 0)
    assert skipped == cases


def test_ab_writes_its_verdicts(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    file = bench.folder / "ab.xml"
    arguments = ["ab", bench.matrix(), "--results", bench.results, "--junit", file]
    assert inside(capsys, *arguments).code in (0, 4)
    assert counts(file)[0] >= 2


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = bench.matrix()
    arguments = ["nightly", matrix, "--results", bench.results]
    (line,) = complaints(capsys, *arguments, "--junit", bench.folder / "none" / "x.xml")
    assert line.endswith("none/x.xml: name a file in a folder that is there")
    for option in ("--junit", "--output"):
        (line,) = complaints(capsys, *arguments, option, matrix)
        assert line == f"{option} {matrix}: the table would replace it; name another file"
    both = bench.folder / "x"
    (line,) = complaints(capsys, *arguments, "--junit", both, "--output", both)
    assert line == f"--output {both} and --junit {both} are one file; name two"
    assert bench.files() == []
