"""The digamma function and its derivatives agree with scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from bench.analysis.polygamma import polygamma


@pytest.mark.parametrize("order", [0, 1, 2])
def test_it_is_the_function_that_scipy_has(order: int) -> None:
    x = np.concatenate([np.geomspace(1e-3, 1e6, 500), np.arange(1, 40) / 2])
    assert polygamma(order, x) == pytest.approx(special.polygamma(order, x), rel=1e-11, abs=1e-12)


def test_of_one_number() -> None:
    assert float(polygamma(1, 1.0)) == pytest.approx(np.pi**2 / 6)
