"""Sizes, rates and durations as people write them, and what is said to what they are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from bench.base.units import (
    BitRate,
    Bytes,
    DurationNs,
    bytes_between,
    parse_bytes,
    parse_duration,
    parse_rate,
    show,
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
        (parse_bytes, "64KB", f"'64KB' is not a size; {BYTES}"),
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
        (parse_rate, "1Gbit", f"'1Gbit' is not a rate; {RATE}"),
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


class Options(BaseModel):
    size: Bytes = 1
    rate: BitRate = 1
    pause: DurationNs = 1
    frame: Annotated[int, bytes_between(14, 65535)] = 64


def test_types_of_options() -> None:
    options = Options.model_validate(
        {"size": "64KiB", "rate": "1gbit", "pause": "10ms", "frame": "1kB"}
    )
    assert options.model_dump() == {
        "size": 65536,
        "rate": 1_000_000_000,
        "pause": 10_000_000,
        "frame": 1000,
    }


@pytest.mark.parametrize("size", [13, 65536, "64KiB"])
def test_bounds(size: object) -> None:
    with pytest.raises(ValidationError, match="is out of range; write 14 to 65535 bytes"):
        Options.model_validate({"frame": size})


def test_schema_describes_what_is_written() -> None:
    assert TypeAdapter(Annotated[int, bytes_between(14, 65535)]).json_schema() == {
        "anyOf": [
            {"type": "integer", "minimum": 14, "maximum": 65535},
            {
                "type": "string",
                "pattern": r"^([0-9]{1,18}(?:\.[0-9]{1,18})?) ?(B|kB|KiB|MB|MiB|GB|GiB)$",
            },
        ]
    }


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
