"""io_uring over lo, veth and ifb: each frame checked and counted, waiting for room, SQPOLL."""

from __future__ import annotations

import contextlib
import itertools
import time
from pathlib import Path

import pytest

from bench.engines import core
from bench.system.netns import private_netns
from bench.topology import entered
from bench.topology.kinds import up
from tests.netns.driving import CPUS, DEADLINE_NS, PLAN, check, opened

KINDS = ["lo", "veth", "ifb"]


def why_not() -> str:
    with private_netns() as netns_fd, entered(netns_fd):
        return core.probe("io_uring")


pytestmark = [
    pytest.mark.netns,
    pytest.mark.usefixtures("untouched_host"),
    pytest.mark.skipif("why_not()", reason="this kernel has no io_uring"),
]
needs_two_cpus = pytest.mark.skipif(len(CPUS) < 2, reason="a poller has a CPU of its own")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fill", ["copy", "prefilled"])
def test_each_frame_is_the_one_that_was_meant(kind: str, fill: str) -> None:
    for frame_size, burst, flows in itertools.product([64, 65535], [1, 5], [1, 3]):
        for operation, registered in (("send", True), ("sendmsg", False)):
            axes = {"frame_size": frame_size, "burst": burst, "flows": flows, "fill": fill}
            options = {"uring_op": operation, "registered_file": registered}
            check(kind, method="io_uring", **axes, **options)


def test_tagged_frames_by_a_socket_that_receives() -> None:
    vlan = {"id": 7, "priority": 0, "tpid": 0x8100}
    check("veth", method="io_uring", vlan=vlan, protocol="all", burst=5)


def test_a_burst_is_one_call() -> None:
    with up("ifb") as topology, opened(topology, method="io_uring", burst=16) as cell:
        completed = 0
        while not completed:  # it may wait for its CPU all through a window
            (thread,) = cell.run_slice(PLAN).threads
            completed = thread.completed
    assert thread.calls * 16 == completed


def pollers_cpu_ns() -> int:
    """CPU time of this process's io_uring pollers. One that has not run yet has no name, and other
    threads may end while this looks at them."""
    found = 0
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if (task / "comm").read_text().startswith("iou-sqp"):
                found += int((task / "schedstat").read_text().split()[0])
    return found


@needs_two_cpus
def test_a_poller_s_cpu_time_is_the_sender_s() -> None:
    """It is more than all that the other threads of this process had meanwhile, in some slice."""
    plan = core.SlicePlan(window_ns=100_000_000, warmup_ns=0, drain_ns=DEADLINE_NS)
    with up("veth") as topology, opened(topology, method="io_uring", burst=16, sqpoll=True) as cell:
        for _ in range(50):  # others may have the poller's CPU
            before = time.process_time_ns() - pollers_cpu_ns()
            (thread,) = cell.run_slice(plan).threads
            others = time.process_time_ns() - pollers_cpu_ns() - before
            if thread.cpu_ns > others:
                return
    pytest.fail(f"{thread.cpu_ns} ns, of which {others} without the poller's")


@needs_two_cpus
@pytest.mark.parametrize("kind", KINDS)
def test_a_poller_sends_the_frames_that_were_meant(kind: str) -> None:
    for fill in ("copy", "prefilled"):
        check(kind, method="io_uring", burst=5, fill=fill, sqpoll=True)


@pytest.mark.parametrize("dontwait", [False, True])
def test_frames_that_find_a_full_send_buffer_wait_or_are_refused(dontwait: bool) -> None:
    """The queue passes 1,953 frames a second and holds more than sndbuf does."""
    slow = {"kind": "tbf", "rate": "1mbit", "burst": 2000, "limit": 1_000_000}
    plan = core.SlicePlan(window_ns=200_000_000, warmup_ns=0, drain_ns=DEADLINE_NS)
    with (
        up("veth", slow) as topology,
        opened(topology, method="io_uring", burst=64, msg_dontwait=dontwait) as cell,
    ):
        measured = cell.run_slice(plan)
        (thread,) = measured.threads
    assert not measured.undrained
    assert thread.completed == thread.submitted > 0
    assert thread.eagain > 0 if dontwait else thread.eagain == 0
    assert thread.full_waits > 0 or dontwait
