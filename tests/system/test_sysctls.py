"""Sysctls of network namespaces and of the whole machine: told apart, tried, given back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.errors import UsageError
from bench.system import sysctls
from bench.system.netns import entered, private_netns
from tests.running import is_given_back, needs_root, wait_for

OF_MACHINE = "net.core.message_burst"
"""The machine's; a little more of it harms nobody, and no header of a run has it: others that run
beside this test are resumed only where its sysctls are as they were."""
FILE = Path("/proc/sys", OF_MACHINE.replace(".", "/"))
pytestmark = pytest.mark.together("sysctls")
OF_NETNS = "net.ipv4.ip_default_ttl"

needs_machine = pytest.mark.skipif(
    not os.access(FILE, os.W_OK), reason=f"{FILE} cannot be written here"
)


def more() -> str:
    return str(int(FILE.read_text()) + 1)


def test_texts_are_names_and_values() -> None:
    assert sysctls.parse(["net.core.rmem_max = 1", "net/ipv4/tcp_rmem=1 2 3"]) == {
        "net.core.rmem_max": "1",
        "net.ipv4.tcp_rmem": "1 2 3",
    }


@pytest.mark.parametrize("text", ["net.core.x", "net.core.x=", "=1", "x=1", "net..x=1", "../x=1"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="KEY=VALUE"):
        sysctls.parse([text])


def test_a_sysctl_has_one_value() -> None:
    with pytest.raises(UsageError, match="twice: 1 and 2"):
        sysctls.parse(["kernel.x=1", "kernel.x=2"])


@pytest.mark.netns
def test_those_of_a_network_namespace_are_set_there_alone() -> None:
    before = Path("/proc/sys/net/ipv4/ip_default_ttl").read_text()
    wanted = sysctls.sort({OF_NETNS: "77"})
    assert (dict(wanted.of_netns), dict(wanted.of_machine)) == ({OF_NETNS: "77"}, {})
    with private_netns() as netns_fd:
        sysctls.write_in(netns_fd, wanted.of_netns)
        with entered(netns_fd):
            assert Path("/proc/sys/net/ipv4/ip_default_ttl").read_text() == "77\n"
    assert Path("/proc/sys/net/ipv4/ip_default_ttl").read_text() == before


@pytest.mark.netns
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (OF_NETNS, "words", "refuses words"),
        (OF_NETNS, "999", "refuses 999"),
        (OF_NETNS, "64", "64 on side A, too"),
        ("net.ipv4.no_such", "1", "there is none here"),
        ("kernel.no_such", "1", "there is none here"),
        ("net.ipv4.conf.default.forwarding", "1", "links made later"),
    ],
)
def test_what_is_not_there_or_takes_no_such_value_is_refused(
    name: str, value: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        sysctls.sort({name: value})


@needs_root
@pytest.mark.netns
def test_a_value_that_the_machine_has_already_makes_no_other_side() -> None:
    with pytest.raises(UsageError, match="on side A, too"):
        sysctls.sort({OF_MACHINE: FILE.read_text().strip()})


@needs_root
@needs_machine
def test_those_of_the_machine_are_switched_and_given_back() -> None:
    before, other = FILE.read_text(), more()
    with pytest.raises(ZeroDivisionError), sysctls.switch({OF_MACHINE: other}) as switch:  # noqa: PT012
        assert FILE.read_text() == before
        switch.to_others(True)
        assert FILE.read_text() == f"{other}\n"
        switch.to_others(False)
        assert FILE.read_text() == before
        switch.to_others(True)
        raise ZeroDivisionError
    assert FILE.read_text() == before


@needs_root
@needs_machine
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (OF_MACHINE, "words", "refuses words"),
        ("kernel.ostype", "other", "cannot be written"),
    ],
)
def test_a_value_of_the_machine_is_tried_before_anything_depends_on_it(
    name: str, value: str, said: str
) -> None:
    before = FILE.read_text()
    with pytest.raises(UsageError, match=said), sysctls.switch({name: value}):
        raise AssertionError
    assert FILE.read_text() == before


@needs_root
@needs_machine
def test_one_run_at_a_time_switches_a_sysctl() -> None:
    with (
        sysctls.switch({OF_MACHINE: more()}),
        pytest.raises(UsageError, match="another run switches it"),
        sysctls.switch({OF_MACHINE: more()}),
    ):
        raise AssertionError
    with sysctls.switch({OF_MACHINE: more()}):
        pass


@needs_root
@needs_machine
def test_a_process_that_is_killed_leaves_the_machines_as_they_were() -> None:
    before = FILE.read_text()
    program = (
        "import signal\nfrom bench.system import sysctls\n"
        f"with sysctls.switch({{'{OF_MACHINE}': '{more()}'}}) as switch:\n"
        "    switch.to_others(True)\n    print('switched', flush=True)\n    signal.pause()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "switched\n"
        assert FILE.read_text() != before
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: is_given_back(FILE, before), "the keeper to give it back")
