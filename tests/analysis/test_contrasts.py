"""Errors of sums of pairs over openings: Student's, and what pairs have in common counts once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.analysis.contrasts import PAIR, Pairs, _Moderation
from bench.analysis.locations import Floats
from bench.analysis.openings import MIN_OPENINGS
from tests.builders import a_sample


def openings(pairs: int, number: int) -> Floats:
    return np.random.default_rng(1).normal(0, 0.01, (pairs, number))


@pytest.mark.parametrize("number", [MIN_OPENINGS, MIN_OPENINGS + 1, 10])
def test_the_error_of_one_pair_is_students(number: int) -> None:
    of = openings(1, number)
    error = _Moderation.of(of).error(of[0], PAIR)
    assert error is not None
    assert error.value == pytest.approx(np.std(of, ddof=1) / math.sqrt(number))
    assert error.freedom == pytest.approx(number - 1)


@pytest.mark.parametrize("number", [MIN_OPENINGS, 10])
def test_many_pairs_that_go_apart_know_their_error_better(number: int) -> None:
    of = openings(40, number)
    errors = [_Moderation.of(of).error(row, PAIR) for row in of]
    known = [error for error in errors if error is not None]
    assert len(known) == len(of)
    truth = 0.01 / math.sqrt(number)
    assert all(0.7 * truth < error.value < 1.4 * truth for error in known)
    assert all(number - 1 < error.freedom <= 40 * (number - 1) for error in known)


def test_where_pairs_differ_the_error_of_each_is_between_its_own_and_the_common_one() -> None:
    number = 5
    of = openings(40, number) * np.geomspace(0.1, 10, 40)[:, None]
    moderation = _Moderation.of(of)
    assert moderation.prior is not None
    own = of.std(axis=1, ddof=1) / math.sqrt(number)
    common = math.sqrt(moderation.prior.variance / number)
    errors = [moderation.error(row, PAIR) for row in of]
    for error, alone in zip(errors, own, strict=True):
        assert error is not None
        assert min(alone, common) < error.value < max(alone, common)
        assert error.freedom > moderation.prior.freedom


def test_too_few_openings_have_no_error() -> None:
    of = openings(5, MIN_OPENINGS - 1)
    assert _Moderation.of(of).error(of[0], PAIR) is None
    of = openings(5, MIN_OPENINGS)
    assert _Moderation.of(of).error(of[0, 1:], PAIR) is None
    missing = np.where(np.arange(MIN_OPENINGS) == 1, np.nan, of)
    assert _Moderation.of(missing).error(of[0], PAIR) is None


def test_an_error_grows_with_the_root_of_the_squared_weights_of_cells() -> None:
    """Two pairs of four cells have a mean of half the variance, two that share a cell of more."""
    usable = {cell: [a_sample(cell, r) for r in range(20)] for cell in "abcd"}
    pairs = Pairs([("a", "b"), ("c", "d"), ("a", "d")], ["x"] * 3, usable)
    assert pairs._square({0: 1.0}) == PAIR
    assert pairs._square({0: 0.5, 1: 0.5}) == PAIR / 2
    assert pairs._square({0: 0.5, 2: 0.5}) == 1.5
    assert pairs._square({0: 1.0, 2: -1.0}) == PAIR


def test_a_pair_is_judged_by_pairs_of_its_own_axis() -> None:
    """Openings that move the pair of one axis by 10 % move that of the other by nothing."""
    moved = (1e6, 1.1e6, 1.2e6)
    usable = {
        cell: [
            a_sample(cell, r, moved[r // 6] if cell == "a" else 1e6 + r, opening=r // 6)
            for r in range(18)
        ]
        for cell in "abcd"
    }
    pairs = Pairs([("a", "b"), ("c", "d")], ["x", "y"], usable)
    of_x, of_y = (pairs.estimate({pair: 1.0}, 1.96) for pair in (0, 1))
    assert of_x.low is not None
    assert of_x.high is not None
    assert of_x.low < 0.9
    assert of_x.high > 1.3
    assert (of_y.low, of_y.high) == pytest.approx((1.0, 1.0), abs=1e-6)
