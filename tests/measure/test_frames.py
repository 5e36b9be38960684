"""The frame that is meant, taken apart by other means than it was put together with."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from bench.measure.frames import difference, expected_frame

DST, SRC = bytes.fromhex("0262656e63ff"), bytes.fromhex("0262656e6300")


def test_a_frame_of_one_flow_has_the_experimental_ethertype_and_its_number() -> None:
    frame = expected_frame(64, DST, SRC, thread=3, number=0x0102)
    assert frame[:14] == DST + SRC[:5] + b"\x03" + b"\x88\xb5"
    assert frame[14:22] == bytes([2, 1, 0, 0, 0, 0, 0, 0])
    assert frame[22:] == bytes(range(22, 64))


@pytest.mark.parametrize("size", [50, 1514, 65535])
@pytest.mark.parametrize("number", [0, 5, 4095])
def test_a_frame_of_several_flows_is_sound_udp(size: int, number: int) -> None:
    frame = expected_frame(size, DST, SRC, thread=3, number=number, flows=4096)
    ip, udp = frame[14:34], frame[34:42]
    assert frame[12:14] == b"\x08\x00"
    total = sum(struct.unpack("!10H", ip))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF
    assert (ip[0], ip[9], int.from_bytes(ip[2:4])) == (0x45, 17, size - 14)
    assert int.from_bytes(udp[4:6]) == size - 34
    assert ipaddress.ip_address(ip[12:16]) in ipaddress.ip_network("198.18.0.0/15")
    assert ipaddress.ip_address(ip[16:20]) in ipaddress.ip_network("198.18.0.0/15")
    assert int.from_bytes(frame[42:50], "little") == number
    assert len(frame) == size
    assert frame[0] & 3 == 2  # unicast, locally administered


TAG = bytes.fromhex("81006064")  # priority 3, id 100


@pytest.mark.parametrize("flows", [1, 7])
@pytest.mark.parametrize("size", [20, 54, 58, 1518])
def test_a_tag_lies_behind_the_addresses_and_all_else_is_four_bytes_later(
    size: int, flows: int
) -> None:
    if flows > 1 and size < 54:
        return
    plain = expected_frame(size - 4, DST, SRC, thread=3, number=5, flows=flows)
    tagged = expected_frame(size, DST, SRC, thread=3, number=5, flows=flows, tag=TAG)
    payload = 50 if flows > 1 else 22
    assert len(tagged) == size
    assert tagged[:12] + tagged[16 : payload + 4] == plain[:payload]
    assert tagged[12:16] == TAG
    assert tagged[payload + 4 :] == bytes(i % 251 for i in range(payload + 4, size))


def test_every_flow_has_addresses_and_a_port_of_its_own() -> None:
    frames = [expected_frame(64, DST, SRC, 0, number, 4096) for number in range(4096)]
    assert len({frame[:6] for frame in frames}) == 4096
    assert len({frame[30:34] for frame in frames}) == 4096
    assert len({frame[34:36] for frame in frames}) == 4096
    assert DST not in {frame[:6] for frame in frames}


@pytest.mark.parametrize("fields", [[5], [5, 33], [5, 33, 35], [33, 35]])
@pytest.mark.parametrize("slaves", [2, 4, 8])
def test_no_folding_hash_puts_all_flows_on_one_slave(fields: list[int], slaves: int) -> None:
    """Low bytes of MAC, address and port, xored: layer3+4 leaves out the lowest bit."""
    chosen = set()
    for number in range(slaves):
        frame = expected_frame(64, DST, SRC, 0, number, slaves)
        folded = 0
        for field in fields:
            folded ^= frame[field]
        chosen.add((folded >> (5 not in fields)) % slaves)
    assert len(chosen) == slaves


PARTS = {
    1: {0: "destination MAC", 6: "source MAC", 12: "EtherType", 14: "number", 22: "payload"},
    4: {
        0: "destination MAC",
        6: "source MAC",
        12: "EtherType",
        14: "IPv4 header",
        33: "IPv4 header",
        34: "UDP header",
        41: "UDP header",
        42: "number",
        49: "number",
        50: "payload",
    },
}


@pytest.mark.parametrize("flows", PARTS)
def test_what_differs_is_named_by_the_part_of_the_frame_that_it_is_in(flows: int) -> None:
    meant = expected_frame(64, DST, SRC, thread=0, number=2, flows=flows)
    for offset, part in PARTS[flows].items():
        frame = bytearray(meant)
        frame[offset] ^= 0xFF
        said = difference(bytes(frame), meant, flows)
        assert said.startswith(f"{part}: byte {offset} is ")
    tagged = expected_frame(68, DST, SRC, thread=0, number=2, flows=flows, tag=TAG)
    for offset, part in [(11, "source MAC"), (12, "VLAN tag"), (15, "VLAN tag")]:
        frame = bytearray(tagged)
        frame[offset] ^= 0xFF
        assert difference(bytes(frame), tagged, flows, len(TAG)).startswith(f"{part}: byte ")
    for offset, part in PARTS[flows].items():
        frame = bytearray(tagged)
        frame[offset + 4 if offset >= 12 else offset] ^= 0xFF
        assert difference(bytes(frame), tagged, flows, len(TAG)).startswith(f"{part}: byte ")
    assert difference(meant[:-1], meant, flows) == "63 bytes long, 64 meant"
