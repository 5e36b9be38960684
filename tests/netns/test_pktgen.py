"""The kernel's own generator, where it is: in the virtual machines, as a module."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Barrier, Lock
from typing import Any

import pytest

from bench.base.errors import CoreError
from bench.base.values import Value
from bench.engines import core
from bench.system.netns import entered, private_netns
from bench.topology import Topology
from bench.topology.kinds import up
from tests.netns.driving import PLAN, check, opened
from tests.netns.test_interfaces import INTERFACES, why_not
from tests.netns.test_run import assert_sound
from tests.running import (
    UNPRIVILEGED,
    Bench,
    ended,
    inside,
    measured,
    needs_setpriv,
    wait_for,
)

anykernel = pytest.mark.anykernel
pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("untouched_host")]

CPUS = sorted(os.sched_getaffinity(0))
FOLDER = Path("/proc/thread-self/net/pktgen")
SHARING = {"clone_skb": 10, "pktgen_burst": 4}
SOME = ("lo", "veth", "macvlan vepa")
"""Interfaces of which every machine tries the generator, which takes seconds on each."""
OTHERS = [pytest.param(name, marks=anykernel) for name in ("ifb", *INTERFACES) if name not in SOME]


@pytest.fixture
def generator() -> Iterator[None]:
    """Skips where the kernel has none, or does not let us use it; afterwards none works for us."""
    with private_netns() as netns_fd, entered(netns_fd):
        if reason := core.probe("pktgen"):
            pytest.skip(reason)
    before = len(threads())
    yield
    # They end with their namespaces, of which the kernel takes down one after the other.
    wait_for(lambda: len(threads()) <= before, "the end of the generator's threads", within_s=120)


def threads() -> list[int]:
    """The kernel's threads that generate: one for each namespace and CPU."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "comm").read_text().startswith("kpktgend_"):
                found.append(int(entry.name))
    return found


# What works


@pytest.mark.usefixtures("generator")
@pytest.mark.parametrize("name", [*SOME, *OTHERS])
def test_its_frames_are_those_that_are_meant_and_all_are_accounted_for(name: str) -> None:
    if name in INTERFACES and (reason := why_not(name)):
        pytest.skip(reason)
    interface: Value = INTERFACES.get(name, name)
    for frame_size, way in ((60, "start_xmit"), (1514, "queue_xmit")):
        check(interface, method="pktgen", frame_size=frame_size, pktgen_xmit=way)


@anykernel
@pytest.mark.usefixtures("generator")
def test_a_run_has_its_cells_beside_others(tmp_path: Path) -> None:
    """Each has an interface for itself, for a call starts all generators of a namespace."""
    axes: dict[str, Any] = {
        "interface": ["lo", "veth"],
        "method": ["sendmmsg", "pktgen"],
        "frame_size": [60, 1514],
    }
    run = measured(tmp_path, axes)
    assert len(run.cells) == 8
    assert_sound(run, rounds=2)


@pytest.mark.usefixtures("generator")
def test_its_cpu_time_is_that_of_the_kernel_s_thread() -> None:
    """The thread that starts it sleeps; the generator does nothing else for the whole window."""
    measured = check("veth", method="pktgen", frame_size=60)
    (thread,) = measured.threads
    assert thread.cpu == CPUS[0]
    assert thread.moved == 0
    assert thread.user_ns == 0
    assert 0 < thread.cpu_ns <= 2 * measured.wall_ns  # clocks are read one after the other
    assert is_ours(measured)


@contextmanager
def generating(delay_ns: int) -> Iterator[None]:
    """Somebody else's generator, on the CPU of ours."""
    with up("veth") as topology, entered(topology.tx.netns_fd):
        (FOLDER / f"kpktgend_{CPUS[0]}").write_text(f"add_device bench0@{CPUS[0]}\n")
        device, control = FOLDER / f"bench0@{CPUS[0]}", FOLDER / "pgctrl"
        for command in ("count 0", f"delay {delay_ns}"):
            device.write_text(f"{command}\n")
        with ThreadPoolExecutor(1) as thread:  # it begins in this namespace
            running = thread.submit(control.write_text, "start\n")
            wait_for(lambda: "Starting" in device.read_text(), "its start")
            yield
            assert not running.done()
            control.write_text("stop\n")


def is_ours(measured: core.Slice) -> bool:
    """The generator that does nothing else for the whole window."""
    (thread,) = measured.threads
    return thread.cpu_ns + thread.run_delay_ns > measured.wall_ns / 10


@pytest.mark.usefixtures("generator")
@pytest.mark.parametrize("delay_ns", [0, pytest.param(1_000_000, marks=anykernel)])
def test_its_thread_is_found_beside_one_that_works(delay_ns: int) -> None:
    with generating(delay_ns):
        assert is_ours(check("veth", method="pktgen", frame_size=60))


@pytest.mark.usefixtures("generator")
def test_two_find_their_threads_at_once() -> None:
    both_open, one_sends = Barrier(2), Lock()

    def find(topology: Topology) -> bool:
        with opened(topology, method="pktgen", frame_size=60) as cell:
            both_open.wait()
            with one_sends:
                return is_ours(cell.run_slice(PLAN))

    with up("veth") as first, up("veth") as second, ThreadPoolExecutor(2) as threads:
        assert all(threads.map(find, (first, second)))


@anykernel
@pytest.mark.usefixtures("generator")
def test_an_skb_is_sent_again_where_the_driver_lets_it_be_shared() -> None:
    if reason := why_not("dummy"):
        pytest.skip(reason)
    for option, value in SHARING.items():
        check("dummy", method="pktgen", frame_size=60, **{option: value})


@anykernel
@pytest.mark.usefixtures("generator")
@pytest.mark.parametrize("option", SHARING)
@pytest.mark.parametrize("kind", ["veth", "ifb"])
def test_an_skb_that_nobody_may_share_is_refused(option: str, kind: str) -> None:
    axes: dict[str, Value] = {"method": "pktgen", "frame_size": 60, option: SHARING[option]}
    with (
        up(kind) as topology,
        pytest.raises(CoreError, match=r"the driver of bench0@\d+ lets nobody share an skb"),
        opened(topology, **axes),
    ):
        pass


@anykernel
@pytest.mark.usefixtures("generator")
def test_a_closed_cell_leaves_no_device_in_the_generator() -> None:
    with up("veth") as topology:
        with opened(topology, method="pktgen", frame_size=60), entered(topology.tx.netns_fd):
            assert [entry.name for entry in FOLDER.glob("*@*")] == [f"bench0@{CPUS[0]}"]
        with entered(topology.tx.netns_fd):
            wait_for(lambda: not [*FOLDER.glob("*@*")], "the end of the device")


@anykernel
@pytest.mark.usefixtures("generator")
def test_a_generator_that_somebody_uses_is_left_alone() -> None:
    with up("veth") as topology, entered(topology.tx.netns_fd):
        (FOLDER / f"kpktgend_{CPUS[0]}").write_text(f"add_device bench0@{CPUS[0]}\n")
        with (
            pytest.raises(CoreError, match=rf"pktgen has bench0@{CPUS[0]} already"),
            opened(topology, method="pktgen", frame_size=60),
        ):
            pass
        assert [*FOLDER.glob("*@*")]


@anykernel
@pytest.mark.usefixtures("generator")
def test_a_killed_run_stops_it(bench: Bench) -> None:
    """Its namespaces go, and so do their threads, which the fixture counts."""
    process = bench.start(
        "run", bench.matrix({"interface": ["veth"], "method": ["pktgen"]}, rounds=500)
    )
    # A start under emulation, and a call that looks for the kernel's thread, take their time.
    wait_for(lambda: bench.samples() >= 2, "samples", process, within_s=300)
    process.kill()
    ended(process)


# What does not


@anykernel
def test_what_its_frames_have_no_room_for_is_refused(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    axes = {
        "method": ["pktgen"],
        "interface": ["veth"],
        "frame_size": [57, 58],
        "pktgen_xmit": ["start_xmit", "queue_xmit"],
        "pktgen_burst": [1, 2],
    }
    outcome = inside(capsys, "plan", bench.matrix(axes))
    assert outcome.code == 2
    assert len(outcome.complaints) == 2
    assert (
        "frame of 57 bytes has no room for the headers of pktgen; at least 58"
        in (outcome.complaints[0])
    )
    assert "pktgen_burst of 2 with pktgen_xmit: queue_xmit" in outcome.complaints[1]


@anykernel
def test_a_kernel_without_it_is_a_row_with_the_reason(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    with private_netns() as netns_fd, entered(netns_fd):
        if FOLDER.exists():
            pytest.skip("this kernel has it")
    matrix = bench.matrix({"interface": ["veth"], "method": ["send", "pktgen"]})
    assert inside(capsys, "run", matrix, "--results", bench.results).code == 4
    (reason,) = bench.stored().failures.values()
    assert "/pktgen/pgctrl: modprobe pktgen, if this kernel has it (CONFIG_NET_PKTGEN)" in reason


@anykernel
@needs_setpriv
@pytest.mark.usefixtures("generator")
def test_without_root_it_is_a_row_with_the_reason(bench: Bench) -> None:
    matrix = bench.matrix({"interface": ["veth"], "method": ["send", "pktgen"]})
    assert bench("run", matrix, prefix=UNPRIVILEGED).code == 4
    (reason,) = bench.stored().failures.values()
    assert "needs root" in reason
