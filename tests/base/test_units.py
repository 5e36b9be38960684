"""Sizes, rates and durations as people write them, and what is said to what they are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.base.units import (
    duration_text,
    parse_bytes,
    parse_duration,
    parse_part,
    parse_rate,
    parse_share,
    part_text,
    rate_text,
    rounded_size,
    share_text,
    show,
    size_text,
)

BYTES = 'write a whole number of bytes, or a number with B, kB, KiB, MB, MiB, GB, GiB ("64KiB")'
RATE = (
    "write a whole number of bits per second, or a number with bit, kbit, mbit, gbit, tbit "
    '("1gbit")'
)
DURATION = 'write a number with ns, us, ms, s ("10ms")'


@pytest.mark.parametrize(
    ("parse", "written", "value"),
    [
        (parse_bytes, 0, 0),
        (parse_bytes, 9000, 9000),
        (parse_bytes, "9000B", 9000),
        (parse_bytes, "2kB", 2000),
        (parse_bytes, "64KiB", 65536),
        (parse_bytes, "1MB", 1_000_000),
        (parse_bytes, "8 MiB", 8_388_608),
        (parse_bytes, "1.5KiB", 1536),
        (parse_bytes, "1GB", 1_000_000_000),
        (parse_bytes, "1GiB", 1_073_741_824),
        (parse_rate, 1000, 1000),
        (parse_rate, "8bit", 8),
        (parse_rate, "1kbit", 1000),
        (parse_rate, "10mbit", 10_000_000),
        (parse_rate, "2.5gbit", 2_500_000_000),
        (parse_rate, "1tbit", 10**12),
        (parse_duration, "7ns", 7),
        (parse_duration, "500us", 500_000),
        (parse_duration, "10ms", 10_000_000),
        (parse_duration, "0.1s", 100_000_000),
    ],
)
def test_written_quantities(parse: Callable[[object], int], written: object, value: int) -> None:
    assert parse(written) == value


@pytest.mark.parametrize(
    ("parse", "written", "message"),
    [
        (parse_bytes, "64", f"'64' is not a size; {BYTES}"),
        (parse_bytes, "64KB", "'64KB' is not a size; write what tc means by it (64KiB)"),
        (parse_bytes, "64TB", f"'64TB' is not a size; {BYTES}"),
        (parse_bytes, "4G", f"'4G' is not a size; {BYTES}"),  # more than a qdisc takes
        (parse_bytes, "-1B", f"'-1B' is not a size; {BYTES}"),
        (parse_bytes, "9" * 19 + "B", f"'{'9' * 19}B' is not a size; {BYTES}"),
        (parse_bytes, "64B\n", f"'64B\\n' is not a size; {BYTES}"),
        (parse_bytes, "٣B", f"'٣B' is not a size; {BYTES}"),
        (parse_bytes, "0.3KiB", f"'0.3KiB' is not a whole number of bytes; {BYTES}"),
        (parse_bytes, -1, f"-1 is not a size; {BYTES}"),
        (parse_bytes, 1.5, f"1.5 is not a size; {BYTES}"),
        (parse_bytes, True, f"true is not a size; {BYTES}"),
        (parse_bytes, None, f"null is not a size; {BYTES}"),
        (parse_bytes, [1], f"[1] is not a size; {BYTES}"),
        (parse_rate, "1Gbit", "'1Gbit' is not a rate; write what tc means by it (1gbit)"),
        (parse_rate, "1gbps", f"'1gbps' is not a rate; {RATE}"),
        (parse_rate, "0.5bit", f"'0.5bit' is not a whole number of bits per second; {RATE}"),
        (parse_duration, 10, f"10 is not a duration; {DURATION}"),
        (parse_duration, "10", f"'10' is not a duration; {DURATION}"),
        (parse_duration, "1min", f"'1min' is not a duration; {DURATION}"),
        (parse_duration, "0.5ns", f"'0.5ns' is not a whole number of nanoseconds; {DURATION}"),
    ],
)
def test_what_is_no_quantity(parse: Callable[[object], int], written: object, message: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the message is compared whole
        parse(written)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("written", "share"),
    [("3%", 0.03), ("0.5 %", 0.005), (0.03, 0.03), ("0.03", 0.03), (".25", 0.25), ("99.9%", 0.999)],
)
def test_shares(written: object, share: float) -> None:
    assert parse_share(written) == pytest.approx(share)


@pytest.mark.parametrize(
    "written", ["0%", "100%", "3", 3, 0.0, 1.0, 1.5, True, "1e-2", "nan%", "-3%", "0.03\n", None]
)
def test_what_is_no_share(written: object) -> None:
    with pytest.raises(ValueError, match=r"not allowed; write a fraction above 0% and below 100%"):
        parse_share(written)


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        (0, 0),
        (0.0, 0),
        ("0%", 0),
        ("1%", 10_000),
        (0.01, 10_000),
        (0.000001, 1),
        ("99.9999%", 999_999),
    ],
)
def test_parts_of_a_million(written: object, parts: int) -> None:
    assert parse_part(written) == parts


@settings(deadline=None)
@given(st.integers(0, 999_999))
def test_a_part_is_told_exactly_and_read_back(parts: int) -> None:
    assert parse_part(part_text(parts)) == parts


@pytest.mark.parametrize("written", [False, True, 1, "1", 0.0000001, "0.00001%", 0.9999999, None])
def test_what_is_no_part(written: object) -> None:
    with pytest.raises(ValueError, match=r"is not allowed|is too fine"):
        parse_part(written)


@pytest.mark.parametrize("size", [1, 1000, 1023, 1024, 1514, 64 << 10, 8 << 20, 3 << 30, 2**31 - 1])
def test_a_size_is_told_exactly_and_read_back(size: int) -> None:
    assert parse_bytes(f"{told}B" if (told := size_text(size)).isdecimal() else told) == size


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (size_text(64 << 10), "64KiB"),
        (size_text((8 << 20) + 1), "8388609"),
        (rate_text(10**9), "1gbit"),
        (rate_text(1_500_000), "1500kbit"),
        (rate_text(1500), "1500"),
        (duration_text(10_000_000), "10ms"),
        (duration_text(1_500_000), "1500us"),
        (duration_text(7), "7ns"),
        (duration_text(0), "0ns"),
        (share_text(0.01), "1%"),
        (share_text(0.025), "2.5%"),
        (rounded_size(512), "512 B"),
        (rounded_size(1514), "1.479 KiB"),
        (rounded_size(5 << 30), "5 GiB"),
    ],
)
def test_quantities_in_tables_and_messages(told: str, text: str) -> None:
    assert told == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ("it's", '"it\'s"'),
        ("two\nlines\u2028", "'two\\nlines\\u2028'"),
        ([1, ["a"]], "[1, ['a']]"),
        ({"kind": "tbf", "odd key\n": {"a": False}}, "{kind: 'tbf', 'odd key\\n': {a: false}}"),
        ("x" * 60, "'" + "x" * 56 + "..."),
    ],
)
def test_values_in_messages(value: object, text: str) -> None:
    assert show(value) == text


@given(st.integers(1, 4095), st.sampled_from([("k", 10), ("KB", 10), ("m", 20), ("Mb", 20)]))
def test_a_size_as_tc_writes_it_is_told_as_one_of_as_many_bytes(
    number: int, unit: tuple[str, int]
) -> None:
    """Its kilobyte has 1024 bytes: who copied it would have other ones."""
    letters, bits = unit
    with pytest.raises(ValueError, match="what tc means by it") as refused:
        parse_bytes(f"{number}{letters}")
    found = str(refused.value).rpartition("(")[2].removesuffix(")")
    assert parse_bytes(int(found) if found.isdecimal() else found) == number << bits
