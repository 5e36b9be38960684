"""The noise of a series, whatever else it did."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.noise import noise
from tests.analysis.nights import SIGMA, quiet


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
