"""A pytest plugin of both kinds of run: which test runs which line, and which one notices a fault.

Its task is the JSON file that MUTANTS names: {"record": FILE} writes durations and lines of all
tests there. {"tests": [...], "known": [...], "cpu_s": N, "result": FILE} runs the tests in that
order, besides any that are not known, and writes which one failed.
"""

from __future__ import annotations

import functools
import json
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

TASK: dict[str, Any] = json.loads(Path(os.environ["MUTANTS"]).read_text())

MOST_BYTES = 4 << 30
"""A size that became a power is noticed by the tests, and not by the whole machine."""

# The same examples each time, or a mutant that was noticed once would survive another time; and no
# search for the smallest one.
hypothesis.settings.register_profile(
    "mutants",
    derandomize=True,
    database=None,
    deadline=None,
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile("mutants")


class Recorder:
    """Runs all tests, and says what each one ran."""

    def __init__(self) -> None:
        import coverage

        self._coverage = coverage.Coverage(source=["bench"], data_file=None)
        self._coverage.start()
        self._seconds: dict[str, float] = {}
        self._failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        _forget()
        self._coverage.switch_context(item.nodeid)
        result = yield
        self._coverage.switch_context("")
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self._failed.append(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {
            str(Path(file).relative_to(Path.cwd())): data.contexts_by_lineno(file)
            for file in data.measured_files()
        }
        record = {"seconds": self._seconds, "lines": lines, "failed": self._failed}
        Path(TASK["record"]).write_text(json.dumps(record))


def _forget() -> None:
    """Results that functions keep: else only the first test that asks would run their lines."""
    for name in [name for name in sys.modules if name.startswith("bench.")]:
        for function in vars(sys.modules[name]).values():
            if isinstance(function, functools._lru_cache_wrapper):
                function.cache_clear()


class Chooser:
    """Runs the tests of a task, in its order, and says which one fails."""

    def __init__(self) -> None:
        # Time of the CPU, not of the clock: a busy host does not make a mutant noticed.
        resource.setrlimit(resource.RLIMIT_CPU, (TASK["cpu_s"], TASK["cpu_s"]))
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        order = {test: number for number, test in enumerate(TASK["tests"])}
        others = set(TASK["known"]) - order.keys()
        unwanted = [item for item in items if item.nodeid in others]
        config.hook.pytest_deselected(items=unwanted)
        items[:] = sorted(
            (item for item in items if item.nodeid not in others),
            key=lambda item: order.get(item.nodeid, len(order)),
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def _note(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        if report.failed:
            Path(TASK["result"]).write_text(report.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    import bench

    assert Path(bench.__file__).is_relative_to(Path.cwd()), f"{bench.__file__} is not the copy"


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.register(Recorder() if "record" in TASK else Chooser())
