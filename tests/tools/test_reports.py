"""How the tests of a virtual machine become results of the run that booted it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import kernels

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
    return kernels.Guest(host, "6.1.0-56", kernels.Work(), True, machine[0], console)


def tell(guest: kernels.Guest, port: socket.socket, *messages: dict[str, Any]) -> None:
    port.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))
    assert guest.read()


def report(config: pytest.Config, when: Any, **outcome: Any) -> dict[str, Any]:
    made = pytest.TestReport(nodeid=NAME, location=("f", 1, "t"), keywords={}, when=when, **outcome)
    data = config.hook.pytest_report_to_serializable(config=config, report=made)
    return {"report": json.loads(json.dumps(data))}


def test_two_machines_meet_in_the_middle() -> None:
    work = kernels.Work()
    assert work.take(front=True) is None
    assert work.collected(5)
    assert not work.collected(5)
    taken = [work.take(front) for front in (True, False, False, True, True, False)]
    assert taken == [0, 4, 3, 1, 2, None]


def test_a_machine_gets_a_test_at_a_time_until_none_is_left(
    guest: kernels.Guest, machine: tuple[socket.socket, socket.socket], host: Host
) -> None:
    orders = machine[1].makefile()
    tell(guest, machine[1], {"collected": 2})
    assert host.session.testscollected == 3
    for expected in ("0\n", "1\n", "\n"):
        tell(guest, machine[1], {"next": None})
        assert orders.readline() == expected


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
    tell(guest, machine[1], {"collected": 1}, {"next": None}, {"started": NAME})
    ended = report(host.config, "teardown", outcome="passed", longrepr=None)
    tell(guest, machine[1], ended, {"exit": 1})
    assert guest.complaint() == ""


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "before the first test"),
        ([{"started": NAME}], f"in {NAME}"),
        ([{"started": NAME}, {"exit": 3}], "has pytest's exit code 3"),
        ([{"collected": 2}, {"next": None}, {"exit": 0}], "told of 0 tests of 1"),
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


def test_a_machine_that_dies_with_an_order_unread_is_at_its_end(
    guest: kernels.Guest, machine: tuple[socket.socket, socket.socket]
) -> None:
    tell(guest, machine[1], {"collected": 2}, {"next": None}, {"started": NAME})
    machine[1].close()
    assert not guest.read()
    guest._next(None)
    assert f"died, or hung for 300 s, in {NAME}" in guest.complaint()


def test_a_machine_that_is_silent_for_too_long_is_given_up(
    guest: kernels.Guest,
    machine: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "SILENCE_S", 0.01)
    tell(guest, machine[1], {"started": NAME})
    kernels.attend([guest])
    assert f"hung for 0 s, in {NAME}" in guest.complaint()
