"""What engines say of a cell before anything is opened: no privilege, no interface."""

from __future__ import annotations

import pytest

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
            f"{room} bytes; exclude the pair or raise ring frame_size",
        )
    ]


def test_every_problem_of_a_cell_is_told_with_the_axis_to_change() -> None:
    ring = {"version": 3, "block_size": 6000, "block_nr": 2, "frame_size": 40}
    found = problems(method="tx_ring", ring=ring, burst=301, flows=302, fill="prefilled")
    assert found == [
        (
            "ring",
            "ring block_size 6000 is no multiple of the page size 4096; write slots instead of "
            "block_size and block_nr: blocks then fit any page",
        ),
        ("ring", "ring frame_size 40 is no multiple of 16"),
        ("ring", "ring frame_size 40 is smaller than its header; at least 68"),
        (
            "frame_size",
            "frame of 64 bytes does not fit a ring slot of 40: v3 leaves 0 bytes; "
            "exclude the pair or raise ring frame_size",
        ),
        ("burst", "burst of 301 frames in a ring of 300 slots; at most 300"),
        (
            "flows",
            "302 flows in a prefilled ring of 300 slots, each of which keeps its flow; "
            "at most 300, or fill: copy",
        ),
    ]


def test_a_ring_is_smaller_than_4_gib() -> None:
    ring = {"version": 2, "block_size": 2**20, "block_nr": 2**12, "frame_size": 2048}
    assert problems(method="tx_ring", ring=ring) == [
        ("ring", "ring of 4294967296 bytes; less than 4 GiB")
    ]
    assert problems(method="tx_ring", ring=ring | {"block_nr": 2**12 - 1}) == []


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
        ({"method": "sendto", **PREFILLED, "flows": 3}, Numbering(Order.CONTINUES, 3, 2)),
        ({"method": "sendmmsg"}, Numbering(Order.CONTINUES, 0, 2)),
        ({"method": "sendmmsg", **PREFILLED}, Numbering(Order.PER_BURST, 8, 2)),
        ({"method": "sendmmsg", **PREFILLED, "flows": 3}, Numbering(Order.CONTINUES, 3, 2)),
        ({"method": "tx_ring", "socket": "shared"}, Numbering(Order.CONTINUES, 0, 2)),
        ({"method": "tx_ring", **PREFILLED}, Numbering(Order.PER_SLOT, 16, 2)),
        ({"method": "tx_ring", **PREFILLED, "socket": "shared"}, Numbering(Order.PER_SLOT, 16, 1)),
    ],
)
def test_an_engine_says_how_it_numbers_its_frames(
    axes: dict[str, Value], numbering: Numbering
) -> None:
    asked = cell(**{"threads": 2, "burst": 8, "ring": RING, **axes})
    assert config.numbering_of(asked) == numbering
    assert numbering.goes_on == (axes.get("socket") == "shared" and "fill" in axes)


def test_a_number_follows_from_the_position_or_from_the_place_in_its_burst() -> None:
    assert [Numbering(Order.CONTINUES, 0, 1).number(6, k) for k in range(3)] == [6, 7, 8]
    assert [Numbering(Order.CONTINUES, 7, 1).number(6, k) for k in range(3)] == [6, 0, 1]
    assert [Numbering(Order.PER_SLOT, 7, 1).number(6, k) for k in range(3)] == [6, 0, 1]
    assert [Numbering(Order.PER_BURST, 8, 1).number(6, k) for k in range(3)] == [0, 1, 2]
