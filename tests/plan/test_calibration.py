"""In how many rounds a run measures the machine itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.plan.calibration import CALIBRATION, FEWEST, FEWEST_IN_OPENING, MOST, interval


@given(st.integers(1, 600), st.integers(1, 2000), st.integers(1, 10))
def test_it_costs_little_and_still_shows_drift(cells: int, rounds: int, openings: int) -> None:
    every = interval(cells, rounds, openings)
    in_opening = -(-(rounds // openings) // every)
    assert every >= 1
    if every > 1:
        assert -(-rounds // every) >= FEWEST
        assert in_opening >= FEWEST_IN_OPENING
    long_enough = rounds >= 40 * FEWEST and rounds // openings >= 40 * FEWEST_IN_OPENING
    if long_enough:
        calibrating, own = len(CALIBRATION) / every, cells
        assert calibrating / (calibrating + own) <= MOST + 1e-9
        if every > 1:  # and it is measured as often as it may be
            oftener = len(CALIBRATION) / (every - 1)
            assert oftener / (oftener + own) > MOST


def test_many_cells_are_measured_with_the_machine_in_every_round() -> None:
    assert interval(100, 1000, 1) == 1
