"""Types for pydantic models of what users write with a unit.

Their JSON Schema describes what may be written.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainValidator

from bench.base.units import (
    DURATION,
    PART_SHARE,
    RATE,
    SHARE,
    SIZE,
    Quantity,
    duration_text,
    parse_bytes,
    parse_duration,
    parse_part,
    parse_rate,
    parse_share,
    part_text,
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


def duration_between(low_ns: int, high_ns: int) -> PlainValidator:
    """What makes a str of a model a duration from low to high; canonical is its text (``5ms``)."""

    def canonical(value: object) -> str:
        text = duration_text(duration_ns := parse_duration(value))
        if not low_ns <= duration_ns <= high_ns:
            low, high = duration_text(low_ns), duration_text(high_ns)
            raise ValueError(f"{text} is out of range; write {low} to {high}")
        return text

    return PlainValidator(canonical, json_schema_input_type=_written(DURATION))


Share = Annotated[
    float,
    PlainValidator(
        parse_share,
        json_schema_input_type=Annotated[float, Field(gt=0, lt=1)]
        | Annotated[str, Field(pattern=f"^{SHARE}$")],
    ),
]
"""A fraction, written as in parse_share."""


def part_up_to(most_parts: int) -> PlainValidator:
    """What makes a str of a model a part, of a million at most so many; written as in parse_part,
    canonical is its text (``1%``)."""

    def canonical(value: object) -> str:
        if (parts := parse_part(value)) > most_parts:
            raise ValueError(f"{show(value)} is too large; write {part_text(most_parts)} or less")
        return part_text(parts)

    number = Annotated[float, Field(ge=0, le=most_parts / 1_000_000)]
    text = Annotated[str, Field(pattern=f"^({PART_SHARE})$")]
    return PlainValidator(canonical, json_schema_input_type=number | text)


Part = Annotated[str, part_up_to(999_999)]
"""A part that may be anything below the whole."""
