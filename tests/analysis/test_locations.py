"""Where ratios lie and how uncertain that is: the same from either side, and as simulated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bench.analysis import intervals
from bench.analysis.locations import Floats, Location, independent, medians, trimmed_means

WAYS = pytest.mark.parametrize("way", [medians, trimmed_means])
Way = Callable[[Floats], Location]


def ratios(pairs: int, rounds: int, seed: int = 1) -> Floats:
    return np.random.default_rng(seed).standard_normal((pairs, rounds))


@WAYS
@pytest.mark.parametrize("rounds", [20, 31, 100])
def test_ratios_the_other_way_round_are_as_uncertain(way: Way, rounds: int) -> None:
    values = ratios(10, rounds) + 0.5
    one, other = way(values), way(-values)
    np.testing.assert_allclose(one.values, -other.values)
    np.testing.assert_allclose(one.influences, -other.influences)


@WAYS
@pytest.mark.parametrize("rounds", [40, 100])
def test_the_error_is_how_far_locations_stray(way: Way, rounds: int) -> None:
    of = way(ratios(400, rounds))
    errors = [of.error(row, rounds) for row in of.influences]
    assert all(error is not None for error in errors)
    found = np.mean([error.value for error in errors if error is not None])
    assert found == pytest.approx(np.std(of.values), rel=0.25)


@WAYS
def test_the_fewest_rounds_with_an_error_are_those_of_intervals(way: Way) -> None:
    """However many values lie above the middle."""
    for rounds, has in ((intervals.MIN_ROUNDS, True), (intervals.MIN_ROUNDS - 1, False)):
        of = way(ratios(20, rounds))
        assert (of.inflation is not None) == has
        assert (of.error(of.influences[0], rounds) is not None) == has


@WAYS
def test_a_round_that_is_missing_moves_nothing(way: Way) -> None:
    values = ratios(10, 60)
    values[3, 10:15] = np.nan
    values[5] = np.nan
    of = way(values)
    assert not of.influences[3, 10:15].any()
    assert not of.influences[5].any()
    alone = way(values[3:4, [*range(10), *range(15, 60)]])
    assert of.values[3] == pytest.approx(alone.values[0])


def test_trimmed_means_heed_no_disturbed_round() -> None:
    values = ratios(5, 50)
    disturbed = values.copy()
    disturbed[:, 7] = values.max(axis=1) + 100
    worst = values.copy()
    worst[:, 7] = values.max(axis=1) + 1
    np.testing.assert_allclose(trimmed_means(disturbed).values, trimmed_means(worst).values)
    np.testing.assert_allclose(trimmed_means(disturbed).influences, trimmed_means(worst).influences)


def test_series_that_go_together_or_against_each_other_are_worth_one() -> None:
    one = ratios(1, 1000)
    assert independent(one, 1000) == 1
    assert independent(np.vstack([one, 3 * one, -one]), 1000) == pytest.approx(1, abs=0.01)
    assert independent(ratios(10, 1000), 1000) == pytest.approx(10, rel=0.05)
    assert independent(np.zeros((3, 10)), 10) == 1
    twice = np.vstack([ratios(5, 1000)] * 2)
    assert independent(twice, 1000) == pytest.approx(5, rel=0.1)


@pytest.mark.parametrize("likeness", [0.0, 0.6])
def test_rounds_that_are_alike_inflate_the_error(likeness: float) -> None:
    values = ratios(300, 100)
    for at in range(1, 100):
        fresh = (1 - likeness**2) ** 0.5 * values[:, at]
        values[:, at] = likeness * values[:, at - 1] + fresh
    of = trimmed_means(values)
    errors = [of.error(row, 100) for row in of.influences]
    found = np.mean([error.value for error in errors if error is not None])
    assert found == pytest.approx(np.std(of.values), rel=0.3)
