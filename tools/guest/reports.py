"""A pytest plugin inside a virtual machine: a few processes share the tests and report each.

They are forks of the process that collected the tests: under emulation, collecting takes longer
than thirty tests. On the second serial port the first process writes a line of JSON each:
``collected`` (the number of tests), ``started`` (a test's name), ``report`` (pytest's own form of a
report) and ``died`` (the end of a process that was to run tests).
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NoReturn

import pytest

from bench.topology.link import pyroute

PORT = "/dev/reports"
PROCESSES = 3
"""One more than the machine has CPUs: most tests wait now and then."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--report-to", metavar="FILE", default=PORT)


def pytest_configure(config: pytest.Config) -> None:
    # O_NOCTTY: a controlling terminal would be hung up at the session's end.
    port = os.open(config.getoption("--report-to"), os.O_WRONLY | os.O_NOCTTY)

    def tell(what: str, value: Any) -> None:
        line = json.dumps({what: value}).encode() + b"\n"
        while line:
            line = line[os.write(port, line) :]

    config.pluginmanager.register(Told(config, tell), "told")
    gc.disable()  # all objects made from here to the fork stay


def pieces(items: Sequence[pytest.Item]) -> list[list[int]]:
    """Pieces of the tests, each for one process, as numbers in the order of the tests.

    Tests with the mark ``together`` and one name are one piece; each other test is its own.
    """
    found: dict[object, list[int]] = {}
    for number, item in enumerate(items):
        mark = item.get_closest_marker("together")
        found.setdefault(mark.args if mark else number, []).append(number)
    return list(found.values())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the order of the arguments, even if a file and its folder are two of them."""

    def place(item: pytest.Item) -> int:
        name = item.nodeid
        return next((n for n, start in enumerate(config.args) if name.startswith(start)), 0)

    items.sort(key=place)


class Told:
    def __init__(self, config: pytest.Config, tell: Callable[[str, Any], None]) -> None:
        self._config, self._tell = config, tell

    def _report(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        hook = self._config.hook.pytest_report_to_serializable
        self._tell("report", hook(config=self._config, report=report))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._report(report)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._tell("started", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._report(report)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._tell("collected", len(session.items))
        pyroute()  # imported once, not by each of them
        gc.freeze()
        gc.enable()
        left = deque(pieces(session.items))
        children: dict[Connection, tuple[int, int]] = {}
        sys.stdout.flush()  # else each child would flush the same text again
        for process in range(PROCESSES):
            ours, theirs = Pipe()
            pid = os.fork()
            if pid == 0:
                for end in (ours, *children):
                    end.close()
                os.environ["BENCH_TEST_PROCESS"] = str(process)
                self._run_some(session, theirs)
            theirs.close()
            children[ours] = process, pid
        while children:
            for child in wait(list(children)):
                assert isinstance(child, Connection)
                process, pid = children[child]
                try:
                    what, value = child.recv()
                except EOFError:
                    del children[child]
                    self._bury(pid)
                    continue
                if what == "next":
                    # Whole runs often wait: one process takes short tests meanwhile, from the end.
                    take = left.pop if process == 0 else left.popleft
                    child.send(take() if left else None)
                else:
                    self._tell(what, value)
        return True

    def _bury(self, pid: int) -> None:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code != 0:
            self._tell("died", f"of signal {-code}" if code < 0 else f"with exit code {code}")

    def _run_some(self, session: pytest.Session, parent: Connection) -> NoReturn:
        """A child's whole life: run the pieces that it gets."""
        self._tell = lambda what, value: parent.send((what, value))

        def given() -> Iterator[pytest.Item]:
            while True:
                parent.send(("next", None))
                piece = parent.recv()
                if piece is None:
                    return
                yield from (session.items[number] for number in piece)

        code = 1
        try:
            items = given()
            item = next(items, None)
            while item is not None:
                following = next(items, None)  # fixtures that it shares stay
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
                item = following
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
