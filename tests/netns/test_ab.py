"""`bench ab` for real: two cores, sysctls of namespaces and of the machine, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

from bench.engines import build
from bench.system import privileges
from tests.running import (
    UNPRIVILEGED,
    Bench,
    ended,
    is_given_back,
    needs_root,
    needs_setpriv,
    wait_for,
)

pytestmark = [pytest.mark.netns, pytest.mark.anykernel, pytest.mark.together("sysctls")]

FILE = Path("/proc/sys/net/core/message_burst")
needs_machine = pytest.mark.skipif(
    not os.access(FILE, os.W_OK) or privileges.standing() != privileges.Standing.ROOT,
    reason=f"it takes root, and {FILE} that can be written",
)
needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is missing")
AXES = {"interface": "veth", "method": ["send", "sendmmsg"], "frame_size": 64, "burst": 64}
CALL = "static long send_call(struct tx_thread *thread)\n{\n"
SLOWER = '\tint i;\n\n\tfor (i = 0; i < 2000; i++)\n\t\t__asm__ volatile("" ::: "memory");\n'


def slower_checkout(folder: Path) -> Path:
    """A checkout whose ``send`` takes some time more for each frame."""
    shutil.copytree(build.SOURCES, folder / "csrc")
    file = folder / "csrc" / "engines" / "tx_send.c"
    text = file.read_text()
    assert CALL in text
    file.write_text(text.replace(CALL, CALL + SLOWER))
    return folder


def records(out: str) -> dict[str, dict[str, object]]:
    return {cell["axes"]["method"]: cell for cell in json.loads(out)["cells"]}


@needs_compiler
def test_the_core_of_another_checkout_is_side_b_and_what_it_costs_is_told(bench: Bench) -> None:
    other = slower_checkout(bench.folder / "other")
    matrix = bench.matrix(AXES, rounds=30)
    outcome = bench("ab", matrix, "--core-b", other, "--format", "json")
    assert outcome.code == 3, outcome.err
    found = records(outcome.out)
    assert found["send"]["verdict"] == "regressed"
    assert found["send"]["changes"]["ns_per_frame"]["low"] > 0.1  # type: ignore[index]
    assert abs(found["sendmmsg"]["changes"]["ns_per_frame"]["change"]) < 0.1  # type: ignore[index]
    sides = json.loads(outcome.out)["sides"]
    assert sides["a"]["core"] != sides["b"]["core"]
    assert sides["b"]["checkout"] == str(other)
    assert [*(other / "build" / "core").glob("_core*.so")]
    run = bench.stored()
    assert run.failures == {}
    assert all(not sample.problem for sample in run.samples)


@needs_compiler
def test_a_core_that_speaks_another_api_is_refused(bench: Bench) -> None:
    other = slower_checkout(bench.folder / "other")
    with (other / "csrc" / "api.h").open("a") as api:
        api.write("int more(void);\n")
    outcome = bench("ab", bench.matrix(), "--core-b", other)
    assert outcome.code == 2
    assert "other declarations" in outcome.complaints[0]
    assert bench("ab", bench.matrix(), "--core-b", bench.folder).code == 2
    assert bench.files() == []


@needs_machine
def test_sysctls_of_the_machine_are_bs_for_a_while_again_and_again(bench: Bench) -> None:
    before = FILE.read_text()
    other = f"{int(before) + 1}\n"
    matrix = bench.matrix(AXES, rounds=20, window="10ms")
    process = bench.start("ab", matrix, "--sysctl-b", f"net.core.message_burst={other.strip()}")
    wait_for(bench.samples, "samples", process)
    for value in (other, before, other, before):
        wait_for(lambda value=value: FILE.read_text() == value, "the other side", process)
    outcome = ended(process)
    assert outcome.code in (0, 3, 4), outcome.err
    assert FILE.read_text() == before
    assert dict(bench.stored().header.sides[1].sysctls) == {"net.core.message_burst": other.strip()}


@needs_machine
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_sysctls_of_the_machine_are_given_back_however_it_ends(
    bench: Bench, number: signal.Signals
) -> None:
    before = FILE.read_text()
    wanted = f"net.core.message_burst={int(before) + 1}"
    matrix = bench.matrix(AXES, rounds=100_000)
    process = bench.start("ab", matrix, "--sysctl-b", wanted)
    wait_for(lambda: bench.samples() > 8, "samples", process)
    process.send_signal(number)
    ended(process)
    wait_for(lambda: is_given_back(FILE, before), "the sysctl to be given back")


def test_a_sysctl_of_a_namespace_is_set_on_side_b_alone(bench: Bench) -> None:
    here = Path("/proc/sys/net/ipv4/ip_default_ttl")
    before = here.read_text()
    outcome = bench("ab", bench.matrix(AXES), "--sysctl-b", "net.ipv4.ip_default_ttl=77")
    assert outcome.code == 4, outcome.err
    assert here.read_text() == before
    assert dict(bench.stored().header.sides[1].sysctls) == {"net.ipv4.ip_default_ttl": "77"}


@needs_root
@needs_setpriv
def test_without_root_only_sysctls_of_a_namespace_can_be_set(bench: Bench) -> None:
    matrix = bench.matrix(AXES)
    told = bench("ab", matrix, "--sysctl-b", "net.core.message_burst=11", prefix=UNPRIVILEGED)
    assert told.code == 2
    assert "that needs root" in told.complaints[0]
    assert bench.files() == []
    set_ = bench("ab", matrix, "--sysctl-b", "net.ipv4.ip_default_ttl=77", prefix=UNPRIVILEGED)
    assert set_.code == 4, set_.err
