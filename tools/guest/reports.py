"""A pytest plugin inside a virtual machine: runs the tests that it is given, one after another.

On the second serial port it tells, a line of JSON each: ``collected`` (how many tests there are),
``next`` (it wants a number), ``started`` (a test's name) and ``report`` (as pytest makes reports
into JSON). What it gets are numbers of tests, a line each; an empty line ends the run.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

PORT = "/dev/ttyS1"


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Told(config), "told")


class Told:
    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        # As the controlling terminal of this session it would be hung up at the session's end.
        self._port = os.open(PORT, os.O_RDWR | os.O_NOCTTY)
        self._orders = os.fdopen(self._port)

    def _tell(self, what: str, value: Any) -> None:
        line = json.dumps({what: value}).encode() + b"\n"
        while line:
            line = line[os.write(self._port, line) :]

    def _report(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        hook = self._config.hook.pytest_report_to_serializable
        self._tell("report", hook(config=self._config, report=report))

    def _next(self, items: list[pytest.Item]) -> pytest.Item | None:
        self._tell("next", None)
        order = self._orders.readline().strip()
        return items[int(order)] if order else None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._report(report)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._tell("collected", len(session.items))
        item = self._next(session.items)
        while item is not None:
            following = self._next(session.items)  # fixtures that it shares stay
            item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
            item = following
        return True

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._tell("started", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._report(report)
