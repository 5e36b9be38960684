"""Axes that change what a frame, a socket or a slot is."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.engines import core
from bench.measure.counters import CounterReader
from bench.topology import entered
from bench.topology.kinds import up
from tests.netns.test_core import DEADLINE_NS, PAGE, opened
from tests.netns.test_run import METHODS, assert_sound
from tests.running import measured

pytestmark = pytest.mark.netns

TAG = {"id": 100, "priority": 3}
RING = {"version": 2, "slots": 16, "frame_size": 2048}


TAGGING = [method for method in METHODS if method != "dgram"]
"""dgram's header is the kernel's, which writes no tag."""


def offered(*names: str) -> list[str]:
    """Of methods that some kernels lack."""
    return [name for name in names if not core.probe(name)]


# vlan


def test_tagged_frames_of_every_method_arrive_as_they_are_meant(tmp_path: Path) -> None:
    methods = [*TAGGING, *offered("af_xdp", "io_uring")]
    axes: dict[str, Any] = {
        "interface": ["lo", "veth", "ifb"],
        "method": methods,
        "vlan": [TAG],
        "frame_size": [20, 1518],
        "fill": ["copy", "prefilled"],
        "flows": [1, 3],
        "burst": [5],
        "ring": [RING],
    }
    run = measured(tmp_path, axes, rounds=1, exclude=[{"frame_size": 20, "flows": 3}])
    assert len(run.cells) == 3 * len(methods) * 2 * 3
    assert_sound(run, rounds=1)


@pytest.mark.parametrize("method", TAGGING)
def test_an_mtu_of_1500_lets_1518_bytes_pass_with_a_tag_alone(method: str) -> None:
    ring = {"version": 2, "block_size": PAGE, "block_nr": 4, "frame_size": PAGE // 2}
    axes: dict[str, Any] = {"method": method, "burst": 1, "ring": ring, "frame_size": 1518}
    with up({"kind": "veth", "mtu": 1500}) as topology:
        with opened(topology, **axes, vlan=TAG) as cell:
            assert cell.burst(0, DEADLINE_NS) > 0
        with opened(topology, **axes) as cell, pytest.raises(BenchError):
            cell.burst(0, DEADLINE_NS)
        longer = axes | {"frame_size": 1519}
        with opened(topology, **longer, vlan=TAG) as cell, pytest.raises(BenchError):
            cell.burst(0, DEADLINE_NS)


def test_the_receiver_is_told_the_tag_that_was_asked_for() -> None:
    """PACKET_AUXDATA: the kernel takes the tag out of the frame before it is captured."""
    with up("veth") as topology:
        (rx,) = topology.rx
        with entered(rx.netns_fd):
            receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        with closing(receiver), opened(topology, method="send", vlan=TAG) as cell:
            receiver.setsockopt(263, 8, 1)
            receiver.settimeout(30)
            cell.burst(0, DEADLINE_NS)
            frame, ((_, _, beside),), *_ = receiver.recvmsg(2000, 200)
    tci, tpid = struct.unpack_from("=HH", beside, 16)
    assert (tci, tpid) == (3 << 13 | 100, 0x8100)
    assert (len(frame), frame[12:14]) == (60, b"\x88\xb5")


# protocol


@pytest.mark.parametrize("interface", ["lo", "veth", "ifb"])
def test_a_sender_that_also_receives_sends_the_same_frames(interface: str, tmp_path: Path) -> None:
    axes = {
        "interface": [interface],
        "method": [*METHODS, *offered("io_uring")],
        "protocol": ["none", "all"],
        "burst": [5],
        "ring": [RING],
    }
    run = measured(tmp_path, axes)
    assert len({cell.method for cell in run.cells}) * 2 == len(run.cells)
    assert_sound(run, rounds=2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("protocol", ["none", "all"])
def test_the_kernel_lists_the_protocol_that_a_socket_was_opened_with(
    method: str, protocol: str
) -> None:
    ring = {"version": 2, "block_size": PAGE, "block_nr": 4, "frame_size": PAGE // 2}
    with (
        up("veth") as topology,
        opened(topology, method=method, protocol=protocol, burst=1, ring=ring),
        entered(topology.tx.netns_fd),
    ):
        _, *rows = Path("/proc/thread-self/net/packet").read_text().splitlines()
    assert [row.split()[3] for row in rows] == ["0003" if protocol == "all" else "0000"]


# malformed


@pytest.mark.parametrize("threads", [1, 2])
def test_what_the_kernel_refuses_is_counted_apart_and_is_not_lost(
    threads: int, tmp_path: Path
) -> None:
    """Every fourth slot; with packet_loss it is skipped, without it is mended and sent again."""
    axes: dict[str, Any] = {
        "interface": ["lo", "veth", "ifb"],
        "method": ["tx_ring"],
        "ring": [{"version": version, "slots": 24, "frame_size": 256} for version in (1, 2, 3)],
        "malformed": ["25%"],
        "packet_loss": [False, True],
        "fill": ["copy", "prefilled"],
        "flows": [1, 3],
        "vnet_hdr": [False, True],
        "burst": [6],
        "threads": [threads],
        "socket": ["own", "shared"] if threads > 1 else ["own"],
    }
    if threads > len(os.sched_getaffinity(0)):
        pytest.skip("two threads need two CPUs")
    if threads > 1:
        axes |= {"interface": ["veth"], "flows": [1], "vnet_hdr": [False]}
    run = measured(tmp_path, axes)
    assert_sound(run, rounds=2)
    skips = {cell.id: cell.values["packet_loss"] for cell in run.cells}
    for sample in run.samples:
        assert sample.lost == 0
        malformed, requested = sample.total("malformed"), sample.total("requested")
        if requested < 100:  # a sender that others kept off its CPU
            continue
        # At the edges of the window a burst of each thread is in between.
        part = malformed / (requested if skips[sample.cell] else requested - malformed)
        assert part == pytest.approx(0.25, abs=12 * threads / requested)


@pytest.mark.parametrize("dontwait", [False, True])
@pytest.mark.parametrize("loss", [False, True])
def test_malformed_slots_meet_a_full_queue_like_others(loss: bool, dontwait: bool) -> None:
    slow = {"kind": "tbf", "rate": "1mbit", "burst": 200, "limit": 1000}
    ring = {"version": 2, "block_size": PAGE, "block_nr": 4, "frame_size": PAGE // 16}
    axes: dict[str, Any] = {"method": "tx_ring", "burst": 16, "ring": ring, "malformed": "50%"}
    with (
        up("veth", slow) as topology,
        CounterReader(topology) as reader,
        opened(topology, **axes, packet_loss=loss, msg_dontwait=dontwait) as cell,
    ):
        before = reader.read()
        sent = sum(cell.burst(0, DEADLINE_NS) for _ in range(8))
        arrived = reader.read().sinks[0].rx_packets - before.sinks[0].rx_packets
    assert arrived == sent
    assert sent in (64, 128)
    assert (sent == 64) == loss
