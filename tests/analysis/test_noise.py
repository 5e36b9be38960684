"""The noise of a series, whatever else it did."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.noise import MANY, MAX_CORRELATION, Floats, Integers, Noise, of_each, together
from tests.analysis.nights import SIGMA, quiet


def noise(values: Floats, nights: Integers) -> Noise:
    return together(of_each(values, nights), nights)


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_noise_and_likeness_of_neighbours_are_found(correlation: float) -> None:
    values = quiet(300, 365, correlation=correlation)
    found = noise(values, np.full(300, 365))
    assert np.median(found.sigma) == pytest.approx(SIGMA, rel=0.05)
    assert np.median(found.correlation) == pytest.approx(correlation, abs=0.08)


@pytest.mark.parametrize("last", [2, 7, 30])
def test_a_step_is_not_taken_for_noise(last: int) -> None:
    values = quiet(300, 60)
    values[:, -last:] += 0.10
    assert np.median(noise(values, np.full(300, 60)).sigma) == pytest.approx(SIGMA, rel=0.1)


@pytest.mark.parametrize("drift", [0.0, 0.1 * SIGMA])
@pytest.mark.parametrize("nights", [30, 45, 60, 61, 100])
def test_a_line_hides_neither_noise_nor_likeness(nights: int, drift: float) -> None:
    """Nor does it add any; whether it goes up or not, and however many stretches there are."""
    for correlation in (0.0, 0.3):
        values = quiet(400, nights, correlation=correlation) + drift * np.arange(nights)
        found = of_each(values, np.full(400, nights))
        assert np.mean(found.sigma) == pytest.approx(SIGMA, rel=0.04)
        assert np.mean(found.correlation) == pytest.approx(correlation, abs=0.08)


def test_what_a_line_takes_of_noise_that_is_much_alike_is_given_back() -> None:
    found = of_each(quiet(400, 30, correlation=0.6), np.full(400, 30))
    assert np.median(found.sigma) == pytest.approx(SIGMA, rel=0.05)


def test_a_series_has_the_noise_that_it_has_beside_longer_ones() -> None:
    values = quiet(40, 200)
    nights = np.repeat([70, 200], 20)
    together = of_each(np.where(np.arange(200) < nights[:, None], values, np.nan), nights)
    alone = of_each(values[:20, :70], nights[:20])
    np.testing.assert_allclose(together.sigma[:20], alone.sigma)


def test_neighbours_of_a_bad_night_are_no_neighbours() -> None:
    """What is left out for one is no pair with the others."""
    values = quiet(400, 60, correlation=0.5)
    values[:, ::7] += 1.0
    found = of_each(values, np.full(400, 60))
    assert np.mean(found.correlation) == pytest.approx(0.5, abs=0.1)
    assert np.mean(found.sigma) == pytest.approx(SIGMA, rel=0.12)


@pytest.mark.parametrize("nights", [12, 13, 30, 60, 61, 150])
def test_a_line_without_noise_has_none(nights: int) -> None:
    line = np.outer([1.0, -2.0], np.arange(nights))
    found = noise(line, np.full(2, nights))
    np.testing.assert_allclose(found.sigma, 0, atol=1e-9 * nights)


@pytest.mark.parametrize("nights", [12, 13, 30, 31, 59, 60])
def test_a_bad_night_bends_no_line(nights: int) -> None:
    """At the high end of a line that goes up, it leaves the median of its half where it is."""
    line = np.outer([1.0, -2.0], np.arange(nights))
    line[:, nights - nights // 6] += [100.0, -100.0]
    found = noise(line, np.full(2, nights))
    np.testing.assert_allclose(found.sigma, 0, atol=1e-9)


@pytest.mark.parametrize("night", [0, -1])
@pytest.mark.parametrize("nights", [20, 45, 60])
def test_a_bad_night_at_an_end_is_no_step(night: int, nights: int) -> None:
    """A step that is taken out takes some of the noise with it."""
    values, all_of_them = quiet(400, nights), np.full(400, nights)
    before = np.mean(of_each(values, all_of_them).sigma)
    values[:, night] += 1.0
    assert np.mean(of_each(values, all_of_them).sigma) > 0.99 * before


@pytest.mark.parametrize("series", [1, 40])
def test_of_a_level_that_wanders_off_no_more_is_said_than_that_nights_are_much_alike(
    series: int,
) -> None:
    wandering = np.cumsum(quiet(series, 200) - np.log(100), axis=1)
    found = noise(wandering, np.full(series, 200))
    assert 0.6 < np.max(found.correlation) <= MAX_CORRELATION < 1


def test_a_series_whose_nights_are_more_alike_than_the_others_is_taken_for_that() -> None:
    values = quiet(40, 365)
    values[7] = quiet(1, 365, correlation=0.7)[0]
    found = noise(values, np.full(40, 365)).correlation
    assert found[7] > 0.35
    assert np.max(np.delete(found, 7)) < 0.25


def test_no_series_is_quieter_by_chance_than_all_of_them_make_likely() -> None:
    values, nights = quiet(400, 60), np.full(400, 60)
    alone, together = of_each(values, nights), noise(values, nights)
    assert np.min(alone.sigma) < 0.75 * SIGMA
    assert np.min(together.sigma) > 0.95 * SIGMA
    assert (together.sigma >= alone.sigma).all()
    assert together.shared > 1000


def test_where_noise_differs_from_series_to_series_it_is_each_ones_own() -> None:
    scale = np.geomspace(0.1, 10, 400)[:, None]
    values, nights = quiet(400, 60) * scale, np.full(400, 60)
    alone, together = of_each(values, nights), noise(values, nights)
    np.testing.assert_allclose(together.sigma, alone.sigma, rtol=0.3)
    assert together.shared < 10


def test_few_series_say_nothing_of_each_other() -> None:
    values, nights = quiet(MANY - 1, 60), np.full(MANY - 1, 60)
    alone, together = of_each(values, nights), noise(values, nights)
    np.testing.assert_array_equal(together.sigma, alone.sigma)
    assert together.shared == 0
