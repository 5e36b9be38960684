"""Forest plots: the scale that all rows have in common."""

from __future__ import annotations

import pytest

from bench.model.results import Estimate
from bench.render.pictures import forest
from bench.render.pictures.forest import Axis

CHANGES = Axis("change", 0.0, is_ratio=False)
RATIOS = Axis("ratio", 1.0)


def domain(axis: Axis, *ends: tuple[float, float]) -> tuple[float, float]:
    rows = [forest.row("a", "b", Estimate(low, low, high, 20), "") for low, high in ends]
    return forest._domain(rows, axis)


@pytest.mark.parametrize("axis", [CHANGES, RATIOS])
@pytest.mark.parametrize(
    "ends", [[(0.9, 1.1)], [(0.2, 0.3), (0.5, 0.9)], [(1.0, 1.0)], [(2.0, 2.1)]]
)
def test_the_scale_holds_every_interval_and_where_nothing_changed(
    axis: Axis, ends: list[tuple[float, float]]
) -> None:
    low, high = domain(axis, *ends)
    least, most = min(axis.middle, *(a for a, _ in ends)), max(axis.middle, *(b for _, b in ends))
    assert low < least <= most < high
    room = 1.2 * (most - least) or 0.2
    assert high - low <= room or low * 1.1 == pytest.approx(least)


def test_ratios_far_apart_have_the_same_room_on_both_sides() -> None:
    low, high = domain(RATIOS, (0.1, 0.2), (3.0, 10.0))
    assert low < 0.1
    assert high > 10
    assert 0.1 / low == pytest.approx(high / 10)


def test_a_band_of_what_is_negligible_is_within_the_scale() -> None:
    low, high = domain(Axis("ratio", 1.0, near=0.01), (1.0, 1.001))
    assert low < 0.99
    assert high > 1.01


@pytest.mark.parametrize("width", [*range(100, 1000, 37)])
def test_the_wider_the_scale_the_more_labels_it_has_with_room_for_each(width: int) -> None:
    style = forest._Style(CHANGES, (-1.0, 1.0), beside=0, is_tight=False, series={})
    count = forest._x(style, width)["axis"]["tickCount"]
    assert count == 4 or 40 <= width / count <= 60
    assert count > 4 or width < 300
