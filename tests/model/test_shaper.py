"""How many frames a shaper lets pass."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.model.shaper import Shaper


@given(
    rate=st.integers(100_000, 2 * 10**9),
    wall_ns=st.integers(10**6, 10**8),
    size=st.integers(60, 9000),
    ways=st.integers(1, 8),
)
def test_what_passes_and_one_frame_of_each_way_or_a_thousandth(
    rate: int, wall_ns: int, size: int, ways: int
) -> None:
    passing = ways * rate * wall_ns / (8e9 * size)
    most = Shaper(rate, burst=9000, room=9).spread(ways).most_frames(wall_ns, size)
    assert passing + ways <= most
    rounded_ns = size * 8e9 / rate
    assert most <= (passing * rounded_ns / (rounded_ns - 1)) * 1.001 + ways + 1e-6


def test_shapers_beside_each_other_are_as_one_with_the_sum_of_each() -> None:
    assert Shaper(100, 10, 1).spread(3) == Shaper(300, 30, 3, ways=3)
