"""io_uring over lo, veth and ifb: each frame checked and counted, waiting for room, SQPOLL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.base.values import Value
from bench.engines import core
from bench.measure.prepare import vocabulary
from bench.model.axes import defaults
from bench.system.netns import private_netns
from bench.topology import Topology, entered
from bench.topology.kinds import up
from tests.running import measured

CPUS = sorted(os.sched_getaffinity(0))
KINDS = ["lo", "veth", "ifb"]
DEADLINE_NS = 10_000_000_000


def why_not() -> str:
    with private_netns() as netns_fd, entered(netns_fd):
        return core.probe("io_uring")


pytestmark = [
    pytest.mark.netns,
    pytest.mark.usefixtures("untouched_host"),
    pytest.mark.skipif("why_not()", reason="this kernel has no io_uring"),
]
needs_two_cpus = pytest.mark.skipif(len(CPUS) < 2, reason="a poller has a CPU of its own")


@contextmanager
def opened(topology: Topology, **axes: Value) -> Iterator[core.OpenCell]:
    values = defaults(vocabulary().axes) | {"method": "io_uring", "frame_size": 64, **axes}
    endpoint = core.Endpoint(topology.tx.ifindex, topology.dst_mac, topology.src_mac)
    with entered(topology.tx.netns_fd):
        cell = core.OpenCell(values, endpoint, CPUS)
    with cell:
        yield cell


def test_each_frame_is_the_one_that_was_meant(tmp_path: Path) -> None:
    axes = {
        "interface": KINDS,
        "method": ["io_uring"],
        "frame_size": [64, 65535],
        "burst": [1, 5],
        "fill": ["copy", "prefilled"],
        "flows": [1, 3],
        "uring_op": ["send", "sendmsg"],
        "registered_file": [False, True],
    }
    run = measured(tmp_path, axes)
    assert run.failures == {}
    for sample in run.samples:
        assert sample.problem == ""
        assert sample.delivered + sample.lost == sample.slice_completed > 0


def test_a_burst_is_one_call() -> None:
    plan = core.SlicePlan(window_ns=5_000_000, warmup_ns=0, drain_ns=DEADLINE_NS)
    with up("ifb") as topology, opened(topology, burst=16) as cell:
        completed = 0
        while not completed:  # it may wait for its CPU all through a window
            (thread,) = cell.run_slice(plan).threads
            completed = thread.completed
    assert thread.calls * 16 == completed


@needs_two_cpus
def test_a_poller_s_cpu_time_is_the_sender_s(tmp_path: Path) -> None:
    """It sends all the frames, on another CPU, while the sender spins: more than one CPU's time."""
    plan = core.SlicePlan(window_ns=100_000_000, warmup_ns=0, drain_ns=DEADLINE_NS)
    with up("veth") as topology, opened(topology, burst=16, sqpoll=True) as cell:
        assert cell.burst(0, DEADLINE_NS) == 16
        shares = []
        for _ in range(20):
            (thread,) = cell.run_slice(plan).threads
            shares.append(thread.cpu_ns / (thread.wall_ns - thread.run_delay_ns))
            if shares[-1] > 1.02:
                break
    assert shares[-1] > 1.02, shares
    assert thread.completed > 0


@needs_two_cpus
def test_a_poller_sends_the_frames_that_were_meant(tmp_path: Path) -> None:
    axes = {
        "interface": KINDS,
        "method": ["io_uring"],
        "burst": [5],
        "fill": ["copy", "prefilled"],
        "sqpoll": [True],
    }
    run = measured(tmp_path, axes)
    assert run.failures == {}
    assert all(sample.problem == "" for sample in run.samples)


@pytest.mark.parametrize("dontwait", [False, True])
def test_frames_that_find_a_full_send_buffer_wait_or_are_refused(dontwait: bool) -> None:
    """The queue passes 1,953 frames a second and holds more than sndbuf does."""
    slow = {"kind": "tbf", "rate": "1mbit", "burst": 2000, "limit": 1_000_000}
    plan = core.SlicePlan(window_ns=200_000_000, warmup_ns=0, drain_ns=DEADLINE_NS)
    with (
        up("veth", slow) as topology,
        opened(topology, burst=64, msg_dontwait=dontwait) as cell,
    ):
        measured = cell.run_slice(plan)
        (thread,) = measured.threads
    assert not measured.undrained
    assert thread.completed == thread.submitted > 0
    assert thread.eagain > 0 if dontwait else thread.eagain == 0
    assert thread.full_waits > 0 or dontwait
