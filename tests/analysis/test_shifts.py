"""What a change is taken apart with: slopes, and the variances of cells, of places, of runs."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis import shifts
from bench.analysis.shared import Shared
from bench.analysis.shifts import ASSUMED_SHIFT, _Strayed, slope

CHANCE = np.random.default_rng(1)
ROWS = 400


@pytest.mark.parametrize("follows", [0.0, 0.7, -2.0])
def test_a_slope_is_that_of_least_squares_drawn_to_none_by_chance(follows: float) -> None:
    x = CHANCE.normal(0, 0.01, 12)
    y = follows * x + CHANCE.normal(0, 0.01, 12)
    found, error = slope(x, y, freedom=11)
    (least,), (rest,), *_ = np.linalg.lstsq(x[:, None], y, rcond=None)
    by_chance = np.sqrt(rest / 10 / (x @ x))
    assert error == pytest.approx(min(1.0, by_chance))
    assert found == pytest.approx(least * max(0.0, 1 - (by_chance / least) ** 2))


@pytest.mark.parametrize("places", ["aaaaabbbbbb", "aaaaa"])
def test_the_variance_of_cells_is_theirs_though_their_centre_is_of_themselves(places: str) -> None:
    shared = Shared.among([*places], len(places), np.arange(len(places)))
    rows = CHANCE.normal(0, 3, (ROWS, len(places))) + CHANCE.normal(0, 50, (ROWS, 1))
    found = shifts._variance(shared, shared.off(rows), np.full(len(places), float(ROWS)))
    assert np.mean(found) == pytest.approx(9, rel=0.15)


@pytest.mark.parametrize("places", [2, 5])
def test_the_variance_of_places_is_of_what_they_do_not_share(places: int) -> None:
    strayed = CHANCE.normal(0, 3, (ROWS, places)) + CHANCE.normal(0, 50, (ROWS, 1))
    of_all = strayed.mean(axis=1, keepdims=True)
    variance, freedom = _Strayed(np.hstack([strayed, of_all]), ROWS).of_places()
    assert variance == pytest.approx(9, rel=0.2)
    assert freedom == ROWS * (places - 1)


def test_an_assumed_shift_is_of_as_many_runs_and_as_unsure_as_the_calibration() -> None:
    nothing = _Strayed(np.empty((0, 1)), 0.0)
    for sides, calibrated in ((2.0, 0.0), (1.2, 0.0), (0.5, 0.05)):
        found = nothing.shift(0.1, sides, calibrated, None)
        assert (found.value, found.assumed) == (0.1, True)
        assert found.error**2 == pytest.approx(ASSUMED_SHIFT**2 * sides + calibrated**2)
