"""Levels of an opening's cells as if the machine had kept its speed."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis import steady
from bench.analysis.steady import FEWEST, levels

CELLS = [f"c{number}" for number in range(12)]


def in_rounds(
    generator: random.Random, rounds: int, speed: Callable[[int], float], noise: float
) -> dict[str, dict[int, float]]:
    """Slices of all cells in another order each round; cell number n has the level n / 10."""
    values: dict[str, dict[int, float]] = {cell: {} for cell in CELLS}
    for number in range(rounds):
        order = generator.sample(range(len(CELLS)), len(CELLS))
        for at, cell in enumerate(order, number * len(CELLS)):
            values[CELLS[cell]][at] = cell / 10 + speed(at) + generator.gauss(0, noise)
    return values


def spread(found: Mapping[str, float]) -> float:
    return statistics.pstdev(found[cell] - level / 10 for level, cell in enumerate(CELLS))


def medians(values: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    return {cell: statistics.median(of.values()) for cell, of in values.items()}


def test_a_machine_that_was_fast_in_more_rounds_of_half_of_the_cells_speeds_none_up() -> None:
    """Half of the cells lack rounds 0 to 3, in which the machine was fast."""
    begun, fast = 4 * len(CELLS), 8 * len(CELLS)
    whole = in_rounds(random.Random(1), 14, lambda at: 0.0 if at < fast else 0.3, 0.002)
    values = {
        cell: {at: value for at, value in of.items() if level % 2 == 0 or at >= begun}
        for level, (cell, of) in enumerate(whole.items())
    }
    assert spread(levels(values)) < 0.01
    assert spread(medians(values)) > 0.05


def test_a_machine_whose_speed_wanders_within_rounds_leaves_the_levels_alone() -> None:
    """A speed that is much the same from one slice to the next, and not from round to round."""
    generator = random.Random(2)
    errors: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(40):
        speeds = [0.0]
        for _ in range(30 * len(CELLS)):
            speeds.append(0.8 * speeds[-1] + generator.gauss(0, 0.03))
        values = in_rounds(generator, 30, speeds.__getitem__, 0.005)
        errors[True].append(spread(levels(values)))
        errors[False].append(spread(medians(values)))
    assert statistics.fmean(errors[True]) < 0.7 * statistics.fmean(errors[False])


@given(st.integers(1, FEWEST - 1), st.lists(st.floats(-1, 1), min_size=6, max_size=6))
def test_few_cells_have_their_medians(number: int, values: list[float]) -> None:
    of = {cell: dict(enumerate(values)) for cell in CELLS[:number]}
    assert levels(of) == dict.fromkeys(CELLS[:number], statistics.median(values))


def test_a_slice_that_was_disturbed_by_much_says_no_more_of_the_machine() -> None:
    generator = random.Random(4)
    away = [generator.gauss(0, 0.01) for _ in range(40)]
    far, farther = ([*away[:20], by, *away[21:]] for by in (0.1, 10.0))
    assert steady._speed(far) == steady._speed(farther)
    assert max(map(abs, steady._speed(far))) < 0.05


def test_the_first_and_the_last_slice_have_one_beside_them() -> None:
    generator = random.Random(5)
    away = [generator.uniform(-0.01, 0.01) for _ in range(40)]
    found = steady._speed(away)
    assert steady._speed(away[::-1]) == pytest.approx(found[::-1])
    inner = [(before + after) / 2 for before, after in zip(away, away[2:], strict=False)]
    middle = statistics.median([away[1], *inner, away[-2]])
    assert found == pytest.approx([of - middle for of in (away[1], *inner, away[-2])])


@given(st.floats(-2, 2), st.integers(0, 11))
def test_what_a_cell_or_all_cells_do_is_in_the_levels(by: float, number: int) -> None:
    generator = random.Random(3)
    values = in_rounds(generator, 20, lambda at: 7.0, 0.01)
    before = levels(values)
    one = levels(
        {c: {n: v + by * (c == CELLS[number]) for n, v in of.items()} for c, of in values.items()}
    )
    every = levels({cell: {n: v + by for n, v in of.items()} for cell, of in values.items()})
    for cell in CELLS:
        assert every[cell] - before[cell] == pytest.approx(by, abs=1e-9)
        own = by if cell == CELLS[number] else 0.0
        assert math.isclose(one[cell] - before[cell], own, abs_tol=0.01)
