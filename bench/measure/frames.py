"""The test frame, built a second time, apart from the core's own ``frame.c``."""

from __future__ import annotations

import struct

# What a frame is made of stands here a second time on purpose: were it asked of the core, a wrong
# number there would be a right one here.
ETHERTYPE = 0x88B5
"""IEEE 802 local experimental EtherType 1."""


HEADER = 14


FLOW_HEADERS, TCP_HEADERS = 42, 54
"""Ethernet, IPv4, UDP or TCP."""


TAG_AT = 12
"""Where a VLAN tag lies: behind the addresses."""


NUMBER = 8


_MAC_PARTS = ((6, "destination MAC"), (TAG_AT, "source MAC"))


_TYPE_PART = ((HEADER, "EtherType"),)


_LATER_PARTS = {
    HEADER: (),
    FLOW_HEADERS: ((34, "IPv4 header"), (FLOW_HEADERS, "UDP header")),
    TCP_HEADERS: ((34, "IPv4 header"), (TCP_HEADERS, "TCP header")),
}
"""Where each part of a frame without a tag ends, and its name, by the bytes of all headers."""


_CHECKSUM_AT = {FLOW_HEADERS: 40, TCP_HEADERS: 50}
_DONT_FRAGMENT = b"\x40\x00"


_PATTERN = bytes(range(251)) * 262


def expected_frame(
    size: int,
    dst: bytes,
    src: bytes,
    thread: int,
    number: int,
    flows: int = 1,
    tag: bytes = b"",
    headers: int = HEADER,
    segment: int = 0,
) -> bytes:
    """The test frame: ``size`` bytes from destination MAC to end of payload.

    The source's last byte is the thread's index, the payload the number (64 bits, little endian)
    and then each byte its own offset modulo 251; a short frame has the low bytes of the number.
    Of several flows, a frame belongs to number modulo flows and has headers before its payload. A
    VLAN ``tag`` of 4 bytes lies behind the addresses. Of one flow with ``headers`` of UDP or TCP it
    has those of flow 0, without a checksum of UDP or TCP; ``segment`` is its place among the frames
    that are cut from one super-frame.
    """
    if flows == 1 and headers == HEADER:
        head = dst + src[:5] + bytes([thread]) + ETHERTYPE.to_bytes(2, "big")
    else:
        head = _ip_headers(
            size - len(tag), dst, src, thread, number % flows, headers == TCP_HEADERS, segment
        )
    frame = head[:TAG_AT] + tag + head[TAG_AT:] + number.to_bytes(NUMBER, "little")
    return (frame + _PATTERN[len(frame) : size])[:size]


def _ip_headers(
    size: int, dst: bytes, src: bytes, thread: int, flow: int, is_tcp: bool, segment: int
) -> bytes:
    """Ethernet, IPv4 and UDP or TCP of one flow (csrc/frame.c says why): its number is in the low
    bytes of the destination MAC (xor; the lowest bit of the fourth is turned), twice in the
    destination address 198.19.0.0 and four times in the source port 32768. A segment is in the
    identification, and in a sequence number counted in bytes."""
    mac = dst[:3] + (int.from_bytes(dst[3:]) ^ 0x10000 ^ flow).to_bytes(3)
    source, target = bytes([198, 18, 0, thread]), bytes([198, 19]) + (2 * flow).to_bytes(2)
    protocol = 6 if is_tcp else 17
    ip = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, size - HEADER, segment, 0, 64, protocol, 0, source, target
    )
    ports = struct.pack("!HH", 32768 + 4 * flow, 9)
    if is_tcp:
        sequence = segment * (size - TCP_HEADERS)
        rest = struct.pack("!IIBBHHH", sequence, 0, 5 << 4, 0x10, 0xFFFF, 0, 0)
    else:
        rest = struct.pack("!HH", size - HEADER - len(ip), 0)
    return mac + src[:5] + bytes([thread]) + b"\x08\x00" + _with_checksum(ip) + ports + rest


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


def _sum(words: bytes) -> int:
    """Of 16-bit words, with the carries added back (RFC 1071)."""
    padded = words + bytes(len(words) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    return total and (total % 0xFFFF or 0xFFFF)


def _with_checksum(ip: bytes) -> bytes:
    """An IPv4 header, completed."""
    return ip[:10] + (0xFFFF - _sum(ip[:10] + ip[12:])).to_bytes(2) + ip[12:]


def as_meant(frame: bytes, headers: int, *, kernel_headers: bool) -> bytes:
    """A frame of UDP or TCP without what others than the sender choose, if it is sound.

    The checksum of UDP or TCP is right, or the pseudo-header's where a device is to complete it:
    then it is none here. ``kernel_headers``: the kernel chose identification and "don't fragment".
    """
    at = _CHECKSUM_AT[headers]
    if len(frame) < headers or frame[12:14] != b"\x08\x00":
        return frame
    ip, transport = frame[HEADER:34], frame[34:]
    pseudo = _sum(ip[12:] + bytes([0, ip[9]]) + len(transport).to_bytes(2))
    blank = transport[: at - 34] + bytes(2) + transport[at - 32 :]
    whole = 0xFFFF - _sum(pseudo.to_bytes(2) + blank)
    if int.from_bytes(frame[at : at + 2]) in (pseudo, whole or 0xFFFF):
        transport = blank
    if kernel_headers and ip == _with_checksum(ip) and ip[6:8] in (bytes(2), _DONT_FRAGMENT):
        ip = _with_checksum(ip[:4] + bytes(4) + ip[8:])
    return frame[:HEADER] + ip + transport


def difference(frame: bytes, meant: bytes, headers: int = HEADER, tag: int = 0) -> str:
    """The first thing in which a frame differs from the one that was meant, which has ``headers``,
    and ``tag`` bytes of a VLAN tag in them."""
    if len(frame) != len(meant):
        return f"{len(frame)} bytes long, {len(meant)} meant"
    offset = next(i for i, (a, b) in enumerate(zip(frame, meant, strict=True)) if a != b)
    later = _TYPE_PART + _LATER_PARTS[headers]
    tagged = ((TAG_AT + tag, "VLAN tag"), *((end + tag, name) for end, name in later))
    parts = (*_MAC_PARTS, *tagged, (tagged[-1][0] + NUMBER, "number"))
    part = next((name for end, name in parts if offset < end), "payload")
    return f"{part}: byte {offset} is {frame[offset]:#04x}, {meant[offset]:#04x} meant"
