"""The tests of what depends on the kernel, on other kernels than this machine's.

`make test-kernels` runs this file; no other run of pytest collects it, for it boots virtual
machines. Each test of a machine is reported as it ends, as FILE::KERNEL::TEST. KERNELS in the
environment says which; with KERNELS_FULL they run what tells nothing of the kernel too.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tools.guest import kernels, machine

VERSIONS = os.environ.get("KERNELS", f"6.1 6.12 {kernels.NEWEST}").split()
COMMAND = [
    *(*machine.PYTEST, "-p", "tools.guest.reports", *machine.TESTS),
    *("-qq", "--no-header", "--no-summary", "--color=no"),
    *([] if os.environ.get("KERNELS_FULL") else ["-m", "not anykernel"]),
]
MACHINES = 2
"""Most tests wait for one process at a time."""
SILENCE_S = 300.0
"""A machine that tells nothing for so long hangs."""
TAIL = 40
"""Lines of a dead machine's console that are shown."""


@pytest.fixture(scope="module")
def system() -> Iterator[BinaryIO]:
    machine.need_qemu()
    with machine.system() as files:
        yield files


@dataclass
class Work:
    """Numbers of the tests that are left. One machine takes them from the front, one from the back:
    tests with a fixture in common stay together, and both machines end at about the same time.
    """

    left: deque[int] | None = None

    def collected(self, number: int) -> bool:
        """How many there are, as each machine says; True for the first."""
        first = self.left is None
        if self.left is None:
            self.left = deque(range(number))
        return first

    def take(self, front: bool) -> int | None:
        if not self.left:
            return None
        return self.left.popleft() if front else self.left.pop()


@dataclass
class Guest:
    """One machine: gives it tests, and hands its reports to this run of pytest."""

    item: pytest.Item
    release: str
    work: Work
    front: bool
    port: socket.socket
    console: Path
    unread: bytes = b""
    given: int = 0
    ended: set[str] = field(default_factory=set)
    doing: str = "before the first test"
    code: int | None = None

    def read(self) -> bool:
        """What it has told meanwhile; False where it is at its end."""
        try:
            told = self.port.recv(2**16)
        except ConnectionError:  # it died with an order unread
            return False
        *lines, self.unread = (self.unread + told).split(b"\n")
        for line in lines:
            ((what, value),) = json.loads(line).items()
            getattr(self, f"_{what}")(value)
        return bool(told)

    def _collected(self, number: int) -> None:
        if self.work.collected(number):
            self.item.session.testscollected += number

    def _next(self, _: None) -> None:
        test = self.work.take(self.front)
        self.given += test is not None
        with suppress(ConnectionError):  # it died as it asked: read() will tell
            self.port.sendall(b"\n" if test is None else b"%d\n" % test)

    def _started(self, name: str) -> None:
        self.doing = f"in {name}"

    def _report(self, data: dict[str, Any]) -> None:
        hook = self.item.ihook
        report = hook.pytest_report_from_serializable(config=self.item.config, data=data)
        name = report.nodeid
        report.nodeid = f"{self.item.location[0]}::{self.release}::{name}"
        if isinstance(report, pytest.CollectReport):
            hook.pytest_collectreport(report=report)
            return
        if report.skipped and isinstance(report.longrepr, list):  # JSON has no tuples
            path, line, reason = report.longrepr
            reason = f"Linux {self.release}: {reason.removeprefix('Skipped: ')}"
            report.longrepr = (path, line, reason)
        hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            self.ended.add(name)
            self.doing = f"after {name}"

    def _exit(self, code: int) -> None:
        self.code = code

    def complaint(self) -> str:
        """What is wrong with the machine itself; a test that failed is not."""
        if self.code is None:
            what = f"died, or hung for {SILENCE_S:.0f} s, {self.doing}"
        elif self.code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            what = f"has pytest's exit code {self.code}"
        elif len(self.ended) != self.given:
            what = f"told of {len(self.ended)} tests of {self.given}"
        else:
            return ""
        end = self.console.read_text(errors="replace").splitlines()[-TAIL:]
        return "\n".join([f"Linux {self.release} {what}; the end of its console:", *end])


def attend(guests: list[Guest]) -> None:
    """Until all machines have ended, or none has told anything for too long."""
    with selectors.DefaultSelector() as selector:
        for guest in guests:
            selector.register(guest.port, selectors.EVENT_READ, guest)
        while selector.get_map() and (ready := selector.select(SILENCE_S)):
            for key, _ in ready:
                if not key.data.read():
                    selector.unregister(key.fileobj)


@pytest.mark.parametrize("version", VERSIONS)
def test_kernel(
    version: str,
    system: BinaryIO,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The machines ended well, and told what became of every test."""
    try:
        kernel = kernels.fetch(version)
    except kernels.NotOffered as error:
        pytest.skip(str(error))
    work, guests = Work(), []
    with ExitStack() as stack:
        for n in range(MACHINES):
            console = tmp_path / f"console{n}"
            out = stack.enter_context(console.open("wb"))
            job = machine.Job(COMMAND)
            port = stack.enter_context(machine.booted(kernel, system, job, out))
            guests.append(Guest(request.node, kernel.release, work, n == 0, port, console))
        with capsys.disabled():  # results are shown as they come
            attend(guests)
    complaints = [complaint for guest in guests if (complaint := guest.complaint())]
    assert not complaints, "\n\n".join(complaints)
    assert work.left is not None
    assert not work.left
