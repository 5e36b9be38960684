"""A pytest plugin inside a virtual machine: a few processes share the tests, and all is reported.

They are forks of the one that collected the tests: under emulation, what comes before the first
test takes longer than thirty of them. On the second serial port the first process tells, a line of
JSON each: ``collected`` (how many tests there are), ``started`` (a test's name), ``report`` (as
pytest makes reports into JSON) and ``died`` (how a process did that was to run tests).
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import traceback
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, NoReturn

import pytest

from bench.topology.link import netlink

PORT = "/dev/ttyS1"
PROCESSES = 3
"""One more than the machine has CPUs: most tests wait now and then."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--report-to", metavar="FILE", default=PORT)


def pytest_configure(config: pytest.Config) -> None:
    # As the controlling terminal of this session it would be hung up at the session's end.
    port = os.open(config.getoption("--report-to"), os.O_WRONLY | os.O_NOCTTY)

    def tell(what: str, value: Any) -> None:
        line = json.dumps({what: value}).encode() + b"\n"
        while line:
            line = line[os.write(port, line) :]

    config.pluginmanager.register(Told(config, tell), "told")


class Shares:
    """Numbers of the tests that are left: to each process a row of neighbours, which have fixtures
    in common. Who is done with its own takes from the end of the longest that is left.
    """

    def __init__(self, tests: int, processes: int) -> None:
        bounds = [tests * n // processes for n in range(processes + 1)]
        self._left = [deque(range(*pair)) for pair in itertools.pairwise(bounds)]

    def take(self, process: int) -> int | None:
        own, longest = self._left[process], max(self._left, key=len)
        if own:
            return own.popleft()
        return longest.pop() if longest else None


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
        netlink()  # imported once, and not by each of them
        shares = Shares(len(session.items), PROCESSES)
        children: dict[Connection, tuple[int, int]] = {}
        sys.stdout.flush()  # or each of them would, too
        for process in range(PROCESSES):
            ours, theirs = Pipe()
            pid = os.fork()
            if pid == 0:
                for end in (ours, *children):
                    end.close()
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
                    child.send(shares.take(process))
                else:
                    self._tell(what, value)
        return True

    def _bury(self, pid: int) -> None:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if code != 0:
            self._tell("died", f"of signal {-code}" if code < 0 else f"with exit code {code}")

    def _run_some(self, session: pytest.Session, parent: Connection) -> NoReturn:
        """A child's whole life: the tests whose numbers it is given."""
        self._tell = lambda what, value: parent.send((what, value))

        def following() -> pytest.Item | None:
            parent.send(("next", None))
            number = parent.recv()
            return None if number is None else session.items[number]

        code = 1
        try:
            item = following()
            while item is not None:
                upcoming = following()  # fixtures that it shares stay
                item.ihook.pytest_runtest_protocol(item=item, nextitem=upcoming)
                item = upcoming
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
