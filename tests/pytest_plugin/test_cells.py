"""`pytest MATRIX --matrix`: cells as tests, and as pytest-benchmark's benchmarks."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bench.analysis.figures import pps, usable_by_cell
from bench.base import ids
from bench.store import reader
from tests.pytest_plugin.sessions import Pytest
from tests.running import Bench, ended, wait_for

STORED = ("--bench-results", "results")


def test_each_cell_is_a_test_and_one_run_has_them_all(run_pytest: Pytest) -> None:
    run_pytest.matrix()
    session = run_pytest("m.yaml", "--matrix", *STORED, "--benchmark-json=b.json", "-v")
    assert session.code == 0, session.text
    assert "m.yaml::null[burst:1] PASSED" in session.text
    (path,) = run_pytest.runs()
    assert f"stored in {path}" in session.text
    run = reader.read(path)
    samples = usable_by_cell(run)
    benchmarks = json.loads((run_pytest.folder / "b.json").read_text())["benchmarks"]
    assert [b["name"] for b in benchmarks] == ["null[burst:1]", "null[burst:64]"]
    for cell, benchmark in zip(run.cells, benchmarks, strict=True):
        assert benchmark["stats"]["data"] == [1 / pps(sample) for sample in samples[cell.id]]
        assert benchmark["params"]["burst"] == str(cell.values["burst"])
        extra = benchmark["extra_info"]
        assert (extra["cell"], extra["run"]) == (ids.shown(cell.id), path.stem)
        assert extra["axes"]["burst"] == cell.values["burst"]
        assert benchmark["stats"]["min"] <= 1 / extra["pps"] <= benchmark["stats"]["max"]


def test_only_selected_cells_and_their_baselines_run(run_pytest: Pytest) -> None:
    run_pytest.matrix({"method": ["null"], "frame_size": [64, 128], "burst": [1, 8, 64]})
    only = "burst:64 and frame_size:128"
    assert run_pytest("m.yaml", "--matrix", *STORED, "-k", only).code == 0
    cells = reader.read(run_pytest.runs()[0]).cells
    assert [(c.frame_size, c.values["burst"]) for c in cells] == [(128, 1), (128, 64)]
    by_id = "m.yaml::null[frame_size:64-burst:8]"
    assert run_pytest(by_id, "--matrix", *STORED).code == 0
    cells = reader.read(run_pytest.runs()[-1]).cells
    assert [(c.frame_size, c.values["burst"]) for c in cells] == [(64, 1), (64, 8)]


def test_nothing_runs_to_collect(run_pytest: Pytest) -> None:
    run_pytest.matrix()
    session = run_pytest("m.yaml", "--matrix", *STORED, "--collect-only", "-q")
    assert session.code == 0
    assert session.text.splitlines()[:2] == ["m.yaml::null[burst:1]", "m.yaml::null[burst:64]"]
    assert run_pytest.runs() == []


def test_errors_of_a_file_are_told_with_their_places(run_pytest: Pytest) -> None:
    text = "name: m\naxes:\n  method: [nul]\n  burst: [1, 0]\n"
    (run_pytest.folder / "m.yaml").write_text(text)
    session = run_pytest("m.yaml", "--matrix")
    assert session.code == 2
    assert "m.yaml:3:12: " in session.text
    assert "m.yaml:4:14: " in session.text
    assert "Traceback" not in session.text
    assert ".py" not in session.text.partition("ERRORS")[2]


def test_a_cell_that_failed_is_a_test_that_failed(run_pytest: Pytest) -> None:
    axes = {"method": ["null"], "threads": [1, 64], "burst": [1]}
    run_pytest.matrix(axes, baseline={"threads": 1})
    session = run_pytest("m.yaml", "--matrix", "-rA")
    assert session.code == 1
    assert "PASSED m.yaml::null[threads:1]" in session.text
    assert "FAILED m.yaml::null[threads:64]" in session.text
    assert "64 threads" in session.text.partition("FAILURES")[2]
    assert "Traceback" not in session.text


def test_a_run_that_cannot_be_is_told_once_by_each_cell(run_pytest: Pytest) -> None:
    run_pytest.matrix()
    session = run_pytest("m.yaml", "--matrix", "--bench-args=--no-such-option")
    assert session.code == 1
    assert session.text.count("unrecognized arguments: --no-such-option\n") == 2


def without_xdist(environment: Mapping[str, str]) -> dict[str, str]:
    """What a session of its own has, wherever this one runs."""
    return {k: v for k, v in environment.items() if not k.startswith("PYTEST_XDIST")}


def test_an_interrupt_ends_the_run_too(run_pytest: Pytest, tmp_path: Path) -> None:
    run_pytest.matrix(rounds=100_000)
    watched = Bench(tmp_path)  # whatever it starts bears a mark
    command = [sys.executable, "-m", "pytest", "-p", "bench.pytest_plugin", "-p", "no:xdist"]
    process = subprocess.Popen(
        [*command, "m.yaml", "--matrix", *STORED],
        cwd=tmp_path,
        env=without_xdist(watched.environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for(watched.files, "a run has begun", process)
    wait_for(watched.samples, "something is measured", process)
    process.send_signal(signal.SIGINT)
    ended(process)
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert watched.processes() == {}
    assert watched.stored().end == "interrupted"


def test_in_a_folder_only_matrices_are_collected(run_pytest: Pytest) -> None:
    run_pytest.matrix()
    (run_pytest.folder / "n.yml").write_text("name: other\naxes:\n  method: ['null']\n")
    (run_pytest.folder / "other.yaml").write_text("on: push\njobs: [axes]\n")
    (run_pytest.folder / "m.yaml").rename(run_pytest.folder / "json.yaml")
    session = run_pytest("--matrix", "--collect-only", "-q")
    assert session.text.splitlines()[0] == "n.yml::null"
    assert "other.yaml" not in session.text
    assert "n.yml" not in run_pytest("--collect-only", "-q").text


def test_it_takes_pytest_benchmark_and_no_workers(run_pytest: Pytest) -> None:
    run_pytest.matrix()
    without = run_pytest("m.yaml", "--matrix", "-p", "no:benchmark")
    assert without.code == 4
    assert "pytest-benchmark" in without.text
    workers = run_pytest.bare(
        *("-m", "pytest", "-p", "bench.pytest_plugin", "m.yaml", "--matrix", "-n", "2")
    )
    assert workers.code == 4
    assert "leave -n out" in workers.text


def test_a_disabled_benchmark_measures_nothing(run_pytest: Pytest) -> None:
    run_pytest.matrix()
    for option in ("--benchmark-disable", "--benchmark-skip"):
        session = run_pytest("m.yaml", "--matrix", *STORED, option)
        assert session.code == 0
        assert "2 skipped" in session.text
    assert run_pytest.runs() == []


@pytest.mark.parametrize("machine", [(), ("--bench-args=--machine ci",)])
def test_runs_are_kept_in_the_cache_three_of_a_matrix(
    run_pytest: Pytest, machine: tuple[str, ...]
) -> None:
    run_pytest.matrix(rounds=2)
    assert run_pytest("m.yaml", "--matrix", *machine).code == 0
    cache = run_pytest.folder / ".pytest_cache/d/bench"
    (first,) = cache.rglob("*.jsonl")
    for day in range(1, 4):
        for file in (first, first.with_suffix(".md")):
            shutil.copy(file, file.with_stem(f"2020010{day}T000000Z-old"))
    assert run_pytest("m.yaml", "--matrix", *machine).code == 0
    cached = sorted(cache.rglob("*.jsonl"))
    assert cached[1] == first
    assert len(cached) == 3
    assert len([*cached[0].parent.iterdir()]) == 6  # each with its table


def test_without_a_cache_nothing_is_left(run_pytest: Pytest) -> None:
    run_pytest.matrix(rounds=2)
    session = run_pytest("m.yaml", "--matrix", "-p", "no:cacheprovider")
    assert session.code == 0
    assert "stored in" not in session.text


def test_what_pytest_benchmark_does_with_its_own_it_does_with_cells(run_pytest: Pytest) -> None:
    run_pytest.matrix()
    matrix = ("m.yaml", "--matrix")
    assert run_pytest(*matrix, "--benchmark-save=first").code == 0
    second = run_pytest(
        *(*matrix, "--benchmark-save=second", "--benchmark-compare", "--benchmark-histogram=h"),
        "--benchmark-group-by=param:burst",
    )
    assert second.code == 0, second.text
    assert "benchmark 'burst=64': 2 tests" in second.text
    assert "machine_info is different" not in second.text
    assert len([*run_pytest.folder.glob("h*.svg")]) == 2
    (storage,) = (run_pytest.folder / ".benchmarks").iterdir()  # a folder per machine
    command = ("-m", "pytest_benchmark", "--storage", storage, "compare")
    compared = run_pytest.bare(*command, "--group-by=func", "--columns=median,ops")
    assert compared.code == 0, compared.text
    assert "benchmark 'null': 4 tests" in compared.text
