"""What engines say of a cell before anything is opened: no privilege, no interface."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.base.values import Value
from bench.engines import config, core
from bench.engines.config import Numbering, Order
from bench.model.axes import defaults
from bench.model.cells import Cell
from bench.model.needs import Memory
from bench.model.vocabulary import axes_of
from tests.vocabulary import WORDS

PAGE = 4096
RING = {"version": 2, "block_size": 4096, "block_nr": 8, "frame_size": 2048}

_NEAR = st.integers(0, 2**19).map(lambda pages: pages * PAGE) | st.integers(0, 2**16).map(
    lambda units: units * 16
)
sizes = st.integers(1, 2**31 - 1) | st.builds(
    lambda size, more: min(max(1, size + more), 2**31 - 1), _NEAR, st.integers(-2, 2)
)
"""Any size that the schema admits, many of them near what the kernel takes."""


def cell(**axes: Value) -> Cell:
    return Cell("cell", dict.fromkeys(WORDS.axes) | {"frame_size": 64, "threads": 1} | axes)


def problems(page_size: int = PAGE, **axes: Value) -> list[tuple[str, str]]:
    found = config.check(cell(**axes).values, page_size)
    return [(problem.axis, problem.text) for problem in found]


@pytest.mark.parametrize(
    ("version", "vnet_hdr", "room"),
    [(1, False, 2016), (2, False, 2016), (3, False, 2000), (1, True, 2006), (3, True, 1990)],
)
def test_a_slot_has_room_for_its_header_and_the_frame(
    version: int, vnet_hdr: bool, room: int
) -> None:
    axes = {"method": "tx_ring", "ring": RING | {"version": version}, "vnet_hdr": vnet_hdr}
    assert problems(**axes, frame_size=room) == []
    assert problems(**axes, frame_size=room + 1) == [
        (
            "frame_size",
            f"frame of {room + 1} bytes does not fit a ring slot of 2048: v{version} leaves "
            f"{room} bytes; exclude the pair, or write frame_size: 2064, block_size: 8192 in ring",
        )
    ]


def test_every_problem_of_a_cell_is_told_with_the_axis_to_change() -> None:
    ring = {"version": 3, "block_size": 6000, "block_nr": 2, "frame_size": 40}
    found = problems(method="tx_ring", ring=ring, burst=401, flows=402, fill="prefilled")
    assert found == [
        (
            "ring",
            "ring block_size 6000 is no multiple of the page size 4096; "
            "write frame_size: 112, block_size: 20480, or slots instead, which fit any page",
        ),
        (
            "ring",
            "ring frame_size 40 is no multiple of 16; write frame_size: 112, block_size: 20480",
        ),
        (
            "ring",
            "ring frame_size 40 is smaller than its header; "
            "write frame_size: 112, block_size: 20480",
        ),
        (
            "frame_size",
            "frame of 64 bytes does not fit a ring slot of 40: v3 leaves 0 bytes; "
            "exclude the pair, or write frame_size: 112, block_size: 20480 in ring",
        ),
        ("burst", "burst of 401 frames in a ring of 364 slots; at most 364"),
        (
            "flows",
            "402 flows in a prefilled ring of 364 slots, each of which keeps its flow; "
            "at most 364, or fill: copy",
        ),
    ]


@pytest.mark.parametrize(
    ("axes", "least"),
    [
        ({"method": "udp"}, 50),
        ({"method": "gso"}, 50),
        ({"method": "gso", "gso_type": "tcp"}, 62),
        ({"method": "gso", "gso_type": "tcp", "segments": 4}, 62),
    ],
)
def test_a_frame_has_room_for_its_headers_and_its_number(
    axes: dict[str, Value], least: int
) -> None:
    assert problems(**axes, burst=4, frame_size=least) == []
    assert problems(**axes, burst=4, frame_size=least - 1) == [
        (
            "frame_size",
            f"frame of {least - 1} bytes has no room for its {least - 8} bytes of headers and its "
            f"number; at least {least}, or exclude the pair",
        )
    ]


@pytest.mark.parametrize(
    ("axes", "most"),
    [
        ({"method": "udp", "frame_size": 1514}, 44),
        ({"method": "gso", "frame_size": 1514, "gso_type": "tcp"}, 44),
        ({"method": "gso", "frame_size": 9014}, 7),
        ({"method": "gso", "frame_size": 64}, 128),
    ],
)
def test_a_super_frame_is_a_datagram(axes: dict[str, Value], most: int) -> None:
    assert problems(**axes, segments=most, burst=2 * most) == []
    if most < 128:
        assert problems(**axes, segments=most + 1, burst=most + 1) == [
            (
                "segments",
                f"{most + 1} segments of frames of {axes['frame_size']} bytes: a datagram has "
                f"65,535 bytes; at most {most}, or exclude the pair",
            )
        ]


def test_a_burst_is_whole_super_frames_that_somebody_cuts() -> None:
    axes: dict[str, Value] = {"method": "gso", "segments": 32}
    assert problems(**axes, burst=48, qdisc_bypass=True) == [
        (
            "burst",
            "burst of 48 frames in super-frames of 32; a multiple of 32, or exclude the pair",
        ),
        (
            "qdisc_bypass",
            "qdisc_bypass with super-frames of 32 segments, which nobody cuts there; false, or "
            "exclude the pair",
        ),
    ]
    assert problems(method="gso", burst=48, qdisc_bypass=True) == []


def test_a_ring_says_what_does_not_go_with_super_frames() -> None:
    axes: dict[str, Value] = {"method": "tx_ring", "segments": 4, "burst": 8, "vnet_hdr": True}
    axes |= {"ring": RING}
    assert problems(**axes) == []
    wrong: dict[str, Value] = {"vnet_hdr": False, "flows": 2, "malformed": "25%"}
    wrong |= {"vlan": {"id": 1, "priority": 0}, "frame_size": 70, "packet_loss": True}
    assert problems(**axes | wrong) == [
        (
            "vnet_hdr",
            "a ring with super-frames of 4 segments and no header that says how to cut them; "
            "vnet_hdr: true, or exclude the pair",
        ),
        ("flows", "2 flows in super-frames, which have one; 1, or exclude the pair"),
        (
            "vlan",
            "a VLAN tag in super-frames, whose headers have none; none, or exclude the pair",
        ),
        ("malformed", "malformed slots among super-frames; 0%, or exclude the pair"),
    ]
    assert problems(**axes | {"segments": 1, "gso_type": "tcp"}) == [
        (
            "gso_type",
            "gso_type: tcp of a ring with segments: 1, which cuts nothing; udp, or exclude the "
            "pair",
        )
    ]


def test_a_super_frame_fits_its_slot_and_what_the_kernel_copies_of_it() -> None:
    ring = {"version": 2, "block_size": 131072, "block_nr": 8, "frame_size": 65536}
    axes: dict[str, Value] = {"method": "tx_ring", "vnet_hdr": True, "burst": 32, "segments": 32}
    assert problems(**axes, ring=ring, frame_size=1514) == []
    assert problems(**axes, ring=RING, frame_size=1514) == [
        (
            "frame_size",
            "super-frame of 47146 bytes does not fit a ring slot of 2048: v2 leaves 2006 bytes; "
            "exclude the pair, or write frame_size: 47200, block_size: 98304 in ring",
        )
    ]
    axes |= {"ring": ring | {"block_size": 262144, "frame_size": 131072}}
    longest = 42 + (65535 - 42) // 5
    assert problems(**axes | {"segments": 5, "burst": 5}, frame_size=longest) == []
    assert problems(**axes | {"segments": 5, "burst": 5}, frame_size=longest + 2) == [
        (
            "segments",
            f"5 segments of frames of {longest + 2} bytes: the kernel copies 65,535 bytes of a "
            "slot; at most 4, or exclude the pair",
        )
    ]


def test_a_ring_has_room_for_a_burst_also_of_frames_without_payload() -> None:
    asked: dict[str, Value] = {"method": "tx_ring", "ring": RING, "frame_size": 14}
    assert problems(**asked, burst=16) == []
    assert problems(**asked, burst=17) == [
        ("burst", "burst of 17 frames in a ring of 16 slots; at most 16")
    ]


def test_a_ring_of_super_frames_holds_so_many_frames() -> None:
    asked = cell(method="tx_ring", ring=RING, segments=8, burst=8, vnet_hdr=True)
    assert config.memory_of(asked).ring_frames == 128
    assert problems(method="tx_ring", ring=RING, segments=8, burst=136, vnet_hdr=True) == [
        ("burst", "burst of 136 frames in a ring of 16 slots; at most 128")
    ]


@pytest.mark.parametrize("rest", [16, 1360, 4096 - 64])
def test_slots_may_leave_a_rest_in_each_block(rest: int) -> None:
    ring = RING | {"block_size": 4096, "frame_size": 4096 - rest}
    assert problems(method="tx_ring", ring=ring, frame_size=14) == []


@pytest.mark.parametrize(("page_size", "most"), [(4096, 524_288), (16384, 2_097_152)])
def test_the_kernel_has_a_table_of_so_many_blocks(page_size: int, most: int) -> None:
    ring = RING | {"block_size": page_size, "block_nr": most}
    assert problems(page_size, method="tx_ring", ring=ring) == []
    ((axis, text),) = problems(page_size, method="tx_ring", ring=ring | {"block_nr": most + 1})
    assert axis == "ring"
    assert f"at most {most}; use larger blocks" in text


def test_the_slots_of_a_ring_have_numbers_of_32_bits() -> None:
    ring = {"version": 1, "block_size": 2**20, "block_nr": 2**18, "frame_size": 64}
    most = (2**32 - 1) // 2**14
    assert problems(method="tx_ring", ring=ring, frame_size=14) == [
        ("ring", f"ring of {2**32} slots; at most {2**32 - 1}: write block_nr: {most}")
    ]
    assert problems(method="tx_ring", ring=ring | {"block_nr": most}, frame_size=14) == []


geometries = st.fixed_dictionaries(
    {
        "version": st.integers(1, 3),
        "block_size": sizes,
        "block_nr": st.integers(1, 40) | st.integers(1, 2**31 - 1),
        "frame_size": sizes,
    }
)


@pytest.mark.anykernel
@settings(max_examples=500, deadline=None)
@given(
    ring=geometries,
    page_size=st.sampled_from([4096, 16384, 65536]),
    frame_size=st.integers(14, 65535),
    burst=st.integers(1, 65536),
    flows=st.integers(1, 4096),
    vnet_hdr=st.booleans(),
)
def test_whoever_writes_what_problems_propose_has_none(
    ring: dict[str, int], page_size: int, frame_size: int, burst: int, flows: int, vnet_hdr: bool
) -> None:
    flows = flows if frame_size >= 50 else 1  # a frame that grows may need other slots
    axes: dict[str, Any] = {"frame_size": frame_size, "burst": burst, "flows": flows}
    axes |= {"method": "tx_ring", "ring": ring, "vnet_hdr": vnet_hdr, "fill": "prefilled"}
    found = problems(page_size, **axes)
    of_frames = {}
    for axis, text in found:
        written = {name: int(value) for name, value in re.findall(r"(\w+): (\d+)", text)}
        if axis == "ring":
            assert written, text
            axes["ring"] = ring | written
        elif "slot" in text and axis == "frame_size":
            of_frames = written
        else:
            axes[axis] = int(re.findall(r"at (?:most|least) (\d+)", text)[0])
    axes["ring"] = axes["ring"] | of_frames
    assert problems(page_size, **axes) == []


@pytest.mark.parametrize("page_size", [4096, 16384, 65536])
def test_blocks_are_whole_pages_of_the_kernel_in_question(page_size: int) -> None:
    ring = RING | {"block_size": 16384}
    assert bool(problems(page_size, method="tx_ring", ring=ring)) == (page_size == 65536)


@pytest.mark.parametrize("method", ["sendto", "sendmmsg", "tx_ring"])
def test_a_frame_of_several_flows_has_room_for_their_addresses(method: str) -> None:
    axes: dict[str, Value] = {"method": method, "ring": RING, "flows": 2}
    assert problems(**axes, frame_size=50) == []
    assert problems(**axes, frame_size=49) == [
        (
            "frame_size",
            "frame of 49 bytes has no room for the addresses and ports of 2 flows; "
            "at least 50, or exclude the pair",
        )
    ]
    assert problems(**axes | {"flows": 1}, frame_size=49) == []


@pytest.mark.parametrize("flows", [1, 2])
def test_a_tagged_frame_has_room_for_its_tag(flows: int) -> None:
    least = 20 if flows == 1 else 54
    axes: dict[str, Value] = {"method": "send", "vlan": {"id": 0, "priority": 0}, "flows": flows}
    assert problems(**axes, frame_size=least) == []
    ((axis, text),) = problems(**axes, frame_size=least - 1)
    assert axis == "frame_size"
    assert f"at least {least}, or exclude the pair" in text


def test_a_part_of_a_ring_that_is_no_slot_is_refused_with_the_least_that_is_one() -> None:
    axes: dict[str, Value] = {"method": "tx_ring", "ring": RING}
    ((axis, text),) = problems(**axes, malformed="6%")
    assert (axis, text) == (
        "malformed",
        "6% of a ring of 16 slots is none; at least 6.25%, or more slots",
    )
    assert problems(**axes, malformed="6.25%") == []
    single: dict[str, Value] = {"ring": RING | {"block_nr": 1, "frame_size": RING["block_size"]}}
    assert problems(**axes | single, burst=1, malformed="50%") == [
        ("malformed", "50% of a ring of a single slot is none; 0%, or more slots")
    ]


def test_flows_of_a_prefilled_ring_are_held_against_the_slots_that_are_sent() -> None:
    axes: dict[str, Value] = {"method": "tx_ring", "ring": RING, "fill": "prefilled", "burst": 2}
    axes |= {"malformed": "25%", "flows": 13}
    assert problems(**axes) == []
    ((axis, text),) = problems(**axes, packet_loss=True)
    assert (axis, "at most 12, or fill: copy" in text) == ("flows", True)


def test_the_defaults_suit_every_engine() -> None:
    for name, method in core.methods().items():
        values = {
            axis: value if axis in method.knobs else None
            for axis, value in defaults(axes_of(core.methods()), PAGE).items()
        }
        assert config.check(values | {"method": name}, PAGE) == []


def test_an_engine_says_how_much_memory_a_cell_maps() -> None:
    """Frames lie 64 bytes apart, or a multiple of it; one more of each flow is copied from."""
    two: dict[str, Value] = {"frame_size": 65, "threads": 2, "burst": 8}
    sizes = {
        "syscall": 0,
        "null": 2 * 128 * (8 + 1),
        "sendto": 2 * 128 * (1 + 1),
        "sendmmsg": 2 * 128 * (8 + 1),
    }
    for method, size in sizes.items():
        assert config.memory_of(cell(**two, method=method)) == Memory(size)
    ring: dict[str, Value] = two | {"method": "tx_ring", "ring": RING}
    own, shared = (config.memory_of(cell(**ring, socket=name)) for name in ("own", "shared"))
    assert (own.bytes, shared.bytes) == (2 * (8 * 4096 + 128), 8 * 4096 + 2 * 128)
    assert (own.ring_frames, shared.ring_frames) == (16, 16)
    assert config.memory_of(cell(**ring, mmap_locked=True)).locked == 8 * 4096
    assert own.locked == 0
    flows = {"flows": 5, "fill": "prefilled"}
    assert config.memory_of(cell(**two, **flows, method="sendmmsg")).bytes == 2 * 128 * (5 + 5)


PREFILLED: dict[str, Value] = {"fill": "prefilled"}


@pytest.mark.parametrize(
    ("axes", "numbering"),
    [
        ({"method": "sendto"}, Numbering(Order.CONTINUES, 0, 2)),
        ({"method": "sendto", **PREFILLED}, Numbering(Order.CONTINUES, 1, 2)),
        (
            {"method": "sendto", **PREFILLED, "flows": 3},
            Numbering(Order.CONTINUES, 3, 2, headers=42),
        ),
        ({"method": "sendmmsg"}, Numbering(Order.CONTINUES, 0, 2)),
        ({"method": "sendmmsg", **PREFILLED}, Numbering(Order.PER_BURST, 8, 2)),
        (
            {"method": "sendmmsg", **PREFILLED, "flows": 3},
            Numbering(Order.CONTINUES, 3, 2, headers=42),
        ),
        ({"method": "udp"}, Numbering(Order.CONTINUES, 0, 2, 42, 1, kernel_headers=True)),
        (
            {"method": "udp", **PREFILLED, "segments": 4},
            Numbering(Order.PER_BURST, 8, 2, 42, 4, kernel_headers=True),
        ),
        (
            {"method": "udp", **PREFILLED, "burst": 1, "socket": "shared"},
            Numbering(Order.PER_BURST, 1, 1, 42, 1, kernel_headers=True),
        ),
        ({"method": "gso", "segments": 8}, Numbering(Order.CONTINUES, 0, 2, 42, 8)),
        ({"method": "gso", "gso_type": "tcp"}, Numbering(Order.CONTINUES, 0, 2, 54, 1)),
        ({"method": "tx_ring", "socket": "shared"}, Numbering(Order.CONTINUES, 0, 2)),
        ({"method": "tx_ring", **PREFILLED}, Numbering(Order.PER_SLOT, 16, 2)),
        ({"method": "tx_ring", **PREFILLED, "socket": "shared"}, Numbering(Order.PER_SLOT, 16, 1)),
        ({"method": "tx_ring", **PREFILLED, "malformed": "25%"}, Numbering(Order.PER_SLOT, 16, 2)),
        (
            {"method": "tx_ring", **PREFILLED, "malformed": "25%", "packet_loss": True},
            Numbering(Order.PER_SLOT, 12, 2),
        ),
        (
            {"method": "tx_ring", "vnet_hdr": True, "segments": 4},
            Numbering(Order.CONTINUES, 0, 2, 42, 4),
        ),
        (
            {"method": "tx_ring", **PREFILLED, "vnet_hdr": True, "segments": 4, "gso_type": "tcp"},
            Numbering(Order.PER_SLOT, 64, 2, 54, 4),
        ),
    ],
)
def test_an_engine_says_how_it_numbers_its_frames(
    axes: dict[str, Value], numbering: Numbering
) -> None:
    asked = cell(**{"threads": 2, "burst": 8, "ring": RING, **axes})
    assert config.numbering_of(asked) == numbering
    is_ring = axes["method"] == "tx_ring"
    assert numbering.goes_on == (is_ring and axes.get("socket") == "shared" and "fill" in axes)


def test_a_number_follows_from_the_position_or_from_the_place_in_its_burst() -> None:
    assert [Numbering(Order.CONTINUES, 0, 1).number(6, k) for k in range(3)] == [6, 7, 8]
    assert [Numbering(Order.CONTINUES, 7, 1).number(6, k) for k in range(3)] == [6, 0, 1]
    assert [Numbering(Order.PER_SLOT, 7, 1).number(6, k) for k in range(3)] == [6, 0, 1]
    assert [Numbering(Order.PER_BURST, 8, 1).number(6, k) for k in range(3)] == [0, 1, 2]


def some(axis: str) -> st.SearchStrategy[Value | None]:
    values: dict[str, list[Value | None]] = {
        "method": ["sendto", "sendmmsg", "tx_ring", "gso", "null"],
        "frame_size": [14, 64, 1514, 9000],
        "threads": [1, 2],
        "socket": [None, "own", "shared"],
        "burst": [None, 1, 64, 2000],
        "fill": [None, "copy", "prefilled"],
        "sndbuf": [None, "default", {"bytes": 8192, "force": True}],
        "flows": [None, 1, 4],
        "vlan": [None, "none", {"id": 5, "priority": 0}],
        "malformed": [None, "0%", "1%"],
        "ring": [None, RING, RING | {"block_nr": 3}, RING | {"version": 3}],
        "packet_loss": [None, False, True],
        "vnet_hdr": [None, False, True],
        "segments": [None, 1, 4],
    }
    return st.sampled_from(values[axis]) if axis in values else st.none()


@pytest.mark.anykernel
@given(st.lists(st.fixed_dictionaries({axis: some(axis) for axis in WORDS.axes}), max_size=8))
def test_of_one_cell_after_another_each_is_told_what_it_is_told_alone(
    cells: list[dict[str, Value | None]],
) -> None:
    asking = config.Asking()
    for values in cells:
        refused = config.check(values, PAGE)
        assert asking.check(values, PAGE) == refused
        if not refused:
            assert asking.memory(values) == config.memory_of(Cell("", values))
            assert asking.segments(values) == config.segments_of(values)


def test_a_cell_that_has_changed_since_it_was_asked_about_is_asked_about_as_it_is_now() -> None:
    asking, values = config.Asking(), dict(cell(method="tx_ring", ring=RING, burst=1).values)
    assert asking.memory(values).ring_frames == 16
    values["ring"] = RING | {"block_nr": 2}
    assert asking.memory(values).ring_frames == 4
