"""Levels of nights: what a night strays by, how heavy tails are, how much nights are alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from bench.analysis import levels
from bench.analysis.levels import Levels
from bench.analysis.noise import Floats
from tests.analysis.nights import SIGMA, quiet

SERIES = 400


def of(history: Floats, pending: int = 0) -> Levels:
    none = np.zeros(len(history), np.int64)
    return Levels.of(history, none, none + pending)


@pytest.mark.parametrize("nights", [3, 7, 8, 30])
def test_a_level_is_the_mean_of_its_nights(nights: int) -> None:
    history = quiet(5, nights)
    history[1, 0] = np.nan
    found = of(history)
    np.testing.assert_allclose(found.mean[[0, 2, 3, 4]], history.mean(axis=1)[[0, 2, 3, 4]])
    assert found.nights.tolist() == [nights, nights - 1, nights, nights, nights]
    if nights > 3:
        assert found.mean[1] == pytest.approx(np.nanmean(history[1]))
    else:
        assert math.isnan(found.mean[1])


def test_a_night_far_from_all_others_and_those_before_and_pending_are_not_of_it() -> None:
    history = quiet(20, 30)
    expected = history[:, 5:28].mean(axis=1)
    history[:, 10] += 1.0
    history[:, :5] += 5.0
    history[:, -2:] -= 5.0
    at = np.zeros(20, np.int64)
    found = Levels.of(history, at + 5, at + 2)
    assert found.nights.tolist() == [22] * 20
    np.testing.assert_allclose(found.mean, expected, atol=SIGMA)


@pytest.mark.parametrize(("nights", "correlation"), [(20, 0.0), (60, 0.0), (60, 0.4)])
@pytest.mark.parametrize("count", [1, 2])
def test_the_error_is_that_of_the_next_nights_less_the_level(
    nights: int, correlation: float, count: int
) -> None:
    history = quiet(SERIES, nights + count, correlation=correlation)
    found = of(history, count)
    strayed = history[:, -count:].mean(axis=1) - found.mean
    error = found.error(np.full(SERIES, count))
    assert np.std(strayed / error) == pytest.approx(1.0, abs=0.12)


def test_tails_of_normal_noise_are_light_and_those_of_few_nights_heavy() -> None:
    many = [of(quiet(SERIES, 60, seed)).tails for seed in range(10)]
    assert min(many) >= 30
    some = [of(quiet(10, 20, seed)).tails for seed in range(10)]
    assert 4 <= np.median(some) <= 30
    assert of(quiet(1, 5)).tails == levels.HEAVIEST


@pytest.mark.parametrize("freedom", [3.0, 4.0, 6.0])
def test_heavy_tails_are_found(freedom: float) -> None:
    noise = stats.t(freedom).rvs((SERIES, 60), random_state=1)
    assert of(SIGMA * noise).tails == pytest.approx(freedom, rel=0.35)


def test_gearys_ratio_is_the_mean_deviation_in_standard_deviations() -> None:
    for freedom, ratio in zip(*levels._geary(), strict=True):
        student = stats.t(freedom)
        mean = 2 * student.expect(lambda x: x, lb=0)
        assert ratio == pytest.approx(mean / student.std(), rel=1e-6)
    normal = np.random.default_rng(1).standard_normal((4000, 100))
    ratios = np.abs(normal).mean(axis=1) / np.sqrt((normal**2).mean(axis=1))
    assert pytest.approx(np.std(ratios) * math.sqrt(100), rel=0.1) == levels.GEARY_ERROR


@pytest.mark.parametrize("correlation", [0.0, 0.3])
@pytest.mark.parametrize("nights", [10, 60])
def test_the_likeness_of_successive_nights_is_found(nights: int, correlation: float) -> None:
    found = of(quiet(SERIES, nights, correlation=correlation)).correlation
    assert found == pytest.approx(correlation, abs=0.08)


def test_no_series_is_surer_of_its_variance_than_all_together() -> None:
    found = of(quiet(30, 5))
    assert np.all(found.freedom >= 4)
    assert np.all(found.freedom <= 30 * 4)
    assert np.median(found.sigma) == pytest.approx(SIGMA, rel=0.15)


def test_nothing_is_known_of_no_nights() -> None:
    found = of(np.full((3, 10), np.nan))
    assert np.isnan(found.mean).all()
    assert (found.tails, found.correlation) == (levels.HEAVIEST, 0.0)


@pytest.mark.parametrize("nights", [3, 8, 20])
def test_nights_that_are_all_alike_are_a_level_without_noise(nights: int) -> None:
    found = of(np.full((4, nights), 5.0))
    assert found.mean.tolist() == [5.0] * 4
    assert found.sigma.tolist() == [0.0] * 4
