"""What cells share, where many of them moved."""

from __future__ import annotations

import numpy as np

from bench.analysis.shared import biweights

STRAYS, ROUNDS = 0.0035, 2000
"""Standard deviation of a cell that did not move, and how often it is tried."""


def centre_of(moved: list[float], still: int) -> float:
    """The mean common change of so many cells that did not move, and of these that moved so far."""
    chance = np.random.default_rng(1)
    away = np.concatenate([np.zeros(still), moved])
    rows = away + chance.normal(0, STRAYS, (ROUNDS, len(away)))
    return float(np.mean(biweights(rows)[0]))


def test_a_third_of_the_cells_that_moved_are_hardly_a_shift_of_all() -> None:
    assert abs(centre_of([0.03, 0.03, 0.02, 0.02], 8)) < 0.001
    assert abs(centre_of([0.03] * 4 + [0.02] * 4, 16)) < 0.001


def test_a_shift_of_all_is_one_of_all() -> None:
    assert abs(centre_of([], 12)) < 0.0002
    assert abs(centre_of([0.03] * 12, 0) - 0.03) < 0.0002
