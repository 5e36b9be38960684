"""What sums from the left give at once is what least squares give one by one."""

from __future__ import annotations

import numpy as np
import pytest

from bench.analysis.noise import Floats
from bench.analysis.steps import (
    LEVEL,
    LINE,
    LINE_COSTS,
    QUIET,
    SCALES,
    WITHOUT,
    Found,
    Scan,
    error,
    errors,
    weights,
)

NIGHTS = 120
VALUES = np.random.default_rng(1).standard_normal((3, NIGHTS)) + np.linspace(0, 2, NIGHTS)
FLAT = np.zeros(len(VALUES))
TOLD = 4.2
SCAN = Scan(VALUES, FLAT + 1, FLAT, FLAT + TOLD, FLAT + 1)
PLACES = [(0, 5, 8), (0, 3, 7), (3, 10, 14), (0, 9, LINE), (7, 60, 100), (0, 64, 120)]
"""The first night, that of the step, and the end."""


def rest(values: Floats, *columns: Floats) -> float:
    """The squares that these columns leave."""
    matrix = np.stack(columns, axis=1)
    return float(((values - matrix @ np.linalg.pinv(matrix) @ values) ** 2).sum())


def scan_of(values: Floats, sigma: float = 1.0, part: float = 1.0) -> Scan:
    return Scan(values, *(np.array([of]) for of in (sigma, 0.0, TOLD, part)))


def step_at(first: int, size: float, lined: bool = True) -> Found:
    of = np.array([0]), np.array([first]), np.array([size])
    return Found(*of, np.array([lined]), np.array([9.0]))


@pytest.mark.parametrize(("start", "first", "end"), PLACES)
def test_the_size_of_a_step_is_that_of_least_squares(start: int, first: int, end: int) -> None:
    at = np.arange(start, end)
    beside = [np.ones(len(at)), at, at >= first]
    if len(at) < LINE:  # too few to tell a drift from a step
        del beside[1]
    sizes = SCAN._sizes(*(np.array([place]) for place in (start, first, end)))
    for columns, found in zip(([beside[0], beside[-1]], beside), sizes, strict=True):
        matrix = np.stack(columns, axis=1).astype(float)
        expected = np.linalg.pinv(matrix)[-1] @ VALUES[:, start:end].T
        np.testing.assert_allclose(found[:, 0], expected)


@pytest.mark.parametrize(("start", "end"), [(0, LINE - 1), (0, LINE), (5, 40), (20, NIGHTS)])
def test_a_line_has_the_squares_that_its_slope_explains(start: int, end: int) -> None:
    at = np.arange(start, end, dtype=float)
    for row, values in enumerate(VALUES[:, start:end]):
        level, line = rest(values, np.ones(len(at))), rest(values, np.ones(len(at)), at)
        found = SCAN._line(np.array([row]), np.array([start]), np.array([end]))
        assert found[0] == pytest.approx((level - line) * (len(at) >= LINE))


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
            step = step_at(first[0], sign * 100.0 * float(np.mean(shape)))
            assert scan_of(values)._without_one_since(step, m) == [told]


@pytest.mark.parametrize("before", range(2, 11))
def test_a_step_that_one_of_few_nights_before_makes_is_none(before: int) -> None:
    for shape, told in ((np.arange(before) == 1, False), (np.ones(before), True)):
        for sign in (-1.0, 1.0):
            values = np.zeros((1, NIGHTS))
            values[0, 1 : before + 1] = -sign * 100.0 * shape  # the first night is the zero
            step = step_at(before, sign * 100.0 * float(np.mean(shape)))
            assert scan_of(values[:, 1:])._without_one_before(step, 20) == [told]


@pytest.mark.parametrize("m", SCALES)
def test_without_its_most_extreme_night_a_step_is_as_sure_as_one_of_a_night_fewer(m: int) -> None:
    """Nights that differ: the last one is left out, and the others are enough, or just not."""
    first, shape = np.array([NIGHTS - m - 5]), 1 + np.arange(m) / m
    by_chance = errors(True)[0, min(first[0], LEVEL), m - 1] / shape[:-1].mean()
    for times, told in ((0.99 * WITHOUT, False), (1.01 * WITHOUT, True)):
        values = np.zeros((1, NIGHTS))
        values[0, first[0] : first[0] + m] = times * by_chance * shape
        step = step_at(first[0], times * by_chance * float(shape.mean()))
        assert scan_of(values)._without_one_since(step, m) == [told]


@pytest.mark.parametrize("before", range(2, 11))
def test_so_it_is_without_one_of_few_nights_before(before: int) -> None:
    shape = 1 + np.arange(before) / before
    by_chance = errors(True)[0, before - 1, 20] / shape[:-1].mean()
    for times, told in ((0.99 * WITHOUT, False), (1.01 * WITHOUT, True)):
        values = np.zeros((1, NIGHTS))
        values[0, :before] = -times * by_chance * shape
        step = step_at(before, times * by_chance * float(shape.mean()))
        assert scan_of(values)._without_one_before(step, 20) == [told]


@pytest.mark.parametrize(("m", "likeness"), [(2, 0.0), (2, 0.35), (14, 0.6), (56, 0.0)])
def test_a_step_is_as_sure_as_least_squares_of_the_nights_that_count_say(
    m: int, likeness: float
) -> None:
    """Which are LEVEL nights before it at most, and those before them were others."""
    values = np.random.default_rng(2).standard_normal((1, 2 * NIGHTS))
    values[0, LEVEL:] += 10.0
    values[0, NIGHTS + LEVEL :] += 100.0
    scan = Scan(values, *(np.array([of]) for of in (1.0, likeness, TOLD, 1.0)))
    _, firsts, lasts, found = scan._hits(m)
    assert {LEVEL, NIGHTS + LEVEL} & set(firsts.tolist())
    for first, last, z in zip(firsts, lasts, found, strict=True):
        before = min(first, LEVEL)
        nights, at = values[0, first - before : last + 1], np.arange(before + m)
        constant, along, since = np.ones(before + m), at - at.mean(), (at >= before).astype(float)
        alone, line, beside = (
            (weights @ nights / error(weights, np.array([likeness]))[0]) ** 2
            for weights in (
                np.linalg.pinv(np.stack(columns, axis=1))[-1]
                for columns in ([constant, since], [constant, along], [constant, along, since])
            )
        )
        best = max(alone, line + beside - LINE_COSTS) - max(0.0, line - LINE_COSTS)
        assert z == pytest.approx(best**0.5)


@pytest.mark.parametrize("lined", [False, True])
@pytest.mark.parametrize("m", [2, 3, 7])
def test_where_a_bad_night_stands_out_a_step_explains_more_than_its_most_extreme_night(
    m: int, lined: bool
) -> None:
    """Nights of one mean, of which the first has more and more of it."""
    first, at = NIGHTS - m - 5, np.arange(LEVEL + m)
    columns = [np.ones(len(at)), *([at] if lined else []), at >= LEVEL]
    told = []
    for extreme in np.linspace(0, 1, 21):
        shape = np.full(m, 1 - extreme)
        shape[0] += m * extreme
        values = np.zeros((1, NIGHTS))
        values[0, first : first + m] = shape
        indicator = rest(columns[-1].astype(float), *(of.astype(float) for of in columns[:-1]))
        night = shape[0] ** 2 * LEVEL / (LEVEL + 1)
        told.append(bool(indicator >= night))
        step = step_at(first, 1.0, lined)
        assert scan_of(values, QUIET)._without_one_since(step, m) == [told[-1]]
    assert told == sorted(told, reverse=True)
    assert (told[0], told[-1]) == (True, False)


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
    size = 0.8 * WITHOUT * errors(True)[0, LEVEL, 4]
    values[0, first[0] : first[0] + 5] = size
    for part, told in ((1.0, False), (0.7, True)):
        scan, step = scan_of(values, part=part), step_at(first[0], size)
        assert scan._without_one_since(step, 5) == [told]
