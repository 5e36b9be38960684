"""pytest-benchmark's JSON, read by pytest-benchmark."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_benchmark.stats import Stats

from bench.render.export import pytest_benchmark
from tests.render.export.runs import ODD, a_measured_run, exported, measured

times = st.lists(st.floats(1e-9, 1e-3), min_size=1, max_size=40)


@given(times)
def test_statistics_are_those_of_pytest_benchmark(data: list[float]) -> None:
    theirs = Stats()
    for time in data:
        theirs.update(time)
    ours = pytest_benchmark.stats_of(data)
    exact = ("min", "max", "rounds", "median", "q1", "q3", "iqr", "ld15iqr", "hd15iqr")
    assert {name: ours[name] for name in exact} == {
        name: value for name, value in theirs.as_dict().items() if name in exact
    }
    for name in ("mean", "total", "ops"):
        assert ours[name] == pytest.approx(theirs.as_dict()[name])
    assert ours["stddev"] == pytest.approx(theirs.stddev, abs=1e-12)
    assert {*theirs.as_dict()} <= ours.keys()


def test_a_cell_is_a_benchmark_with_its_axes_and_its_true_rate() -> None:
    made = json.loads(pytest_benchmark.make(exported()))
    _, ring = made["benchmarks"]
    assert ring["name"].startswith("m[interface=lo/method=tx_ring/frame_size=64/burst=16/")
    assert ring["params"]["burst"] == 16
    assert ring["params"]["ring"] == "v2 256x4096/2048"
    assert ring["stats"]["median"] == pytest.approx(1 / 1_200_000)
    assert ring["extra_info"]["pps"] == 1_200_000
    assert ring["extra_info"]["completed_frames"] == 30 * 12_000
    assert made["machine_info"]["release"] == "6.18"
    assert made["datetime"] == "2026-11-28T03:00:00+00:00"


def compare(folder: Path, *arguments: object) -> str:
    """What ``pytest-benchmark compare`` prints."""
    command = [str(Path(sys.executable).with_name("pytest-benchmark")), "compare"]
    done = subprocess.run(
        [*command, *map(str, arguments)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pytest_benchmark_compares_two_runs(tmp_path: Path) -> None:
    files = [tmp_path / "0001_a.json", tmp_path / "0002_b.json"]
    for file in files:
        file.write_bytes(pytest_benchmark.make(measured(a_measured_run())))
    table = compare(
        tmp_path,
        *files,
        *("--group-by=param:method", "--histogram=plot", "--csv=all.csv"),
        *("--columns=min,median,iqr,ops,rounds", "--sort=mean"),
    )
    assert "method=tx_ring" in table
    assert table.count("0002_b)") == 2
    assert len([*tmp_path.glob("plot*.svg")]) == 2
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 5


@pytest.mark.parametrize("odd", ODD)
def test_pytest_benchmark_reads_whatever_a_run_has(tmp_path: Path, odd: str) -> None:
    file = tmp_path / "0001_odd.json"
    file.write_bytes(pytest_benchmark.make(ODD[odd]()))
    assert "Traceback" not in compare(tmp_path, file, "--columns=median,ops")
