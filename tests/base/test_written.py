"""Options with a unit, as pydantic models take them."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from bench.base.written import BitRate, Bytes, DurationNs, bytes_between


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
