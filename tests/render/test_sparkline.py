"""Series in a line of text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from bench.render.sparkline import BLOCKS, PLAIN, places_of, plain, sparklines

FIRST = datetime(2026, 1, 1, 3, tzinfo=UTC)


def sparkline(
    values: Sequence[float], places: Sequence[int], width: int, cuts: Sequence[int] = ()
) -> str:
    (line,) = sparklines(np.array([values]), places, width, cuts)
    return line


def days(*numbers: float) -> list[datetime]:
    return [FIRST + timedelta(days=number) for number in numbers]


@pytest.mark.parametrize(
    ("times", "places"),
    [
        (days(), []),
        (days(0), [0]),
        (days(0, 1, 2.1, 2.9), [0, 1, 2, 3]),
        (days(0, 1, 2, 5, 6), [0, 1, 2, 5, 6]),
        (days(0, 7, 14, 28), [0, 1, 2, 4]),
        (days(0, 0.1, 1), [0, 0, 1]),
    ],
)
def test_missing_nights_have_a_place(times: list[datetime], places: list[int]) -> None:
    assert places_of(times) == places


def test_the_highest_value_has_the_highest_block_and_a_gap_is_shown() -> None:
    assert sparkline([0.0, 1.0, 0.5], [0, 1, 4], 10) == "▁█··▅"
    assert sparkline([0.0, math.nan, 1.0], [0, 1, 2], 10) == "▁·█"
    assert sparkline([], [], 10) == ""


def test_noise_is_no_mountain_range() -> None:
    assert set(sparkline([0.0, 0.002, 0.001], [0, 1, 2], 10)) <= set("▄▅")


def test_a_block_has_the_mean_of_as_many_nights_as_it_takes() -> None:
    values = [0.0] * 6 + [1.0] * 6
    assert sparkline(values, list(range(12)), 4, cuts=[6]) == "▁▁│██"


def test_without_blocks_all_of_it_is_ascii() -> None:
    assert plain(BLOCKS) == PLAIN
    assert PLAIN.isascii()
    assert len(set(PLAIN)) == len(BLOCKS)


def test_each_line_is_its_own() -> None:
    series = np.random.default_rng(1).normal(0, 0.02, (5, 30)).cumsum(axis=1)
    series[1, 4:9] = math.nan
    series[2] = math.nan
    apart = [sparkline(row.tolist(), range(30), 12, [13]) for row in series]
    assert sparklines(series, range(30), 12, [13]) == apart
    assert apart[2] == "····│······"
