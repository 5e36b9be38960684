"""Change points: steps are found, and bad nights, drift and gaps are none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bench.analysis import changes as of_changes
from bench.analysis import steps
from bench.analysis.changes import MIN_NIGHTS, ChangePoint, courses
from bench.analysis.noise import Floats
from tests.analysis.nights import quiet


def changes(values: Floats) -> list[tuple[ChangePoint, ...]]:
    return [course.changes for course in courses(values)]


def share(values: Floats) -> float:
    """Of the series that have a change."""
    return float(np.mean([bool(found) for found in changes(values)]))


@pytest.mark.parametrize("nights", [60, 365])
@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_a_series_without_change_has_none(nights: int, correlation: float) -> None:
    assert share(quiet(400, nights, correlation=correlation)) <= 0.02


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("last", [2, 3, 7, 15, 30])
def test_a_step_is_found_from_its_second_night_on(sign: int, last: int) -> None:
    values = quiet(200, 60)
    values[:, -last:] += sign * 0.06
    nights = [[change.night for change in found] for found in changes(values)]
    assert np.mean([any(abs(night - (60 - last)) <= 1 for night in of) for of in nights]) >= 0.95


def test_a_step_of_one_night_is_none_yet() -> None:
    values = quiet(200, 60)
    values[:, -1] += 0.2
    assert share(values) <= 0.01


@pytest.mark.parametrize("night", [0, 1, 20, 57, 58])
def test_a_bad_night_is_no_change(night: int) -> None:
    values = quiet(300, 60)
    values[:, night] -= 0.22
    assert share(values) <= 0.01


def test_bad_nights_with_one_between_are_no_change() -> None:
    values = quiet(300, 60)
    values[:, [30, 32, 34]] -= 0.22
    assert share(values) <= 0.01


def test_a_change_says_night_levels_and_interval() -> None:
    values = quiet(300, 60, seed=3)
    values[:, 40:] += 0.10
    found = [of[0] for of in changes(values)]
    assert np.mean([change.night for change in found]) == pytest.approx(40, abs=0.1)
    sizes = [change.after - change.before for change in found]
    assert np.mean(sizes) == pytest.approx(0.10, abs=0.002)
    assert np.mean([change.before for change in found]) == pytest.approx(np.log(100), abs=0.002)
    assert 0.9 <= np.mean([change.low <= 0.10 <= change.high for change in found]) <= 0.99


@pytest.mark.parametrize("last", [2, 3, 10, 30])
def test_the_first_night_of_a_large_step_is_that_of_the_change(last: int) -> None:
    values = quiet(50, 60)
    values[:, -last:] += 0.5
    assert [[change.night for change in of] for of in changes(values)] == [[60 - last]] * 50


def test_there_and_back_are_two_changes() -> None:
    values = quiet(50, 120)
    values[:, 60:66] -= 0.10
    nights = [[change.night for change in found] for found in changes(values)]
    assert nights.count([60, 66]) >= 45


def test_drift_is_no_change_and_is_told() -> None:
    values = quiet(200, 60) + np.linspace(0, 0.1, 60)
    assert share(values) <= 0.02
    drifts = [course.drift for course in courses(values)]
    slopes = [drift.per_night for drift in drifts if drift is not None]
    assert len(slopes) >= 190
    assert np.mean(slopes) == pytest.approx(0.1 / 59, rel=0.05)
    assert all(course.drift is None for course in courses(quiet(100, 60)))


def test_missing_nights_are_left_out_and_indices_are_those_of_the_series() -> None:
    values = quiet(100, 80)
    values[:, 50:] += 0.10
    values[:, [3, 10, 11, 12, 30, 49, 52, 60]] = np.nan
    assert all([change.night for change in found] == [50] for found in changes(values)[:20])


def test_a_gap_is_no_night_of_a_level() -> None:
    values = quiet(100, 60)
    values[:, 58] += 0.10
    values[:, 59] = np.nan
    assert share(values) <= 0.01


def test_series_of_different_lengths_are_found_as_alone() -> None:
    long, short = quiet(1, 200), quiet(1, 40, seed=2)
    long[:, 150:] += 0.1
    short[:, 30:] -= 0.1
    padded = np.full((1, 200), np.nan)
    padded[:, 160:] = short
    together = courses(np.vstack([long, padded]))
    assert together[0] == courses(long)[0]
    (alone,) = courses(short)
    assert [c.night - 160 for c in together[1].changes] == [c.night for c in alone.changes]


def test_a_series_without_noise_shows_its_step_alone() -> None:
    values = np.full((2, 60), np.log(100))
    values[0, 40:] += 0.01
    found = changes(values)
    assert [change.night for change in found[0]] == [40]
    assert found[1] == ()


def test_too_few_nights_have_no_changes() -> None:
    values = quiet(1, MIN_NIGHTS - 1)
    values[:, -4:] += 1
    assert changes(values) == [()]
    assert courses(np.full((1, 30), np.nan))[0].changes == ()
    assert courses(np.empty((0, 30))) == []


@pytest.mark.parametrize("before", [1, 2, 9, 10, 90])
@pytest.mark.parametrize("since", [2, 9, 10, 56])
@pytest.mark.parametrize("line", [False, True])
def test_the_table_of_errors_has_those_of_least_squares(
    before: int, since: int, line: bool
) -> None:
    correlations = np.array([0.0, 0.5, 0.9])
    step = np.repeat([-1 / before, 1 / since], [before, since])  # the difference of two means
    weights = steps.weights(before, since)[-1] if line else step
    at = np.rint(correlations / steps.GRID).astype(int)
    found = steps.errors(line)[at, before, since]
    np.testing.assert_allclose(found, steps.error(weights, correlations))


@pytest.mark.parametrize(("nights", "near"), [(20, 0.08), (30, 0.01), (60, 0.001), (365, 1e-8)])
def test_the_threshold_is_students(nights: int, near: float) -> None:
    for chance in (0.01, 0.003, 0.001):
        freedom = nights**2 / of_changes.FREEDOM
        expected = stats.t.isf(chance / 2 / nights, freedom)
        assert of_changes._threshold(nights, chance) == pytest.approx(expected, rel=near)


def test_more_is_found_where_less_certainty_is_asked_for() -> None:
    values = 2 * quiet(300, 60)
    values[:, -2:] += 0.05
    found = []
    for false_alarms in (of_changes.FALSE_ALARMS, 0.2, 2.0, 10.0):
        nights = [[c.night for c in course.changes] for course in courses(values, false_alarms)]
        found.append(np.mean([any(abs(night - 58) <= 1 for night in of) for of in nights]))
    assert found == sorted(found)
    assert found[-1] >= 0.75 > found[0]
