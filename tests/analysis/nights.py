"""Simulated nights."""

from __future__ import annotations

import numpy as np

from bench.analysis.noise import Floats

SIGMA = 0.01


def quiet(series: int, nights: int, seed: int = 1, correlation: float = 0.0) -> Floats:
    """Noise around ln 100 of SIGMA; shape: series, nights."""
    values = np.random.default_rng(seed).standard_normal((series, nights))
    for at in range(1, nights):
        fresh = (1 - correlation**2) ** 0.5 * values[:, at]
        values[:, at] = correlation * values[:, at - 1] + fresh
    return np.log(100) + SIGMA * values
