"""Medians over rounds, and intervals that hold them."""

from __future__ import annotations

import math
import operator
import random
import statistics

import numpy as np
import pytest
from scipy import stats

from bench.analysis import intervals
from bench.analysis.intervals import Inflation

INDEPENDENT = Inflation(1.0, freedom=1e6)


def test_the_estimate_is_the_median_and_few_values_have_no_interval() -> None:
    assert intervals.estimate([], INDEPENDENT) is None
    few = intervals.estimate([3.0, 1.0, 2.0, 9.0, 4.0], INDEPENDENT)
    assert few is not None
    assert (few.value, few.low, few.high, few.n) == (3.0, None, None, 5)
    values = random.Random(1).sample([float(i) for i in range(20)], 20)
    twenty = intervals.estimate(values, INDEPENDENT)
    assert twenty is not None
    assert (twenty.value, twenty.low, twenty.high) == (9.5, 5.0, 14.0), "96 of 100 times"


@pytest.mark.parametrize(
    ("n", "inflation", "given"),
    [
        (19, INDEPENDENT, False),
        (20, INDEPENDENT, True),
        (20, None, False),
        (39, Inflation(2.0, 48), True),
        (39, Inflation(3.0, 48), False),
        (40, Inflation(3.0, 48), True),
        (40, Inflation(12.0, 48), False),
    ],
)
def test_an_interval_is_given_only_where_it_would_hold(
    n: int, inflation: Inflation | None, given: bool
) -> None:
    estimate = intervals.estimate([float(i) for i in range(n)], inflation)
    assert estimate is not None
    assert (estimate.low is not None) == given


def test_the_less_is_known_of_the_inflation_the_wider_the_interval() -> None:
    values = [float(i) for i in range(400)]
    known, guessed = (intervals.estimate(values, Inflation(1.0, freedom)) for freedom in (1000, 10))
    assert known is not None
    assert guessed is not None
    assert known.half_width is not None
    assert guessed.half_width is not None
    student = 2.228 / 1.960
    assert guessed.half_width / known.half_width == pytest.approx(student, abs=0.06)


def _inflations(series: list[list[float]]) -> list[float]:
    found = intervals.inflations(series)
    assert None not in found
    return [inflation.value for inflation in found if inflation]


def test_the_inflation_of_a_run_is_that_of_all_its_cells() -> None:
    generator = random.Random(4)
    calm = _inflations([_autoregressive(generator, 40, 0.0) for _ in range(96)])
    alike = _inflations([_autoregressive(generator, 40, 0.5) for _ in range(96)])
    assert statistics.median(calm) < 1.3
    assert 1.8 < statistics.median(alike) < 3.0, "2.3 in an endless series"


def test_short_or_few_series_do_not_tell_their_inflation() -> None:
    generator = random.Random(5)
    draw = [_autoregressive(generator, 100, 0.0) for _ in range(4)]
    assert intervals.inflations([draw[0][:60]]) == [None]
    assert intervals.inflations([draw[0]]) != [None]
    short = intervals.inflations([*(values[:60] for values in draw), [1.0, 2.0]])
    assert [inflation is None for inflation in short] == [False] * 4 + [True]
    assert intervals.inflations([]) == []


def test_cells_that_go_up_and_down_together_count_as_one() -> None:
    one = _autoregressive(random.Random(6), 60, 0.5)
    assert intervals.inflations([one] * 24) == [None] * 24


def test_a_drift_of_all_cells_widens_no_interval_and_that_of_one_alone_does() -> None:
    generator = random.Random(7)

    def drifting() -> list[float]:
        return [generator.gauss(0, 1) + i / 25 for i in range(100)]

    together = _inflations([drifting() for _ in range(24)])
    assert statistics.median(together) < 1.2
    steady = [_autoregressive(generator, 100, 0.0) for _ in range(23)]
    *others, alone = _inflations([*steady, drifting()])
    assert alone > 1.3 * statistics.median(others)


def test_equal_values_have_an_interval_without_width() -> None:
    for estimate in intervals.estimates([[7.0] * 100]):
        assert estimate is not None
        assert (estimate.low, estimate.high) == (7.0, 7.0)


@pytest.mark.parametrize(
    ("n", "cells", "given"), [(299, 24, False), (300, 24, True), (300, 1, True)]
)
def test_levels_have_an_interval_from_many_rounds_only(n: int, cells: int, given: bool) -> None:
    generator = random.Random(8)
    series = [_autoregressive(generator, n, 0.3) for _ in range(cells)]
    for estimate in intervals.estimates(series, levels=True):
        assert estimate is not None
        assert (estimate.low is not None) is given


def test_levels_that_drift_have_no_interval() -> None:
    generator = random.Random(9)
    cells = [[generator.gauss(i / 200, 1) for i in range(300)] for _ in range(24)]
    for level, ratio in zip(
        intervals.estimates(cells, levels=True), intervals.estimates(cells), strict=True
    ):
        assert level is not None
        assert ratio is not None
        assert level.low is None
        assert ratio.low is not None


def test_intervals_of_levels_hold_where_all_cells_wander_with_the_machine() -> None:
    generator = random.Random(10)
    hits = given = 0
    for _ in range(80):
        speeds = [generator.gauss(0, 1) for _ in range(15)]
        cells = [[generator.gauss(speeds[i // 20], 1) for i in range(300)] for _ in range(4)]
        for estimate in intervals.estimates(cells, levels=True):
            assert estimate is not None
            if estimate.low is not None and estimate.high is not None:
                given += 1
                hits += estimate.low <= 0 <= estimate.high
    assert given > 280
    assert hits / given >= 0.92


def _autoregressive(generator: random.Random, n: int, rho: float) -> list[float]:
    value, values = generator.gauss(0, 1), []
    for _ in range(n):
        value = rho * value + generator.gauss(0, (1 - rho * rho) ** 0.5)
        values.append(value)
    return values


@pytest.mark.parametrize(("n", "rho"), [(20, 0.0), (40, 0.0), (40, 0.5), (40, 0.8), (100, 0.8)])
def test_intervals_hold_the_median_also_where_neighbours_are_alike(n: int, rho: float) -> None:
    generator = random.Random(f"{n} {rho}")
    hits = given = 0
    for _ in range(40):
        cells = [_autoregressive(generator, n, rho) for _ in range(24)]
        for estimate in intervals.estimates(cells):
            assert estimate is not None
            if estimate.low is not None and estimate.high is not None:
                given += 1
                hits += estimate.low <= 0 <= estimate.high
    assert given > 600
    assert hits / given >= 0.92


def test_an_interval_is_not_wider_than_it_must_be_on_independent_samples() -> None:
    generator = random.Random(7)
    widths = []
    for _ in range(200):
        (estimate,) = intervals.estimates([[generator.gauss(100, 1) for _ in range(400)]])
        assert estimate is not None
        assert estimate.half_width is not None
        widths.append(estimate.half_width * 100)
    exact = 1.96 * 1.2533 / 400**0.5
    assert statistics.mean(widths) < 1.2 * exact


@pytest.mark.parametrize("cosines", [8, 32])
def test_a_series_far_beyond_the_others_has_its_own_inflation_less_a_standard_error(
    cosines: int,
) -> None:
    """That of a mean of so many squares of normal values, by which chance may have raised it."""
    calm, wild = [1.0] * cosines, [9.0] * cosines
    *others, own = intervals._shared([calm] * 30 + [wild], 2, 60.0)
    by_chance = np.std(np.random.default_rng(1).chisquare(cosines, 10_000) / cosines)
    assert own.value == pytest.approx(9 / (1 + by_chance), rel=0.01)
    assert {each.value for each in others} == {others[0].value}
    assert 1 < others[0].value < own.value


@pytest.mark.parametrize("freedom", [intervals.MIN_FREEDOM, 20, 50, 1000])
def test_students_quantile_is_students(freedom: float) -> None:
    for z, near in ((1.0, 1e-6), (1.96, 2e-4), (2.6, 1e-3), (-1.96, 2e-4)):
        expected = stats.t.ppf(stats.norm.cdf(z), freedom)
        assert intervals.student(z, freedom) == pytest.approx(expected, rel=near)


@pytest.mark.parametrize("n", [20, 50, 100, 400])
def test_cosines_are_slow_beside_the_rounds_and_tell_apart(n: int) -> None:
    found = intervals.cosines(n)
    assert 3 <= len(found) <= n / 5 + 2
    for i, a in enumerate(found):
        for j, b in enumerate(found):
            assert math.fsum(map(operator.mul, a, b)) == pytest.approx(float(i == j), abs=1e-9)


def test_the_trend_of_the_others_is_taken_off_each() -> None:
    """Two drift, by twice as much in one; each loses what the other says."""
    steady = [1.0, -1.0, -1.0, 1.0] * 5
    drifting = [value + 0.1 * at for at, value in enumerate(steady)]
    found = intervals._without_common_trend([steady, drifting])
    apart = [(len(steady) - 1) / 2 - at for at in range(len(steady))]
    assert found[0] == pytest.approx([v + 0.1 * at for v, at in zip(steady, apart, strict=True)])
    assert found[1] == pytest.approx(drifting)


@pytest.mark.parametrize("ratios", [1, 2, 3, 4, 30])
def test_the_least_rounds_of_so_many_ratios_give_intervals_and_fewer_do_not(ratios: int) -> None:
    chance = random.Random(1)
    least = intervals.least_rounds(ratios)
    series = [[chance.gauss(1, 0.01) for _ in range(least)] for _ in range(ratios)]
    few = [values[1:] for values in series]
    assert all(of is None or of.low is None for of in intervals.estimates(few))
    # Chance may make these few look alike.
    many = [values + [chance.gauss(1, 0.01) for _ in range(20)] for values in series]
    assert any(of is not None and of.low is not None for of in intervals.estimates(many))
