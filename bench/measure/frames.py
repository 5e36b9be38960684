"""The test frame, built a second time, apart from the core's own ``frame.c``."""

from __future__ import annotations

import struct

# What a frame is made of stands here a second time on purpose: were it asked of the core, a wrong
# number there would be a right one here.
ETHERTYPE = 0x88B5
"""IEEE 802 local experimental EtherType 1."""


HEADER = 14


FLOW_HEADERS = 42
"""Ethernet, IPv4, UDP."""


TAG_AT = 12
"""Where a VLAN tag lies: behind the addresses."""


NUMBER = 8


_MAC_PARTS = ((6, "destination MAC"), (TAG_AT, "source MAC"))


_TYPE_PART = ((HEADER, "EtherType"),)


_FLOW_PARTS = ((34, "IPv4 header"), (FLOW_HEADERS, "UDP header"))
"""Where each part of a frame without a tag ends, and its name."""


_PATTERN = bytes(range(251)) * 262


def expected_frame(
    size: int, dst: bytes, src: bytes, thread: int, number: int, flows: int = 1, tag: bytes = b""
) -> bytes:
    """The test frame: ``size`` bytes from destination MAC to end of payload.

    The source's last byte is the thread's index, the payload the number (64 bits, little endian)
    and then each byte its own offset modulo 251; a short frame has the low bytes of the number.
    Of several flows, a frame belongs to number modulo flows and has headers before its payload. A
    VLAN ``tag`` of 4 bytes lies behind the addresses.
    """
    if flows == 1:
        head = dst + src[:5] + bytes([thread]) + ETHERTYPE.to_bytes(2, "big")
    else:
        head = _flow_headers(size - len(tag), dst, src, thread, number % flows)
    frame = head[:TAG_AT] + tag + head[TAG_AT:] + number.to_bytes(NUMBER, "little")
    return (frame + _PATTERN[len(frame) : size])[:size]


def _flow_headers(size: int, dst: bytes, src: bytes, thread: int, flow: int) -> bytes:
    """Ethernet, IPv4 and UDP of one flow (csrc/frame.c says why): its number is in the low bytes
    of the destination MAC (xor; the lowest bit of the fourth is turned), twice in the destination
    address 198.19.0.0 and four times in the source port 32768."""
    mac = dst[:3] + (int.from_bytes(dst[3:]) ^ 0x10000 ^ flow).to_bytes(3)
    source, target = bytes([198, 18, 0, thread]), bytes([198, 19]) + (2 * flow).to_bytes(2)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, size - HEADER, 0, 0, 64, 17, 0, source, target)
    # RFC 1071: the complement of the sum of 16-bit words, carries added back
    checksum = 0xFFFF - (sum(struct.unpack("!10H", ip)) % 0xFFFF or 0xFFFF)
    udp = struct.pack("!HHHH", 32768 + 4 * flow, 9, size - HEADER - len(ip), 0)
    return (
        mac
        + src[:5]
        + bytes([thread])
        + b"\x08\x00"
        + ip[:10]
        + checksum.to_bytes(2)
        + ip[12:]
        + udp
    )


PKTGEN_NUMBER = FLOW_HEADERS + 4
"""Where the number of a frame of the kernel's generator lies: behind a magic one."""


_PKTGEN_OWN = ((18, 20), (24, 26), (50, 58))
"""IPv4's identification and checksum, and the time: nobody else knows them."""


def pktgen_frame(size: int, dst: bytes, src: bytes, number: int) -> bytes:
    """The frame of the kernel's generator of a number, from 0, as ``without_own`` leaves it
    (net/core/pktgen.c, ``fill_packet_ipv4``)."""
    ip = struct.pack("!BBHHHBBH", 0x45, 0, size - HEADER, 0, 0, 32, 17, 0)
    ip += bytes([198, 18, 0, 0]) + bytes([198, 19, 0, 0])
    udp = struct.pack("!HHHH", 9, 9, size - HEADER - len(ip), 0)
    frame = dst + src + b"\x08\x00" + ip + udp + struct.pack("!II", 0xBE9BE955, number + 1)
    return frame.ljust(size, b"\0")


def without_own(frame: bytes) -> bytes:
    """A frame of the kernel's generator with zeros for what changes from one to the next."""
    for start, end in _PKTGEN_OWN:
        frame = frame[:start] + bytes(len(frame[start:end])) + frame[end:]
    return frame


def difference(frame: bytes, meant: bytes, flows: int = 1, tag: int = 0) -> str:
    """The first thing in which a frame differs from the one that was meant, which has ``tag`` bytes
    of a VLAN tag."""
    if len(frame) != len(meant):
        return f"{len(frame)} bytes long, {len(meant)} meant"
    offset = next(i for i, (a, b) in enumerate(zip(frame, meant, strict=True)) if a != b)
    later = _TYPE_PART if flows == 1 else _TYPE_PART + _FLOW_PARTS
    tagged = ((TAG_AT + tag, "VLAN tag"), *((end + tag, name) for end, name in later))
    parts = (*_MAC_PARTS, *tagged, (tagged[-1][0] + NUMBER, "number"))
    part = next((name for end, name in parts if offset < end), "payload")
    return f"{part}: byte {offset} is {frame[offset]:#04x}, {meant[offset]:#04x} meant"
