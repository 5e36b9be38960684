"""How strong an effect is for sure, and how effects are named."""

from __future__ import annotations

import math

import pytest

from bench.model.answer import Effect
from bench.model.results import Estimate
from bench.render.effects import strength


def an_effect(low: float | None, high: float | None) -> Effect:
    ratio = Estimate(1.0, low, high, 40)
    return Effect("burst", 64, 1, {}, (("a", "b"),), ratio, ratio)


@pytest.mark.parametrize(
    ("low", "high", "sure"),
    [
        (1.02, 1.5, 1.02),
        (0.5, 0.9, 0.9),
        (1.005, 1.5, 1.0),
        (0.5, 0.995, 1.0),
        (0.9, 1.1, 1.0),
        (None, None, 1.0),
    ],
)
def test_an_effect_is_as_strong_as_the_nearer_end_of_its_interval(
    low: float | None, high: float | None, sure: float
) -> None:
    """None, where that end is negligible."""
    assert strength(an_effect(low, high)) == pytest.approx(abs(math.log(sure)))
