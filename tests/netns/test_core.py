"""What the core says of slices behind a real queue."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.base.values import Value
from bench.engines import core
from bench.measure import frame_check
from bench.measure.counters import CounterReader
from bench.model.cells import Cell
from bench.topology import Topology, entered
from bench.topology.kinds import shaper, up
from bench.topology.link import rtnl
from tests.vocabulary import WORDS

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("untouched_host")]

CPU = max(os.sched_getaffinity(0))
SLOW = {"kind": "tbf", "rate": "1mbit", "burst": 2000, "limit": 100_000}
"""Some 270 frames of 64 bytes fill a sender's sndbuf: it takes 0.14 s until they have left."""

PAGE = os.sysconf("SC_PAGE_SIZE")
SMALL_RING = {"version": 2, "block_size": PAGE, "block_nr": 8, "frame_size": PAGE // 2}
"""16 slots."""


@contextmanager
def opened(topology: Topology, **axes: Value) -> Iterator[core.OpenCell]:
    base: dict[str, Value | None] = dict.fromkeys(WORDS.axes)
    values = base | {"frame_size": 64, "threads": 1, "fill": "prefilled", "flows": 1} | axes
    endpoint = core.Endpoint(topology.tx.ifindex, topology.dst_mac, topology.src_mac)
    with entered(topology.tx.netns_fd):
        cell = core.OpenCell(values, endpoint, [CPU])
    with cell:
        yield cell


def shaped(rate: int, kind: str) -> dict[str, Value]:
    """The bucket holds what leaves in 4 ms: none overflows while this machine is slow."""
    value: dict[str, Value] = {"kind": kind, "rate": rate, "burst": max(3200, rate // 2000)}
    return value | ({"limit": 1 << 20} if kind == "tbf" else {})


@pytest.mark.parametrize("kind", ["tbf", "htb"])
@pytest.mark.parametrize("rate", [500_000, 20_000_000])
@pytest.mark.parametrize(
    "axes",
    [
        {"method": "sendto"},
        {"method": "sendmmsg", "burst": 8, "msg_dontwait": True},
        {"method": "tx_ring", "burst": 8},
        {"method": "tx_ring", "burst": 8, "msg_dontwait": True, "ring_wait": "poll"},
    ],
    ids=lambda axes: "-".join(map(str, axes.values())),
)
def test_a_window_has_the_frames_that_a_shaper_lets_pass(
    axes: dict[str, Value], rate: int, kind: str
) -> None:
    """At rates that any machine fills. On a simulated kernel, tests/native/shaper.c has all others.

    A machine that others keep busy is late at an edge now and then: so the median is asked.
    """
    value = shaped(rate, kind)
    few = {"sndbuf": {"bytes": 8192, "force": False}, "ring": SMALL_RING, "frame_size": 1514}
    with up("veth", value) as topology, opened(topology, **few, **axes) as cell:
        held = shaper(
            dict.fromkeys(WORDS.axes)
            | few
            | {"interface": "veth", "qdisc": value, "qdisc_bypass": False}
        )
        assert held is not None
        plan = core.SlicePlan(
            window_ns=2_000_000,
            warmup_ns=300_000,
            drain_ns=10_000_000_000,
            shaper_rate=held.rate // 8,
            shaper_burst=held.burst,
        )
        slices = [cell.run_slice(plan) for _ in range(7)]
    assert not any(measured.undrained for measured in slices)
    frames = [sum(thread.completed for thread in measured.threads) for measured in slices]
    most = [held.most_frames(measured.wall_ns, 1514) for measured in slices]
    excess = sorted(had - may for had, may in zip(frames, most, strict=True))
    assert excess[len(excess) // 2] <= 0, (frames, most)


def test_frames_of_the_warm_up_that_stay_behind_spoil_the_slice() -> None:
    plan = core.SlicePlan(window_ns=300_000_000, warmup_ns=0, drain_ns=20_000_000)
    slower = SLOW | {"rate": "100kbit"}  # a second: so long may a busy machine's sender be away
    with up("veth", slower) as topology, opened(topology, method="send") as cell:
        assert cell.run_slice(plan).undrained


@pytest.mark.parametrize("dontwait", [False, True])
def test_a_short_count_hides_a_drop_where_nothing_else_ends_a_call(dontwait: bool) -> None:
    """The queue is full after some 80 frames, and now and then has room for a part of a call.

    It passes 195 frames a second: no sender is so slow that it does not fill it in the window.
    """
    short = {"kind": "tbf", "rate": "100kbit", "burst": 2000, "limit": 3000}
    plan = core.SlicePlan(window_ns=200_000_000, warmup_ns=0, drain_ns=5_000_000_000)
    with (
        up("veth", short) as topology,
        opened(topology, method="sendmmsg", burst=32, msg_dontwait=dontwait) as cell,
    ):
        measured = cell.run_slice(plan)
    (thread,) = measured.threads
    assert thread.short_counts > 2  # the warm-up, which is no part of the window, has two calls
    told = measured.slice_refused - thread.enobufs
    assert told <= 2 if dontwait else told >= thread.short_counts


RING = {"version": 2, "block_size": 65536, "block_nr": 16, "frame_size": 2048}
"""512 slots, two to a page of 4096 bytes."""
DEADLINE_NS = 10_000_000_000


@pytest.mark.parametrize(
    ("window_ms", "slots", "is_whole"),
    [(500, 512, True), (1, 16384, False)],  # an emulator sends as many in 10 ms; no machine in 1
)
def test_a_warm_up_passes_a_ring_once_but_takes_no_longer_than_the_window(
    window_ms: int, slots: int, is_whole: bool
) -> None:
    plan = core.SlicePlan(window_ms * 1_000_000, warmup_ns=1, drain_ns=DEADLINE_NS)
    ring = RING | {"block_nr": slots // 256, "frame_size": 256}
    with up("lo") as topology, opened(topology, method="tx_ring", burst=8, ring=ring) as cell:
        measured = cell.run_slice(plan)
        (thread,) = measured.threads
        warmed_up = measured.slice_submitted - thread.submitted
        assert cell.facts().ring_frames == slots
        assert (warmed_up >= slots) == is_whole


def used_pages(socket_mapping: str = r"socket:\[\d+\]") -> int:
    """Pages of the ring that were read or written since the bits were cleared (proc(5))."""
    maps = Path("/proc/self/smaps").read_text()
    (kib,) = re.findall(rf" {socket_mapping}\n(?:\w+: .*\n)*?Referenced: +(\d+) kB", maps)
    return int(kib) * 1024 // os.sysconf("SC_PAGE_SIZE")


def test_a_drain_does_not_look_at_every_slot() -> None:
    """What it costs falls into the window: a large ring would look slower than it is."""
    clear = Path("/proc/self/clear_refs")
    if not clear.exists():
        pytest.skip("this kernel has no /proc/self/clear_refs (CONFIG_PROC_PAGE_MONITOR)")
    with (
        up("ifb") as topology,
        opened(topology, method="tx_ring", ring=RING, burst=64, msg_dontwait=True) as cell,
    ):
        for _ in range(512 // 64):
            assert cell.burst(0, DEADLINE_NS) == 64
        assert used_pages() == 16 * 65536 // os.sysconf("SC_PAGE_SIZE")
        clear.write_text("1")
        assert used_pages() == 0
        assert cell.burst(0, DEADLINE_NS) == 64
        assert used_pages() <= 64 * 2048 // os.sysconf("SC_PAGE_SIZE") + 1


def test_a_drain_waits_for_slots_that_come_back_after_younger_ones() -> None:
    """Every eighth frame, the first of a burst among them, waits in a class of its own."""
    slow = dict.fromkeys(["rate", "ceil"], 8000) | dict.fromkeys(["buffer", "cbuffer"], 390_625)
    parms = slow | {"quantum": 1000, "rate_linklayer": 1, "ceil_linklayer": 1}
    of_flow_0 = {"protocol": 0x0800, "keys": ["0x8000/0xffff+20"]}  # UDP from port 32768
    with (
        up("veth", {"kind": "htb", "rate": "10gbit"}) as topology,
        opened(topology, method="tx_ring", ring=RING, burst=64, flows=8, msg_dontwait=True) as cell,
    ):
        with rtnl(topology.tx.netns_fd) as ip:
            link, (root, waiting) = topology.tx.ifindex, (0x10000, 0x10002)
            options = {"attrs": [("TCA_HTB_PARMS", parms)]}
            ip.tc("add-class", "htb", link, handle=waiting, parent=root, options=options)
            ip.tc("add-filter", "u32", link, parent=root, prio=1, target=waiting, **of_flow_0)
        with CounterReader(topology) as reader:
            before = reader.read().sinks[0].rx_packets
            assert cell.burst(0, DEADLINE_NS) == 64
            assert reader.read().sinks[0].rx_packets - before == 64


def test_small_bursts_of_a_ring_are_checked_several_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A change of threads takes as long as many frames, and a ring may have 524,288 slots."""
    changes = 0

    class Counting(ThreadPoolExecutor):
        def submit(self, *call: Any, **keywords: Any) -> Future[Any]:
            nonlocal changes
            changes += 1
            return super().submit(*call, **keywords)

    monkeypatch.setattr(frame_check, "ThreadPoolExecutor", Counting)
    axes: dict[str, Value] = {"method": "tx_ring", "ring": RING, "burst": 1, "socket": "own"}
    values = (
        dict.fromkeys(WORDS.axes) | {"frame_size": 64, "threads": 1, "fill": "prefilled"} | axes
    )
    with up("veth") as topology, opened(topology, **axes) as cell:
        with closing(frame_check.FrameCheck(topology)) as checking:
            checking.check(Cell("cell", values), cell)
        assert 0 < changes <= 512 // 8
        assert cell.facts().ring_frames == 512
