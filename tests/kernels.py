"""The tests of what depends on the kernel, on other kernels than this machine's.

`make test-kernels` runs this file; no other run of pytest collects it, for it boots virtual
machines. Each test of a machine is reported as it ends, as FILE::KERNEL::TEST. KERNELS in the
environment says which; with KERNELS_FULL they run what tells nothing of the kernel too.
"""

from __future__ import annotations

import functools
import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tools.guest import kernels, vm
from tools.guest.architecture import Architecture

COMMAND = [
    *(*vm.PYTEST, "-p", "tools.guest.reports", *vm.TESTS),
    # Output that is captured in files would be that of all its processes.
    *("-qq", "--no-header", "--no-summary", "--color=no", "--capture=sys"),
    *([] if os.environ.get("KERNELS_FULL") else ["-m", "not anykernel"]),
]
SILENCE_S = 300.0
"""A machine that tells nothing for so long hangs."""
TAIL = 40
"""Lines of a dead machine's console that are shown."""


@pytest.fixture(scope="module")
def system() -> Iterator[Callable[[Architecture], BinaryIO]]:
    """The files that a machine starts with, made once for each architecture."""
    with ExitStack() as stack:
        yield functools.cache(lambda each: stack.enter_context(vm.system(each)))


@dataclass
class Guest:
    """A machine that runs tests: hands its reports to this run of pytest."""

    item: pytest.Item
    release: str
    port: socket.socket
    console: Path
    unread: bytes = b""
    collected: int | None = None
    doing: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    deaths: list[str] = field(default_factory=list)
    code: int | None = None

    def attend(self) -> None:
        """Until it has ended, or has told nothing for too long."""
        self.port.settimeout(SILENCE_S)
        with suppress(TimeoutError):
            while self.read():
                pass

    def read(self) -> bool:
        """What it has told meanwhile; False where it is at its end."""
        told = self.port.recv(2**16)
        *lines, self.unread = (self.unread + told).split(b"\n")
        for line in lines:
            ((what, value),) = json.loads(line).items()
            getattr(self, f"_{what}")(value)
        return bool(told)

    def _collected(self, number: int) -> None:
        self.collected = number
        self.item.session.testscollected += number

    def _started(self, name: str) -> None:
        self.doing.append(name)

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
            self.doing.remove(name)

    def _died(self, how: str) -> None:
        self.deaths.append(how)

    def _exit(self, code: int) -> None:
        self.code = code

    def complaint(self) -> str:
        """What is wrong with the machine itself; a test that failed is not."""
        where = f"in {', '.join(self.doing)}" if self.doing else "between tests"
        if self.collected is None:
            where = "before the first test"
        if self.code is None:
            what = f"died, or hung for {SILENCE_S:.0f} s, {where}"
        elif self.deaths:
            what = f"lost a process {where}, which ended {'; '.join(self.deaths)}"
        elif self.code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            what = f"has pytest's exit code {self.code}"
        elif len(self.ended) != self.collected:
            what = f"told of {len(self.ended)} tests of {self.collected}"
        else:
            return ""
        end = self.console.read_text(errors="replace").splitlines()[-TAIL:]
        return "\n".join([f"Linux {self.release} {what}; the end of its console:", *end])


@pytest.mark.parametrize("version", kernels.CHOSEN)
def test_kernel(
    version: str,
    system: Callable[[Architecture], BinaryIO],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The machine ended well, and told what became of every test."""
    kernel = kernels.fetch(version)
    files = system(kernel.architecture)
    console = tmp_path / "console"
    with (
        console.open("wb") as out,
        vm.booted(kernel, files, vm.Job(COMMAND), out) as port,
    ):
        guest = Guest(request.node, kernel.release, port, console)
        with capsys.disabled():  # results are shown as they come
            guest.attend()
    complaint = guest.complaint()
    assert not complaint, complaint
