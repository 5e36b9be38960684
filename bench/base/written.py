"""Types for pydantic models of what users write with a unit.

Their JSON Schema describes what may be written.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator

from bench.base.units import (
    DURATION,
    RATE,
    SHARE,
    SIZE,
    Quantity,
    parse_bytes,
    parse_duration,
    parse_rate,
    parse_share,
    show,
)


def _written(quantity: Quantity, low: int = 0, high: int | None = None) -> Any:
    """The type, for a JSON Schema, of what users may write for a quantity."""
    text = Annotated[str, Field(pattern=f"^{quantity.pattern}$")]
    return Annotated[int, Field(ge=low, le=high)] | text if quantity.plain else text


def bytes_between(low: int, high: int) -> BeforeValidator:
    """What makes an int of a model bytes from low to high, written as in parse_bytes."""

    examples = (SIZE.example, "64B", f"{high}B")
    example = next(text for text in examples if low <= parse_bytes(text) <= high)

    def parse(value: object) -> int:
        size = parse_bytes(value, example)
        if not low <= size <= high:
            raise ValueError(f"{show(value)} is out of range; write {low} to {high} bytes")
        return size

    return BeforeValidator(parse, json_schema_input_type=_written(SIZE, low, high))


Bytes = Annotated[int, BeforeValidator(parse_bytes, json_schema_input_type=_written(SIZE))]
"""Bytes, written as in parse_bytes."""


BitRate = Annotated[int, BeforeValidator(parse_rate, json_schema_input_type=_written(RATE))]
"""Bits per second, written as in parse_rate."""


DurationNs = Annotated[
    int, BeforeValidator(parse_duration, json_schema_input_type=_written(DURATION))
]
"""Nanoseconds, written as in parse_duration."""


Share = Annotated[
    float,
    PlainValidator(
        parse_share,
        json_schema_input_type=Annotated[float, Field(gt=0, lt=1)]
        | Annotated[str, Field(pattern=f"^{SHARE}$")],
    ),
]
"""A fraction, written as in parse_share."""
