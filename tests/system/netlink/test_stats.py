"""What the kernel answers to those who ask for counters."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.system.netlink.stats import QdiscStats, parse_qdisc, place_of_link


def attribute(kind: int, payload: bytes) -> bytes:
    return (struct.pack("=HH", 4 + len(payload), kind) + payload).ljust(
        4 + (len(payload) + 3) // 4 * 4, b"\0"
    )


def test_link_counters_are_found_behind_padding() -> None:
    stats = struct.pack("=25Q", *range(25))
    padding = attribute(0, b"")
    body = bytes(12) + padding + attribute(1, stats)
    assert body[place_of_link(body) :] == stats


def test_qdisc_counters_are_found_among_other_attributes() -> None:
    basic = attribute(1, struct.pack("=QI4x", 2**40, 7))
    queue = attribute(3, struct.pack("=5I", 1, 2, 3, 4, 5))
    nested = 7 | 0x8000
    body = (
        bytes(20)
        + attribute(1, b"tbf\0")
        + attribute(2, b"abcde")
        + attribute(nested, basic + queue)
        + attribute(3, bytes(40))
    )
    assert parse_qdisc(body) == (QdiscStats(2**40, 7, 3), 1)


@pytest.mark.parametrize("parse", [place_of_link, parse_qdisc])
def test_an_answer_without_counters_is_an_error(parse: Any) -> None:
    with pytest.raises(BenchError, match="no attribute"):
        parse(bytes(20) + attribute(40, b"x"))
