"""Intervals and what they show; what a file does not have counts nothing."""

from __future__ import annotations

import msgspec
import pytest

from bench.model.answer import NEGLIGIBLE, Effect, Worth
from bench.model.results import Estimate
from bench.model.samples import Sample, ThreadSample


@pytest.mark.parametrize("value", [80.0, -80.0])
def test_the_half_width_is_a_part_of_the_value(value: float) -> None:
    assert Estimate(value, 70.0, 90.0, 30).half_width == pytest.approx(0.125)
    assert Estimate(value, 40.0, 120.0, 30).half_width == pytest.approx(0.5)
    assert Estimate(value, None, 90.0, 30).half_width is None
    assert Estimate(0.0, -1.0, 1.0, 30).half_width is None


LITTLE, MUCH = NEGLIGIBLE / 2, NEGLIGIBLE * 2


@pytest.mark.parametrize(
    ("low", "high", "worth"),
    [
        (None, None, Worth.OPEN),
        (1 - LITTLE, 1 + LITTLE, Worth.NEGLIGIBLE),
        (1 + LITTLE / 2, 1 + LITTLE, Worth.NEGLIGIBLE),
        (1 - LITTLE, 1 - LITTLE / 2, Worth.NEGLIGIBLE),
        (1 - LITTLE, 1 + MUCH, Worth.OPEN),
        (1 - MUCH, 1 + LITTLE, Worth.OPEN),
        (1 + LITTLE, 1 + MUCH, Worth.FASTER),
        (1 - MUCH, 1 - LITTLE, Worth.SLOWER),
        (1 + MUCH, 2.0, Worth.FASTER),
        (0.5, 1 - MUCH, Worth.SLOWER),
    ],
)
def test_an_interval_shows_what_an_effect_is_worth(
    low: float | None, high: float | None, worth: Worth
) -> None:
    ratio = Estimate(1.0, low, high, 30)
    assert Effect("burst", 64, 1, {}, (("a", "b"),), ratio, ratio).worth is worth


def test_what_a_file_does_not_have_counts_nothing() -> None:
    thread = msgspec.convert({"cpu": 1, "wall_ns": 1, "cpu_ns": 1}, ThreadSample)
    fields = {"cell": "a", "round": 0, "at_ns": 1, "wall_ns": 1, "threads": []}
    sample = msgspec.convert({**fields, "slice_completed": 1, "delivered": 1}, Sample)
    for of in (thread, sample):
        given = ("cpu", "wall_ns", "cpu_ns", "at_ns", "slice_completed", "delivered", "cell")
        rest = [getattr(of, name) for name in of.__dataclass_fields__ if name not in given]
        assert not any(rest)


def test_drops_are_those_of_all_places() -> None:
    sample = Sample("a", 0, 1, 1, (), 9, 9, qdisc_drops=2, device_drops=3, softnet_drops=4)
    assert sample.drops == 9
