"""The plan takes what the kernel takes, and refuses what it refuses: both are asked."""

from __future__ import annotations

import errno
import mmap
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.base.values import Value
from bench.engines import config, core
from bench.measure.frame_check import FrameCheck
from bench.model.cells import Cell
from bench.system import host
from bench.topology import Topology, entered
from bench.topology.kinds import up
from tests.vocabulary import WORDS

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("untouched_host")]

SOL_PACKET, PACKET_VERSION, PACKET_TX_RING, PACKET_VNET_HDR = 263, 10, 13, 15
SEND_REQUEST, VNET_HEADER = 1, 10
PAGE = os.sysconf("SC_PAGE_SIZE")
CPU = max(os.sched_getaffinity(0))
DEADLINE_NS = 10_000_000_000


@pytest.fixture(scope="module")
def lo() -> Iterator[Topology]:
    with up("lo", mtu=65_535) as topology:
        yield topology


@pytest.fixture(scope="module")
def veth() -> Iterator[Topology]:
    with up("veth", mtu=9000) as topology:
        yield topology


def kernel_takes(there: Topology, ring: dict[str, int], frame_size: int, vnet_hdr: bool) -> bool:
    """Whether it makes and maps this ring, and takes a frame of this size from its first slot."""
    with entered(there.tx.netns_fd):
        sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with sender:
        sender.bind((there.tx.ifname, 0))
        sender.setsockopt(SOL_PACKET, PACKET_VERSION, ring["version"] - 1)
        sender.setsockopt(SOL_PACKET, PACKET_VNET_HDR, int(vnet_hdr))
        block, blocks, slot = ring["block_size"], ring["block_nr"], ring["frame_size"]
        words = [block, blocks, slot, block // slot * blocks] + [0] * 3 * (ring["version"] == 3)
        request = struct.pack(f"{len(words)}I", *words)
        if not taken(lambda: sender.setsockopt(SOL_PACKET, PACKET_TX_RING, request), errno.EINVAL):
            return False
        with mmap.mmap(sender.fileno(), block * blocks) as slots:
            length = frame_size + VNET_HEADER * vnet_hdr
            header = {
                1: struct.pack("LI", SEND_REQUEST, length),
                2: struct.pack("II", SEND_REQUEST, length),
                3: struct.pack("IIIIII", 0, 0, 0, 0, length, SEND_REQUEST),
            }[ring["version"]]
            slots[: len(header)] = header
            return taken(lambda: sender.send(b""), errno.EMSGSIZE)


def taken(ask: Callable[[], object], refusal: int) -> bool:
    """Whether the kernel does what it is asked for; it may refuse it for this reason alone."""
    try:
        ask()
    except OSError as error:
        if error.errno == refusal:
            return False
        raise
    return True


def near(unit: int, most: int) -> st.SearchStrategy[int]:
    """Multiples of a unit, and their neighbours."""
    return st.builds(
        lambda units, more: max(1, units * unit + more),
        st.integers(0, most // unit),
        st.sampled_from([0, 0, 0, 0, -1, 1, 16]),
    )


rings = st.fixed_dictionaries(
    {
        "version": st.integers(1, 3),
        "block_size": near(PAGE, 16 * PAGE),
        "block_nr": st.integers(1, 8),
        "frame_size": near(16, 3 * PAGE) | near(16, 128),
    }
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ring=rings, spare=st.integers(-40, 40), vnet_hdr=st.booleans())
def test_a_ring_is_planned_if_and_only_if_the_kernel_takes_it(
    lo: Topology, ring: dict[str, int], spare: int, vnet_hdr: bool
) -> None:
    frame_size = min(max(14, ring["frame_size"] - 40 + spare), 65_535)
    axes: dict[str, Value] = {"method": "tx_ring", "ring": ring, "vnet_hdr": vnet_hdr, "burst": 1}
    refused = config.check(cell(frame_size, **axes).values, PAGE)
    assert kernel_takes(lo, ring, frame_size, vnet_hdr) == (not refused), refused


def test_the_table_of_blocks_is_as_long_as_the_kernel_has_it() -> None:
    """That takes 2 GiB of memory: a machine without it shows only the one that is too long."""
    most = (PAGE << 10) // 8
    ring = {"version": 2, "block_size": PAGE, "block_nr": most, "frame_size": 2048}
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sender:

        def ask(blocks: int) -> None:
            words = struct.pack("4I", PAGE, blocks, 2048, PAGE // 2048 * blocks)
            sender.setsockopt(SOL_PACKET, PACKET_TX_RING, words)

        with pytest.raises(OSError, match=os.strerror(errno.ENOMEM)):
            ask(most + 1)
        if host.available_memory() > 3 * PAGE * most:
            ask(most)
    for blocks, problems in ((most, 0), (most + 1, 1)):
        values = cell(64, method="tx_ring", ring=ring | {"block_nr": blocks}).values
        assert len(config.check(values, PAGE)) == problems


def cell(frame_size: int, **axes: Value) -> Cell:
    base: dict[str, Value | None] = dict.fromkeys(WORDS.axes)
    defaults = {"frame_size": frame_size, "threads": 1, "fill": "prefilled", "flows": 1}
    return Cell("cell", base | defaults | axes)


sndbufs = st.just("default") | st.fixed_dictionaries(
    {"bytes": st.integers(1, 2**31 - 1) | st.integers(1, 8192), "force": st.booleans()}
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    ring=rings,
    sndbuf=sndbufs,
    frame_size=st.sampled_from([14, 64, 1000, 1514, 3000]),
    burst=st.integers(1, 24),
    flags=st.fixed_dictionaries(
        dict.fromkeys(
            ("msg_dontwait", "qdisc_bypass", "packet_loss", "mmap_locked", "vnet_hdr"),
            st.booleans(),
        )
    ),
    fill=st.sampled_from(["copy", "prefilled"]),
)
def test_what_is_planned_opens_and_its_frames_are_right(
    veth: Topology, ring: Any, sndbuf: Any, frame_size: int, burst: int, flags: Any, fill: str
) -> None:
    """In rings whose slots leave a rest in each block, too: frames stand where the kernel looks."""
    tried = cell(
        frame_size, method="tx_ring", ring=ring, sndbuf=sndbuf, burst=burst, fill=fill, **flags
    )
    if config.check(tried.values, PAGE):
        return
    endpoint = core.Endpoint(veth.tx.ifindex, veth.dst_mac, veth.src_mac)
    with entered(veth.tx.netns_fd):
        opened = core.OpenCell(tried.values, endpoint, [CPU])
    with opened, closing(FrameCheck(veth)) as checking:
        checking.check(tried, opened)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("fill", ["copy", "prefilled"])
def test_three_slots_in_a_page_and_a_rest(veth: Topology, version: int, fill: str) -> None:
    """Several times around: a frame that is looked for in the rest would be missing or wrong."""
    slot = PAGE // 3 // 16 * 16
    ring = {"version": version, "block_size": PAGE, "block_nr": 5, "frame_size": slot}
    tried = cell(1294, method="tx_ring", ring=ring, burst=4, fill=fill)
    assert config.check(tried.values, PAGE) == []
    endpoint = core.Endpoint(veth.tx.ifindex, veth.dst_mac, veth.src_mac)
    with entered(veth.tx.netns_fd):
        opened = core.OpenCell(tried.values, endpoint, [CPU])
    with opened:
        assert opened.facts().ring_frames == 15
        with closing(FrameCheck(veth)) as checking:
            checking.check(tried, opened)
        for _ in range(15):
            assert opened.burst(0, DEADLINE_NS) == 4
