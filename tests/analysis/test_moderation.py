"""Variances of many cells: how much they have in common is found, and used."""

from __future__ import annotations

import math
import random

import pytest

from bench.analysis.moderation import prior_of


def variances(
    generator: random.Random, cells: int, freedom: int, prior_freedom: float
) -> list[float]:
    """Of cells whose true variances are 4, spread as an inverse chi-square of that freedom."""
    found = []
    for _ in range(cells):
        true = 4.0
        if prior_freedom < math.inf:
            true *= prior_freedom / (2 * generator.gammavariate(prior_freedom / 2, 1))
        found.append(true * 2 * generator.gammavariate(freedom / 2, 1) / freedom)
    return found


def test_cells_that_differ_by_chance_alone_share_one_variance() -> None:
    found = variances(random.Random("1"), 400, 8, math.inf)
    prior = prior_of(found, [8] * 400)
    assert prior is not None
    assert prior.freedom > 50
    assert prior.variance == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize("freedom", [3.0, 10.0])
def test_how_far_the_cells_variances_spread_is_found(freedom: float) -> None:
    found = variances(random.Random("2"), 4000, 8, freedom)
    prior = prior_of(found, [8] * 4000)
    assert prior is not None
    assert prior.freedom == pytest.approx(freedom, rel=0.15)
    assert prior.variance == pytest.approx(4, rel=0.1)


def test_a_cells_own_variance_counts_by_its_freedom() -> None:
    prior = prior_of([1.0, 1.0], [2, 2])
    assert prior is not None
    variance, freedom = prior.moderated(4.0, 2)
    assert variance == pytest.approx(2.0)
    assert freedom == 6


def test_without_degrees_of_freedom_nothing_is_known() -> None:
    assert prior_of([0.0, 0.0], [0, 0]) is None


def test_cells_without_any_variance_are_none_the_worse() -> None:
    prior = prior_of([0.0] * 5, [4] * 5)
    assert prior is not None
    assert prior.moderated(0.0, 4)[0] == 0.0
