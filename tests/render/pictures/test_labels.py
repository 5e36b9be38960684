"""What values are called in pictures."""

from __future__ import annotations

import pytest

from bench.base.values import Value
from bench.render.pictures.labels import named


@pytest.mark.parametrize(
    ("axis", "value", "text"),
    [
        ("frame_size", 64, "64 B"),
        ("threads", 1, "1 thread"),
        ("threads", 2, "2 threads"),
        ("qdisc_bypass", True, "qdisc_bypass"),
        ("fill", "copy", "copy"),
        ("burst", 1, "burst 1"),
        ("window", 8, "window 8"),
    ],
)
def test_a_value_has_the_name_of_its_axis_or_says_itself_what_it_is(
    axis: str, value: Value, text: str
) -> None:
    assert named(axis, value, [value]) == text
