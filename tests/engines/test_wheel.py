"""A method of the user's own where bench is installed from a wheel, without its sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.own import sends_nothing
from tests.running import ROOT, Bench

MADE_OF = ("bench", "csrc", "setup.py", "pyproject.toml", "README.md")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a wheel of this checkout holds."""
    if shutil.which("gcc") is None:  # only where the core came built, as to a virtual machine
        pytest.skip("gcc is missing")
    sources, wheels, place = (tmp_path_factory.mktemp(name) for name in ("src", "whl", "site"))
    leave = shutil.ignore_patterns("__pycache__", "*.so", ".core.lock")
    for name in MADE_OF:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, sources / name, ignore=leave)
        else:
            shutil.copy(ROOT / name, sources / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    for command in (
        [*pip, "wheel", *offline, "--no-build-isolation", "-w", wheels, sources],
        [*pip, "install", *offline, "--target", place, "--find-links", wheels, "bench"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return place


def test_it_is_compiled_against_the_headers_that_the_wheel_has(
    bench: Bench, installed: Path
) -> None:
    bench.environment["PYTHONPATH"] = os.fspath(installed)
    shown = bench("init", "--engine", "written.c")
    assert shown.code == 0, shown.err
    engine = sends_nothing(bench.folder)
    matrix = bench.matrix({"method": ["mine", "null"], "frame_size": [64]})
    outcome = bench("run", matrix, "--engine", engine, "--engine", "written.c")
    assert outcome.code == 0, outcome.err
    assert bench.stored().header.core.engines.keys() == {"mine", "written"}
    assert not (installed / "csrc").exists()
