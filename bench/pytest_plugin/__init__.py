"""The pytest plugin: cells of matrices as tests, and tests of what a matrix measures.

pytest loads this module at every start, whether a session measures or not: it imports nothing of
bench. What measures is imported where it is used.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from bench.pytest_plugin.measured import MeasuredMatrix
    from bench.pytest_plugin.runs import Runs

ENDINGS = (".yaml", ".yml")
_HAS_AXES = re.compile(rb"^(axes|\"axes\"|'axes')\s*:", re.MULTILINE)
"""In a folder, a YAML file without it is no matrix."""
_RUNS: pytest.StashKey[Runs] = pytest.StashKey()
ALONE = "other workers would disturb what is measured: leave -n out"
MARKER = (
    "bench(matrix, **axes): the test asks its fixture bench_matrix about the cells of a matrix "
    "file (beside the test, or from the root) that have these values"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench", "benchmark matrices of transmit methods (bench)")
    group.addoption(
        "--matrix",
        action="store_true",
        help="collect matrix files (*.yaml): a test for each cell, and one run for all of a file",
    )
    group.addoption(
        "--bench-compare",
        metavar="RUN",
        help="fail cells that regressed against a stored run, as `bench compare` decides it: a run "
        "file, a folder of them, or a folder with a folder for each matrix",
    )
    group.addoption(
        "--bench-strict",
        action="store_true",
        help="what is inconclusive fails, instead of being skipped or passing",
    )
    group.addoption(
        "--bench-results",
        metavar="FOLDER",
        help="store runs as `bench run` does (default: the last 3 of a matrix in pytest's cache)",
    )
    group.addoption(
        "--bench-args",
        metavar="OPTIONS",
        default="",
        help="further options of `bench run`, in one argument: --bench-args='--allow-device eth1'",
    )


@pytest.hookimpl(tryfirst=True)  # pytest-benchmark looks at its options when it configures itself
def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if not config.getoption("matrix"):
        return
    if config.getoption("dist", "no") != "no" or hasattr(config, "workerinput"):
        raise pytest.UsageError(f"--matrix measures all cells in one run, and {ALONE}")
    if not hasattr(config.option, "benchmark_storage"):  # it has been loaded if it has its options
        raise pytest.UsageError(
            "--matrix reports through pytest-benchmark, which is not there or switched off: "
            "pip install 'bench[pytest]', without -p no:benchmark"
        )
    from bench.pytest_plugin import benchmark

    benchmark.prepare(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if not parent.config.getoption("matrix") or file_path.suffix not in ENDINGS:
        return None
    if not (parent.session.isinitpath(file_path) or _HAS_AXES.search(file_path.read_bytes())):
        return None
    from bench.pytest_plugin.cells import MatrixFile

    return MatrixFile.from_parent(parent, path=file_path, runs=_runs(parent.session))


@pytest.fixture
def bench_matrix(request: pytest.FixtureRequest) -> MeasuredMatrix:
    """What was measured of the cells that the test's mark ``bench`` names.

    One run per matrix and session has the cells of every test that is selected.
    """
    if os.environ.get("PYTEST_XDIST_WORKER"):
        pytest.fail(
            f"it measures, and {ALONE}, or run marked tests by themselves: -m bench", pytrace=False
        )
    return _runs(request.session).asked_by(request.node)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    runs = terminalreporter.config.stash.get(_RUNS, None)
    if runs is not None and (lines := runs.told()):
        terminalreporter.ensure_newline()
        terminalreporter.section("bench")
        for line in lines:
            terminalreporter.write_line(line)


def _runs(session: pytest.Session) -> Runs:
    from bench.pytest_plugin.runs import Runs

    stash = session.config.stash
    if _RUNS not in stash:
        stash[_RUNS] = Runs(session)
    return stash[_RUNS]
