"""Options with a unit, as pydantic models take them."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from bench.base.written import (
    BitRate,
    Bytes,
    DurationNs,
    bytes_between,
    duration_between,
    part_up_to,
)


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


def test_a_duration_that_stays_text_is_canonical_within_its_bounds() -> None:
    wait = TypeAdapter(Annotated[str, duration_between(1000, 10**9)])
    assert [wait.validate_python(text) for text in ("1us", "1500us", "1000ms")] == [
        "1us",
        "1500us",
        "1s",
    ]
    for text in ("999ns", "1001ms"):
        with pytest.raises(ValidationError, match="is out of range; write 1us to 1s"):
            wait.validate_python(text)


def test_a_part_is_canonical_text_up_to_its_bound() -> None:
    part = TypeAdapter(Annotated[str, part_up_to(500_000)])
    assert [part.validate_python(v) for v in (0, 0.01, "1 %", "50%")] == ["0%", "1%", "1%", "50%"]
    with pytest.raises(ValidationError, match="is too large; write 50% or less"):
        part.validate_python(0.51)


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
