"""What the core says of slices behind a real queue."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bench import native
from bench.model import AXES, Value
from bench.topology import Topology, entered
from bench.topology.kinds import up

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("untouched_host")]

CPU = max(os.sched_getaffinity(0))
SLOW = {"kind": "tbf", "rate": "1mbit", "burst": 2000, "limit": 100_000}
"""Some 270 frames of 64 bytes fill a sender's sndbuf: it takes 0.14 s until they have left."""


@contextmanager
def opened(topology: Topology, **axes: Value) -> Iterator[native.OpenCell]:
    base: dict[str, Value | None] = dict.fromkeys(AXES)
    values = base | {"frame_size": 64, "threads": 1, "fill": "prefilled", "flows": 1} | axes
    endpoint = native.Endpoint(topology.tx.ifindex, topology.dst_mac, topology.src_mac)
    with entered(topology.tx.netns_fd):
        cell = native.OpenCell(values, endpoint, [CPU])
    with cell:
        yield cell


def test_a_sender_sleeps_while_a_queue_drains() -> None:
    """That its looks at the queue are no cost of sending, tests/native/counts.c holds."""
    plan = native.SlicePlan(window_ns=20_000_000, warmup_ns=0, drain_ns=20_000_000_000)
    slower = SLOW | {"rate": "250kbit"}
    with up("veth", slower) as topology, opened(topology, method="send") as cell:
        cell.slice(plan)
        (thread,) = cell.slice(plan).threads
    assert thread.voluntary > 20, "it slept between two looks"
    assert thread.cpu_ns > 0
    assert thread.blocked_ns > 0


def test_frames_of_the_warm_up_that_stay_behind_spoil_the_slice() -> None:
    plan = native.SlicePlan(window_ns=300_000_000, warmup_ns=0, drain_ns=20_000_000)
    with up("veth", SLOW) as topology, opened(topology, method="send") as cell:
        assert cell.slice(plan).undrained > 0


@pytest.mark.parametrize("dontwait", [False, True])
def test_a_short_count_hides_a_drop_where_nothing_else_ends_a_call(dontwait: bool) -> None:
    """The queue is full after some 80 frames, and now and then has room for a part of a call.

    It passes 195 frames a second: no sender is so slow that it does not fill it in the window.
    """
    short = {"kind": "tbf", "rate": "100kbit", "burst": 2000, "limit": 3000}
    plan = native.SlicePlan(window_ns=200_000_000, warmup_ns=0, drain_ns=5_000_000_000)
    with (
        up("veth", short) as topology,
        opened(topology, method="sendmmsg", burst=32, msg_dontwait=dontwait) as cell,
    ):
        measured = cell.slice(plan)
    (thread,) = measured.threads
    assert thread.short_counts > 2  # the warm-up, which is no part of the window, has two calls
    told = measured.slice_refused - thread.enobufs
    assert told <= 2 if dontwait else told >= thread.short_counts
