"""What sums from the left give at once is what least squares give one by one."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.noise import Floats
from bench.analysis.steps import CERTAIN, LEVEL, LINE, SCALES, WITHOUT, Scan, error, weights

NIGHTS = 120
VALUES = np.random.default_rng(1).standard_normal((3, NIGHTS)) + np.linspace(0, 2, NIGHTS)
FLAT = np.zeros(len(VALUES))
SCAN = Scan(VALUES, FLAT + 1, FLAT, FLAT + CERTAIN)
PLACES = [(0, 5, 8), (0, 3, 7), (3, 10, 14), (0, 9, LINE), (7, 60, 100), (0, 64, 120)]
"""The first night, that of the step, and the end."""


def rest(values: Floats, *columns: Floats) -> float:
    """The squares that these columns leave."""
    matrix = np.stack(columns, axis=1)
    return float(((values - matrix @ np.linalg.pinv(matrix) @ values) ** 2).sum())


@pytest.mark.parametrize(("start", "first", "end"), PLACES)
def test_the_size_of_a_step_is_that_of_least_squares(start: int, first: int, end: int) -> None:
    at = np.arange(start, end)
    columns = [np.ones(len(at)), at, at >= first]
    if len(at) < LINE:  # too few to tell a drift from a step
        del columns[1]
    matrix = np.stack(columns, axis=1).astype(float)
    expected = np.linalg.pinv(matrix)[-1] @ VALUES[:, start:end].T
    found = SCAN._sizes(*(np.array([place]) for place in (start, first, end)))
    np.testing.assert_allclose(found[:, 0], expected)


@pytest.mark.parametrize(("start", "end"), [(0, LINE), (5, 40), (20, NIGHTS)])
def test_a_bend_has_the_squares_that_a_parabola_explains(start: int, end: int) -> None:
    at = np.arange(start, end, dtype=float)
    for row, values in enumerate(VALUES[:, start:end]):
        line = rest(values, np.ones(len(at)), at)
        parabola = rest(values, np.ones(len(at)), at, at**2)
        found = SCAN._bend(np.array([row]), np.array([start]), np.array([end]))
        assert found[0] == pytest.approx(line - parabola, rel=1e-6)


def test_a_few_nights_have_no_bend() -> None:
    assert SCAN._bend(np.array([0]), np.array([0]), np.array([LINE - 1])) == [0]


@pytest.mark.parametrize("m", SCALES)
def test_what_is_left_of_a_step_is_its_size_without_its_most_extreme_night(m: int) -> None:
    """A step of exactly that night is none, however large; one of all nights is."""
    first = np.array([NIGHTS - m - 5])
    for shape, told in ((np.arange(m) == m // 2, False), (np.ones(m), True)):
        for sign in (-1.0, 1.0):
            values = np.zeros((1, NIGHTS))
            values[0, first[0] : first[0] + m] = sign * 100.0 * shape
            scan = Scan(values, np.array([1.0]), np.array([0.0]), np.array([CERTAIN]))
            size = np.array([sign * 100.0 * np.mean(shape)])
            assert scan._without_one_since(np.array([0]), first, m, size) == [told]


@pytest.mark.parametrize("before", range(2, 11))
def test_a_step_that_one_of_few_nights_before_makes_is_none(before: int) -> None:
    for shape, told in ((np.arange(before) == 1, False), (np.ones(before), True)):
        for sign in (-1.0, 1.0):
            values = np.zeros((1, NIGHTS))
            values[0, 1 : before + 1] = -sign * 100.0 * shape  # the first night is the zero
            size = np.array([sign * 100.0 * np.mean(shape)])
            scan = Scan(values[:, 1:], np.array([1.0]), np.array([0.0]), np.array([CERTAIN]))
            found = scan._without_one_before(np.array([0]), np.array([before]), 20, size)
            assert found == [told]


@pytest.mark.parametrize("m", SCALES)
def test_without_its_most_extreme_night_a_step_is_as_sure_as_one_of_a_night_fewer(m: int) -> None:
    """Nights that differ: the last one is left out, and the others are enough, or just not."""
    first, shape = np.array([NIGHTS - m - 5]), 1 + np.arange(m) / m
    by_chance = SCAN.errors[0, min(first[0], LEVEL), m - 1] / shape[:-1].mean()
    for times, told in ((0.99 * WITHOUT, False), (1.01 * WITHOUT, True)):
        values = np.zeros((1, NIGHTS))
        values[0, first[0] : first[0] + m] = times * by_chance * shape
        scan = Scan(values, np.array([1.0]), np.array([0.0]), np.array([CERTAIN]))
        size = np.array([times * by_chance * shape.mean()])
        assert scan._without_one_since(np.array([0]), first, m, size) == [told]


@pytest.mark.parametrize("before", range(2, 11))
def test_so_it_is_without_one_of_few_nights_before(before: int) -> None:
    shape = 1 + np.arange(before) / before
    by_chance = SCAN.errors[0, before - 1, 20] / shape[:-1].mean()
    for times, told in ((0.99 * WITHOUT, False), (1.01 * WITHOUT, True)):
        values = np.zeros((1, NIGHTS))
        values[0, :before] = -times * by_chance * shape
        scan = Scan(values, np.array([1.0]), np.array([0.0]), np.array([CERTAIN]))
        size = np.array([times * by_chance * shape.mean()])
        assert scan._without_one_before(np.array([0]), np.array([before]), 20, size) == [told]


@pytest.mark.parametrize(("m", "likeness"), [(2, 0.0), (2, 0.35), (14, 0.6), (56, 0.0)])
def test_a_step_is_as_sure_as_least_squares_of_the_nights_that_count_say(
    m: int, likeness: float
) -> None:
    """Which are LEVEL nights before it at most, and those before them were others."""
    values = np.random.default_rng(2).standard_normal((1, 2 * NIGHTS))
    values[0, LEVEL:] += 10.0
    values[0, NIGHTS + LEVEL :] += 100.0
    scan = Scan(values, np.array([1.0]), np.array([likeness]), np.array([CERTAIN]))
    _, firsts, lasts, found = scan._hits(m)
    assert {LEVEL, NIGHTS + LEVEL} & set(firsts.tolist())
    for first, last, z in zip(firsts, lasts, found, strict=True):
        before = min(first, LEVEL)
        step = weights(before, m)[-1]
        size = abs(step @ values[0, first - before : last + 1])
        assert z == pytest.approx(size / error(step, np.array([likeness]))[0])


@pytest.mark.parametrize(("before", "since"), [(2, 2), (5, LINE - 6), (6, 6), (40, 20)])
def test_weights_find_the_level_before_a_step_and_its_size_with_its_sign(
    before: int, since: int
) -> None:
    values = np.repeat([3.0, 5.0], [before, since])
    level, *slope, step = weights(before, since) @ values
    assert (level, step) == pytest.approx((3.0, 2.0))
    assert slope == pytest.approx([0.0] * (before + since >= LINE), abs=1e-12)


def test_where_less_certainty_is_asked_for_less_must_be_left_without_a_night() -> None:
    first, values = np.array([NIGHTS - 10]), np.zeros((1, NIGHTS))
    size = 0.8 * WITHOUT * SCAN.errors[0, LEVEL, 4]
    values[0, first[0] : first[0] + 5] = size
    for part, told in ((1.0, False), (0.7, True)):
        scan = Scan(values, np.array([1.0]), np.array([0.0]), np.array([part * CERTAIN]))
        assert scan._without_one_since(np.array([0]), first, 5, np.array([size])) == [told]
