"""AF_XDP over lo, veth, ifb and a device: each frame checked and counted, and what it refuses."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import struct
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bench.base.errors import CoreError
from bench.base.values import Value
from bench.engines import core
from bench.measure.counters import CounterReader
from bench.measure.prepare import vocabulary
from bench.model.run import Run
from bench.system.netns import private_netns
from bench.topology import Topology, entered
from bench.topology.kinds import up
from bench.topology.link import Allowed, rtnl, set_up
from tests.netns.driving import CPUS, DEADLINE_NS, PLAN, check, opened
from tests.running import assert_rounds, measured, needs_root

PAGE = os.sysconf("SC_PAGE_SIZE")
KINDS = ["lo", "veth", "ifb"]
BURST = 8
AF_XDP, SOL_XDP, XDP_TX_RING, XDP_MAX_TX_SKB_BUDGET = 44, 283, 3, 9


def why_not() -> str:
    with private_netns() as netns_fd, entered(netns_fd):
        return core.probe("af_xdp")


pytestmark = [
    pytest.mark.netns,
    pytest.mark.usefixtures("untouched_host"),
    pytest.mark.skipif("why_not()", reason="this kernel has no AF_XDP"),
]
anykernel = pytest.mark.anykernel
needs_two_cpus = pytest.mark.skipif(len(CPUS) < 2, reason="two threads need two CPUs")


def may_set_a_budget() -> bool:
    """Whether this kernel has XDP_MAX_TX_SKB_BUDGET (from Linux 6.17 on)."""
    with (
        private_netns() as netns_fd,
        entered(netns_fd),
        socket.socket(AF_XDP, socket.SOCK_RAW) as asking,
    ):
        asking.setsockopt(SOL_XDP, XDP_TX_RING, struct.pack("I", 64))
        try:
            asking.setsockopt(SOL_XDP, XDP_MAX_TX_SKB_BUDGET, struct.pack("I", 64))
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:
                raise
            return False
    return True


def xdp(topology: Topology, **axes: Value) -> AbstractContextManager[core.OpenCell]:
    return opened(topology, method="af_xdp", **{"burst": BURST, **axes})


def assert_sound(run: Run, rounds: int = 2) -> None:
    """Every cell was measured in every round, and what was delivered is what was completed."""
    assert run.failures == {}
    assert_rounds(run, rounds)
    for sample in run.samples:
        assert sample.problem == ""
        assert sample.delivered + sample.lost == sample.slice_completed > 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fill", ["copy", "prefilled"])
def test_each_frame_is_the_one_that_was_meant(kind: str, fill: str) -> None:
    for frame_size, burst in itertools.product([14, 64, 1514, min(PAGE, 65535)], [1, 48]):
        check(kind, method="af_xdp", frame_size=frame_size, burst=burst, fill=fill, xdp_ring=64)


@pytest.mark.parametrize("fill", ["copy", "prefilled"])
def test_flows_that_are_no_multiple_of_burst_and_ring_and_tags(fill: str) -> None:
    for vlan in ("none", {"id": 7, "priority": 0, "tpid": 0x8100}):
        axes = {"vlan": vlan, "frame_size": 54, "flows": 7, "burst": 3, "xdp_ring": 16}
        check("veth", method="af_xdp", fill=fill, **axes)


@anykernel
def test_each_cell_has_an_interface_of_its_own_as_a_queue_has_one_socket(tmp_path: Path) -> None:
    axes = {
        "interface": KINDS,
        "method": ["send", "af_xdp"],
        "frame_size": [64, 1514],
        "burst": [BURST],
        "xdp_ring": [64],
    }
    run = measured(tmp_path, axes)
    assert len(run.cells) == 3 * 2 * 2
    assert_sound(run)
    for cell in run.cells:
        if cell.method == "af_xdp":
            facts = run.facts[cell.id]
            assert (facts["ring_frames"], facts["zero_copy"]) == (64, False)


def test_a_call_takes_as_many_frames_as_its_budget() -> None:
    sizes = {32: 3, 128: 1} if may_set_a_budget() else {32: 3}
    for budget, calls in sizes.items():
        with up("ifb") as topology, xdp(topology, burst=96, tx_budget=budget) as cell:
            (thread,) = cell.run_slice(PLAN).threads
            while not thread.completed:  # it may wait for its CPU all through a window
                (thread,) = cell.run_slice(PLAN).threads
        assert thread.calls * 96 == thread.completed * calls
        assert thread.eagain == 0, "an exhausted budget is no refusal"


def test_a_kernel_without_the_option_says_so() -> None:
    if may_set_a_budget():
        pytest.skip("this kernel has XDP_MAX_TX_SKB_BUDGET")
    said = "XDP_MAX_TX_SKB_BUDGET, 64.*: this kernel has 32 only"
    with up("lo") as topology, pytest.raises(CoreError, match=said), xdp(topology, tx_budget=64):
        pass


@needs_two_cpus
@pytest.mark.parametrize("umem", ["one_queue", "shared", "own"])
@pytest.mark.parametrize("fill", ["copy", "prefilled"])
def test_threads_share_a_queue_or_have_one_each(umem: str, fill: str) -> None:
    for kind, wakeup in (("veth", True), ("ifb", False)):
        axes = {"threads": 2, "umem": umem, "need_wakeup": wakeup, "burst": BURST, "xdp_ring": 64}
        check({"kind": kind, "queues": 2}, method="af_xdp", fill=fill, **axes)


@needs_two_cpus
def test_threads_share_the_queue_of_lo() -> None:
    for fill in ("copy", "prefilled"):
        check("lo", method="af_xdp", threads=2, fill=fill, burst=BURST)


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"xdp_queue": 1}, "bind to queue 1 of interface 1, which may have fewer queues: "),
        (
            {"xdp_mode": "zero_copy"},
            "bind to queue 0 of interface 1, whose driver has no zero-copy mode: ",
        ),
    ],
)
def test_a_queue_that_is_not_there_and_a_mode_that_the_driver_lacks(
    axes: dict[str, Value], said: str
) -> None:
    with up("lo") as topology, pytest.raises(CoreError, match=said), xdp(topology, **axes):
        pass


def test_frames_go_around_the_qdisc() -> None:
    """One that lets 195 frames a second pass is not asked."""
    slow = {"kind": "tbf", "rate": "100kbit", "burst": 2000, "limit": 3000}
    with up("veth", slow) as topology, xdp(topology) as cell, CounterReader(topology) as reader:
        before = reader.read()
        assert sum(cell.burst(0, DEADLINE_NS) for _ in range(125)) == 1000
        after = reader.read()
    assert after.sinks[0].rx_packets - before.sinks[0].rx_packets == 1000
    assert after.qdisc == before.qdisc


def test_frames_that_the_device_drops_are_refused_and_not_completed() -> None:
    """Over its MTU: the kernel completes them all the same."""
    with (
        up({"kind": "veth", "mtu": 1500}) as topology,
        xdp(topology, frame_size=1600) as cell,
        CounterReader(topology) as reader,
    ):
        before = reader.read()
        assert cell.burst(0, DEADLINE_NS) == 0
        sent = cell.run_slice(PLAN)
        after = reader.read()
    assert sent.slice_completed == 0
    assert sent.slice_refused > 0
    assert after.tx.tx_dropped - before.tx.tx_dropped == sent.slice_refused + BURST
    assert after.sinks[0].rx_packets == before.sinks[0].rx_packets


def test_a_queue_that_was_just_given_back_is_waited_for() -> None:
    """The kernel has it for some 50 ms after a close."""
    with up("lo") as topology:
        for _ in range(3):
            with xdp(topology) as cell:
                assert cell.burst(0, DEADLINE_NS) == BURST


def test_a_queue_that_another_socket_has_is_named() -> None:
    said = "bind to queue 0 of interface 1, which another AF_XDP socket has"
    with (
        up("lo") as topology,
        xdp(topology),
        pytest.raises(CoreError, match=said),
        xdp(topology),
    ):
        pass


def test_frames_and_rings_that_cannot_be_are_refused_with_their_axis() -> None:
    check, base = vocabulary().check, {"method": "af_xdp", "threads": 1, "flows": 1, "burst": 1}

    def refused(**axes: Value) -> list[tuple[str, str]]:
        values: dict[str, Value | None] = {**base, "frame_size": 64, "fill": "prefilled", **axes}
        return [(problem.axis, problem.text) for problem in check(values, 4096)]

    assert refused(frame_size=4096) == []
    assert refused(frame_size=4097) == [
        (
            "frame_size",
            "frame of 4097 bytes with method af_xdp; at most 4096, or exclude the pair",
        )
    ]
    assert refused(xdp_ring=1000) == [("xdp_ring", "xdp_ring of 1000 descriptors; a power of two")]
    assert refused(xdp_ring=64, burst=65) == [
        ("burst", "burst of 65 frames with an xdp_ring of 64 descriptors; at most 64")
    ]
    assert refused(xdp_ring=64, tx_budget=65) == [
        ("tx_budget", "tx_budget of 65 descriptors with an xdp_ring of 64; at most that")
    ]
    assert refused(xdp_ring=16) == []
    assert [axis for axis, _ in refused(xdp_ring=16, flows=17)] == ["flows"]
    assert refused(xdp_ring=16, flows=17, fill="copy") == []


@anykernel
@needs_root
def test_a_device_is_there_once_so_its_cells_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_STATE", str(tmp_path))
    with private_netns() as here, private_netns() as far, entered(here):
        with rtnl(here) as ip:
            ip.link("add", ifname="eth1", kind="veth", peer={"ifname": "far", "net_ns_fd": far})
        for netns_fd, name in ((far, "far"), (here, "eth1")):
            set_up(netns_fd, name)
        axes = {
            "interface": [{"kind": "device", "name": "eth1"}],
            "method": ["send", "af_xdp"],
            "frame_size": [64, 1514],
            "burst": [BURST],
        }
        run = measured(tmp_path, axes, allowed=Allowed(("eth1",), in_use=True))
    assert len(run.cells) == 4
    assert_sound(run)
