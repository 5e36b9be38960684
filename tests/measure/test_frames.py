"""The frame that is meant, taken apart by other means than it was put together with."""

from __future__ import annotations

import ipaddress
import struct

import pytest

from bench.measure.frames import as_meant, difference, expected_frame

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
    headers = 14 if flows == 1 else 42
    meant = expected_frame(64, DST, SRC, thread=0, number=2, flows=flows)
    for offset, part in PARTS[flows].items():
        frame = bytearray(meant)
        frame[offset] ^= 0xFF
        said = difference(bytes(frame), meant, headers)
        assert said.startswith(f"{part}: byte {offset} is ")
    tagged = expected_frame(68, DST, SRC, thread=0, number=2, flows=flows, tag=TAG)
    for offset, part in [(11, "source MAC"), (12, "VLAN tag"), (15, "VLAN tag")]:
        frame = bytearray(tagged)
        frame[offset] ^= 0xFF
        assert difference(bytes(frame), tagged, headers, len(TAG)).startswith(f"{part}: byte ")
    for offset, part in PARTS[flows].items():
        frame = bytearray(tagged)
        frame[offset + 4 if offset >= 12 else offset] ^= 0xFF
        assert difference(bytes(frame), tagged, headers, len(TAG)).startswith(f"{part}: byte ")
    assert difference(meant[:-1], meant, headers) == "63 bytes long, 64 meant"


# UDP and TCP


def sent(headers: int, segment: int = 0, size: int = 77) -> bytes:
    return expected_frame(size, DST, SRC, thread=3, number=5, headers=headers, segment=segment)


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def transport(frame: bytes) -> bytes:
    """The pseudo-header and what its checksum covers beside it (RFC 768, RFC 9293)."""
    length = len(frame) - 34
    return frame[26:34] + bytes([0, frame[23]]) + length.to_bytes(2) + frame[34:]


def with_bytes(frame: bytes, at: int, data: bytes) -> bytes:
    return frame[:at] + data + frame[at + len(data) :]


AT = {42: 40, 54: 50}
"""Where the checksum of UDP or TCP lies."""


@pytest.mark.parametrize("headers", AT)
@pytest.mark.parametrize("size", [77, 78])
def test_a_frame_is_as_meant_with_a_checksum_that_is_right_or_to_be_completed(
    headers: int, size: int
) -> None:
    meant = sent(headers, size=size)
    whole = checksum(transport(meant))
    to_complete = 0xFFFF - checksum(transport(meant)[:12])
    for value in (whole, to_complete):
        frame = with_bytes(meant, AT[headers], value.to_bytes(2))
        assert as_meant(frame, headers, kernel_headers=False) == meant
        wrong = with_bytes(frame, AT[headers], (value ^ 1).to_bytes(2))
        assert as_meant(wrong, headers, kernel_headers=False) == wrong


def test_a_segment_is_in_the_identification_and_in_the_sequence_number() -> None:
    first, third = sent(54), sent(54, segment=2)
    assert (first[18:20], third[18:20]) == (b"\0\0", b"\0\2")
    assert int.from_bytes(third[38:42]) - int.from_bytes(first[38:42]) == 2 * (77 - 54)
    assert checksum(third[14:34]) == 0
    assert first[54:62] == third[54:62] == (5).to_bytes(8, "little")


def test_the_kernel_may_choose_an_identification_and_not_to_fragment() -> None:
    meant = sent(42)
    chosen = with_bytes(meant, 18, b"\x12\x34\x40\x00")
    right = with_bytes(chosen, 24, checksum(chosen[14:24] + chosen[26:34]).to_bytes(2))
    assert as_meant(right, 42, kernel_headers=True) == meant
    assert as_meant(right, 42, kernel_headers=False) == right
    assert as_meant(chosen, 42, kernel_headers=True) == chosen  # whose checksum is wrong
    more = with_bytes(meant, 20, b"\x20\x00")  # of a fragment: more of them follow
    fragment = with_bytes(more, 24, checksum(more[14:24] + more[26:34]).to_bytes(2))
    assert as_meant(fragment, 42, kernel_headers=True) == fragment


@pytest.mark.parametrize(
    "frame", [b"", DST + SRC + b"\x08\x00", DST + SRC + b"\x88\xb5" + bytes(50)]
)
def test_a_frame_of_another_protocol_or_without_headers_stays_as_it_is(frame: bytes) -> None:
    assert as_meant(frame, 42, kernel_headers=True) == frame
