"""Senders of UDP, and super-frames that the kernel cuts, over every interface that bench makes."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import pytest

from bench.base.errors import CoreError
from bench.base.values import Value
from bench.topology import entered, ethtool, ipv4
from bench.topology.kinds import up
from tests.netns.conftest import bonds, needs_qdisc
from tests.netns.driving import check
from tests.running import assert_rounds, measured

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("untouched_host")]

needs_two_cpus = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="two threads need two CPUs"
)
KERNEL = tuple(map(int, re.findall(r"\d+", platform.release())[:2]))
CUTS_UDP = KERNEL >= (6, 2)
"""Whether packet sockets take super-frames of UDP (VIRTIO_NET_HDR_GSO_UDP_L4); UDP's own do."""
MOST_OF_UDP = 128 if KERNEL >= (6, 9) else 64
INTERFACES: list[Value] = ["lo", "veth", {"kind": "veth", "gro": True}, "ifb"]
RINGS: list[Value] = [
    {"version": version, "block_size": 65536, "block_nr": 5, "frame_size": 32768}
    for version in (1, 2, 3)
]


@pytest.mark.parametrize("interface", INTERFACES, ids=str)
@pytest.mark.parametrize("fill", ["copy", "prefilled"])
@pytest.mark.parametrize(
    ("burst", "segments", "frame_size"),
    [(1, 1, 50), (1, 1, 1514), (16, 1, 64), (16, 16, 64), (64, 16, 51), (32, 16, 1514)],
)
def test_frames_of_udp(
    interface: Value, fill: str, burst: int, segments: int, frame_size: int
) -> None:
    measured = check(
        interface,
        method="udp",
        fill=fill,
        burst=burst,
        segments=segments,
        frame_size=frame_size,
    )
    (thread,) = measured.threads
    assert thread.completed == burst * thread.calls


@pytest.mark.parametrize("interface", INTERFACES, ids=str)
@pytest.mark.parametrize("fill", ["copy", "prefilled"])
@pytest.mark.parametrize("gso_type", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("burst", "segments", "frame_size"),
    [(1, 1, 62), (16, 1, 1514), (16, 16, 64), (64, 16, 63), (32, 16, 1514), (128, 128, 64)],
)
def test_super_frames(
    interface: Value, fill: str, gso_type: str, burst: int, segments: int, frame_size: int
) -> None:
    if gso_type == "udp" and (segments > MOST_OF_UDP or (segments > 1 and not CUTS_UDP)):
        pytest.skip("this kernel's packet sockets take no such super-frame of UDP")
    measured = check(
        interface,
        method="gso",
        fill=fill,
        gso_type=gso_type,
        burst=burst,
        segments=segments,
        frame_size=frame_size,
    )
    (thread,) = measured.threads
    assert thread.completed == burst * thread.calls


@pytest.mark.parametrize("interface", INTERFACES, ids=str)
@pytest.mark.parametrize("fill", ["copy", "prefilled"])
@pytest.mark.parametrize("gso_type", ["udp", "tcp"])
@pytest.mark.parametrize(
    ("ring", "burst", "segments", "frame_size"),
    [(RINGS[0], 2, 2, 62), (RINGS[1], 48, 16, 64), (RINGS[2], 32, 16, 1514)],
    ids=("v1", "v2", "v3"),
)
def test_super_frames_of_a_ring(
    interface: Value,
    fill: str,
    gso_type: str,
    ring: Value,
    burst: int,
    segments: int,
    frame_size: int,
) -> None:
    if gso_type == "udp" and not CUTS_UDP:
        pytest.skip("this kernel's packet sockets take no such super-frame of UDP")
    measured = check(
        interface,
        method="tx_ring",
        ring=ring,
        vnet_hdr=True,
        fill=fill,
        gso_type=gso_type,
        burst=burst,
        segments=segments,
        frame_size=frame_size,
    )
    (thread,) = measured.threads
    assert thread.completed % segments == 0
    assert thread.short_counts == 0


@pytest.mark.parametrize("interface", INTERFACES, ids=str)
def test_a_device_that_bench_makes_cuts_no_super_frames(interface: Value) -> None:
    with up(interface) as topology, entered(topology.tx.netns_fd):
        assert not {*ethtool.read(topology.tx.ifname)["features"]} & {*ipv4.CUT_BY_THE_DEVICE}


@needs_two_cpus
@pytest.mark.parametrize("method", ["udp", "gso", "tx_ring"])
def test_two_threads_on_sockets_of_their_own_and_on_a_shared_one(
    tmp_path: Path, method: str
) -> None:
    axes = {
        "ring": [{"slots": 8, "frame_size": 16384}],
        "vnet_hdr": [True],
        "interface": ["lo", "veth", "ifb"],
        "method": [method],
        "frame_size": [64, 1514],
        "threads": [2],
        "socket": ["own", "shared"],
        "fill": ["copy", "prefilled"],
        "burst": [16],
        "segments": [2 if method == "tx_ring" else 1, 8],
        "gso_type": ["tcp"],
        "msg_dontwait": [False, True],
    }
    run = measured(tmp_path, axes)
    assert_rounds(run, 2)
    assert run.failures == {}
    for sample in run.samples:
        assert sample.problem == ""
        assert sample.delivered + sample.lost == sample.slice_completed


@pytest.mark.parametrize("method", ["udp", "gso"])
def test_what_a_qdisc_loses_of_super_frames_is_counted_in_frames(
    tmp_path: Path, method: str
) -> None:
    needs_qdisc("netem")
    axes = {
        "interface": ["veth"],
        "qdisc": [{"kind": "netem", "loss": "30%"}],
        "method": [method],
        "burst": [32],
        "segments": [1, 8],
        "gso_type": ["tcp"],
    }
    run = measured(tmp_path, axes, window="5ms")
    assert run.failures == {}
    for sample in run.samples:
        assert sample.problem == ""
        assert sample.delivered + sample.lost == sample.slice_completed
        (cell,) = [cell for cell in run.cells if cell.id == sample.cell]
        assert sample.lost % int(str(cell.values.get("segments") or 1)) == 0
    assert any(sample.lost for sample in run.samples)


@bonds
@pytest.mark.usefixtures("bonding")
@pytest.mark.parametrize("method", ["udp", "gso"])
def test_over_a_bond(method: str) -> None:
    bond = {"kind": "bond", "mode": "balance-rr", "slaves": 2}
    check(bond, method=method, burst=16, segments=8, gso_type="tcp")


@pytest.mark.skipif(CUTS_UDP, reason="this kernel's packet sockets cut UDP")
@pytest.mark.parametrize("method", ["gso", "tx_ring"])
def test_a_kernel_that_does_not_cut_udp_says_so(method: str) -> None:
    ring = RINGS[1] if method == "tx_ring" else None
    with pytest.raises(CoreError, match=r"super-frame of UDP.*gso_type: tcp: Invalid argument"):
        check("veth", method=method, burst=16, segments=8, ring=ring, vnet_hdr=True)
