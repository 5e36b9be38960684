"""Run files of older versions are read: those in tests/data are cut out of committed runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import cli
from bench.store import reader
from bench.store.writer import RunWriter
from tests.builders import a_header

FILES = sorted((Path(__file__).parents[1] / "data").glob("*.jsonl"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_old_run_is_read_and_shown(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = reader.read(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    slices = sum(line["type"] == "sample" for line in lines)
    assert len(run.samples) + len(run.calibration_samples) == slices
    assert [cell.id for cell in run.cells] == [cell["id"] for cell in lines[0]["cells"]]
    assert cli.main(["show", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "baseline" in out


def test_what_an_old_run_does_not_say_is_not_known() -> None:
    of = {path.stem: reader.read(path).header for path in FILES}
    without_host = of["without_host"].host
    assert (without_host.kernel, without_host.mitigations, without_host.cpus_allowed) == (
        *("", None),
        (),
    )
    assert of["without_privileges"].measure.privileges == ""
    assert of["without_id"].identity[1:] == ("vm", 1, "mmap_vs_sendto")
    doctor = of["findings_without_verdict"].doctor
    assert (doctor.verdict, len(doctor.findings)) == ("", 2)


def test_a_heading_says_nothing_of_what_is_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = (path for path in FILES if path.stem == "without_host")
    assert cli.main(["show", str(path)]) == 0
    below_the_answer = capsys.readouterr().out.partition("\n  run")[2]
    heading = "  run" + below_the_answer.partition("\nmethod")[0]
    labels = [line[2:].split("  ")[0] for line in heading.splitlines() if line[2:3] != " "]
    assert labels == [
        *("run", "date", "cores used", "core", "measured", "disturbance", "baseline", "all cells"),
        *[""] * (len(labels) - 8),
    ]


def test_two_runs_that_do_not_say_where_they_ran_are_not_told_to_be_of_other_hosts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    of = {path.stem: str(path) for path in FILES}
    assert cli.main(["compare", of["without_host"], of["without_id"]]) == 2
    said = capsys.readouterr().err
    assert "host cpu is unknown in A and AMD EPYC in B" in said


def test_a_header_is_read_as_it_was_written(tmp_path: Path) -> None:
    header = a_header(
        id="x",
        started="2026-01-02T03:04:05+00:00",
        measure={"cpus": [1, 0], "rounds": {"min": 1, "max": 2}, "seed": 3},
        host={"mitigations": {"spectre_v1": "Vulnerable"}, "cpus_allowed": [0, 1]},
        devices={"eth1": {"driver": "igb", "in_use": False, "features": ["a"]}, "eth2": {}},
        thresholds={"c": 0.5},
        doctor={"verdict": "fine", "findings": [{"level": "ok"}]},
    )
    path = tmp_path / "r.jsonl"
    with RunWriter(path) as writer:
        writer.header(header, [])
    assert reader.read(path).header == header
    written = json.loads(path.read_text())
    assert written["devices"] == {
        "eth1": {"driver": "igb", "features": ["a"], "in_use": False},
        "eth2": {},
    }


def test_every_section_of_a_header_is_written_in_one_order(tmp_path: Path) -> None:
    """What reads run files with other tools finds each section where it was."""
    path = tmp_path / "r.jsonl"
    with RunWriter(path) as writer:
        writer.header(a_header(), [])
    written = json.loads(path.read_text())
    assert [*written] == [
        *("type", "format", "id", "started", "matrix", "measure", "core", "host", "devices"),
        *("programs", "doctor", "machine", "filters", "settings", "baselines", "thresholds"),
        *("cells", "calibration"),
    ]
    assert [*written["matrix"]] == ["name", "description", "text", "baseline"]
