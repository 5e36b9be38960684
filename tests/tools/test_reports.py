"""How the tests of a virtual machine are run, and become results of the run that booted it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import kernels
from tests.running import ROOT
from tools.guest import reports

NAME = "tests/netns/test_bond.py::test_one"


class Host:
    """A run of pytest, as far as a guest needs one."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.session = SimpleNamespace(testscollected=1)
        self.location = ("tests/kernels.py", 1, "test_kernel")
        self.reports: list[pytest.TestReport] = []
        self.ihook = SimpleNamespace(
            pytest_report_from_serializable=config.hook.pytest_report_from_serializable,
            pytest_runtest_logreport=lambda report: self.reports.append(report),
        )


@pytest.fixture
def host(pytestconfig: pytest.Config) -> Host:
    return Host(pytestconfig)


@pytest.fixture
def machine() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(30)
        yield ours, theirs


@pytest.fixture
def guest(host: Any, machine: tuple[socket.socket, socket.socket], tmp_path: Path) -> kernels.Guest:
    console = tmp_path / "console"
    console.write_text("booting\nKernel panic\n")
    return kernels.Guest(host, "6.1.0-56", machine[0], console)


def tell(guest: kernels.Guest, port: socket.socket, *messages: dict[str, Any]) -> None:
    port.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
    assert guest.read()


def report(config: pytest.Config, when: Any, **outcome: Any) -> dict[str, Any]:
    made = pytest.TestReport(nodeid=NAME, location=("f", 1, "t"), keywords={}, when=when, **outcome)
    data = config.hook.pytest_report_to_serializable(config=config, report=made)
    return {"report": json.loads(json.dumps(data))}


def test_a_report_keeps_its_outcome_and_gets_the_kernel_into_its_name(
    guest: kernels.Guest, machine: tuple[socket.socket, socket.socket], host: Host
) -> None:
    skipped = {"outcome": "skipped", "longrepr": ("file.py", 7, "Skipped: no gcc")}
    tell(
        guest,
        machine[1],
        report(host.config, "setup", outcome="passed", longrepr=None),
        report(host.config, "call", outcome="failed", longrepr="assert 1 == 2"),
        report(host.config, "call", **skipped),
    )
    assert {each.nodeid for each in host.reports} == {f"tests/kernels.py::6.1.0-56::{NAME}"}
    assert [each.outcome for each in host.reports] == ["passed", "failed", "skipped"]
    assert host.reports[1].longreprtext == "assert 1 == 2"
    assert host.reports[2].longrepr == ("file.py", 7, "Linux 6.1.0-56: no gcc")


def test_a_line_may_come_in_pieces(
    guest: kernels.Guest, machine: tuple[socket.socket, socket.socket]
) -> None:
    machine[1].sendall(b'{"ex')
    assert guest.read()
    machine[1].sendall(b'it": 0}\n')
    assert guest.read()
    assert guest.code == 0
    machine[1].close()
    assert not guest.read()


def test_a_machine_that_ended_well_is_no_complaint_though_a_test_failed(
    guest: kernels.Guest, machine: tuple[socket.socket, socket.socket], host: Host
) -> None:
    tell(guest, machine[1], {"collected": 1}, {"started": NAME})
    assert host.session.testscollected == 2
    ended = report(host.config, "teardown", outcome="passed", longrepr=None)
    tell(guest, machine[1], ended, {"exit": 1})
    assert guest.complaint() == ""


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "died, or hung for 300 s, before the first test"),
        ([{"collected": 2}], "between tests"),
        ([{"collected": 2}, {"started": NAME}, {"started": "b"}], f"in {NAME}, b"),
        ([{"collected": 0}, {"exit": 5}], "has pytest's exit code 5"),
        ([{"collected": 2}, {"exit": 0}], "told of 0 tests of 2"),
        (
            [{"collected": 2}, {"started": NAME}, {"died": "of signal 11"}, {"exit": 0}],
            f"lost a process in {NAME}, which ended of signal 11",
        ),
    ],
)
def test_a_machine_that_did_not_end_well_shows_the_end_of_its_console(
    guest: kernels.Guest,
    machine: tuple[socket.socket, socket.socket],
    messages: list[dict[str, Any]],
    complaint: str,
) -> None:
    if messages:
        tell(guest, machine[1], *messages)
    first, *console = guest.complaint().splitlines()
    assert first.startswith("Linux 6.1.0-56 ")
    assert complaint in first
    assert console == ["booting", "Kernel panic"]


def test_a_machine_that_is_silent_for_too_long_is_given_up(
    guest: kernels.Guest,
    machine: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "SILENCE_S", 0.01)
    tell(guest, machine[1], {"collected": 1}, {"started": NAME})
    guest.attend()
    assert f"hung for 0 s, in {NAME}" in guest.complaint()


# What is told


def told_of(folder: Path, text: str, *arguments: str) -> tuple[int, list[tuple[str, Any]]]:
    """The exit code of pytest with the plugin, and all that was told of the tests of a text."""
    (folder / "test_text.py").write_text(text)
    (folder / "port").touch()
    command = [*(sys.executable, "-m", "pytest", "-p", "tools.guest.reports", "--capture=sys")]
    ended = subprocess.run(
        [*command, *("-p", "no:cacheprovider", "--report-to", "port", "test_text.py"), *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (folder / "port").read_text().splitlines()
    return ended.returncode, [pair for line in lines for pair in json.loads(line).items()]


def outcomes(told: list[tuple[str, Any]], when: str = "call") -> dict[str, str]:
    every = [value for what, value in told if what == "report" and value["when"] == when]
    named = {each["nodeid"].partition("::")[2]: each["outcome"] for each in every}
    assert len(named) == len(every)
    return named


def test_each_test_is_run_once_by_one_of_several_processes(tmp_path: Path) -> None:
    code, told = told_of(
        tmp_path,
        """
        import os, pytest

        @pytest.mark.parametrize("number", range(30))
        def test_one(number):
            print(os.getpid())
            assert number != 7, "seven"
        """.replace("\n        ", "\n"),
    )
    assert code == 0  # it is the host's run of pytest that fails
    assert told[0] == ("collected", 30)
    assert sum(what == "started" for what, _ in told) == 30
    expected = {f"test_one[{n}]": "failed" if n == 7 else "passed" for n in range(30)}
    assert outcomes(told) == expected
    assert len(outcomes(told, "teardown")) == 30
    printed = [
        dict(value["sections"])["Captured stdout call"].split()
        for what, value in told
        if what == "report" and value["when"] == "teardown"
    ]
    assert all(len(pids) == 1 for pids in printed)
    assert 1 < len({pids[0] for pids in printed}) <= reports.PROCESSES


def test_what_belongs_together_has_one_fixture_which_is_ended(tmp_path: Path) -> None:
    _, told = told_of(
        tmp_path,
        """
        import os, pytest

        @pytest.fixture(scope="module")
        def made(request):
            yield os.getpid()
            (request.path.parent / str(os.getpid())).touch()

        @pytest.mark.together("made")
        @pytest.mark.parametrize("number", range(9))
        def test_one(made, number):
            assert made == os.getpid()

        def test_alone():
            pass
        """.replace("\n        ", "\n"),
    )
    assert set(outcomes(told).values()) == {"passed"}
    assert sum(path.name.isdigit() for path in tmp_path.iterdir()) == 1


@pytest.mark.parametrize(
    ("end", "how"),
    [("os._exit(3)", "with exit code 3"), ("os.kill(os.getpid(), 9)", "of signal 9")],
)
def test_of_a_process_that_dies_the_others_take_what_it_had_left(
    tmp_path: Path, end: str, how: str
) -> None:
    others = {f"test_{number}" for number in range(20)}
    # Whichever process is first, none takes all of the others before this one has its share.
    text = f"""
import os, pathlib, time

def test_dies():
    pathlib.Path("dies").touch()
    {end}

def wait():
    while not pathlib.Path("dies").exists():
        time.sleep(0.001)
"""
    text += "".join(f"\ndef {name}():\n    wait()\n" for name in sorted(others))
    _, told = told_of(tmp_path, text)
    assert ("died", how) in told
    missing = {"test_dies", *others} - outcomes(told, "teardown").keys()
    # The test that would have been its next was handed to it, so that fixtures could stay.
    assert "test_dies" in missing
    assert len(missing & others) == 1


def test_a_file_that_cannot_be_collected_is_told(tmp_path: Path) -> None:
    code, told = told_of(tmp_path, "import nothing_of_that_name\n")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert [value["outcome"] for what, value in told if what == "report"] == ["failed"]
