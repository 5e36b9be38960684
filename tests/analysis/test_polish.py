"""Levels of an opening's cells without what its rounds share."""

from __future__ import annotations

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.polish import FEWEST, levels

CELLS = [f"c{number}" for number in range(12)]


def test_a_machine_that_is_slow_in_more_than_half_of_some_cells_rounds_slows_none_of_them() -> None:
    """Half of the cells lack rounds 0 to 3, in which the machine was fast."""
    generator = random.Random(1)
    values = {
        cell: {
            number: level / 10 + (0.0 if number < 8 else 0.3) + generator.gauss(0, 0.002)
            for number in range(4 * (level % 2), 14)
        }
        for level, cell in enumerate(CELLS)
    }
    found = levels(values)
    beyond = [found[cell] - level / 10 for level, cell in enumerate(CELLS)]
    assert max(beyond) - min(beyond) < 0.02
    plain = [statistics.median(values[c].values()) - n / 10 for n, c in enumerate(CELLS)]
    assert max(plain) - min(plain) > 0.2


def test_noise_that_rounds_share_leaves_the_levels_alone() -> None:
    generator = random.Random(2)
    shared = [generator.gauss(0, 0.05) for _ in range(30)]
    errors: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(40):
        values = {
            cell: {
                n: shared[n] + generator.gauss(0, 0.01)
                for n in range(30)
                if generator.random() < 0.8
            }
            for cell in CELLS
        }
        for is_polished, found in (
            (True, levels(values)),
            (False, {cell: statistics.median(of.values()) for cell, of in values.items()}),
        ):
            errors[is_polished].append(statistics.stdev(found.values()))
    assert statistics.fmean(errors[True]) < 0.4 * statistics.fmean(errors[False])


@given(st.integers(1, FEWEST - 1), st.lists(st.floats(-1, 1), min_size=6, max_size=6))
def test_few_cells_have_their_medians(number: int, values: list[float]) -> None:
    of = {cell: dict(enumerate(values)) for cell in CELLS[:number]}
    assert levels(of) == dict.fromkeys(CELLS[:number], statistics.median(values))


@given(st.floats(-2, 2), st.integers(0, 11))
def test_what_a_cell_or_all_cells_do_is_in_the_levels(by: float, number: int) -> None:
    generator = random.Random(3)
    values = {cell: {n: generator.gauss(7, 0.01) for n in range(20)} for cell in CELLS}
    before = levels(values)
    one = levels(
        {c: {n: v + by * (c == CELLS[number]) for n, v in of.items()} for c, of in values.items()}
    )
    every = levels({cell: {n: v + by for n, v in of.items()} for cell, of in values.items()})
    for cell in CELLS:
        assert every[cell] - before[cell] == pytest.approx(by, abs=1e-9)
        own = by if cell == CELLS[number] else 0.0
        assert math.isclose(one[cell] - before[cell], own, abs_tol=0.01)
