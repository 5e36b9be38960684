"""What cells share, where no place has enough of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.analysis.series import EVERYTHING, taken_apart
from bench.analysis.shared import Shared, row_medians
from tests.builders import a_cell


@pytest.mark.parametrize(
    ("places", "scopes"),
    [
        ((3, 3), (EVERYTHING,)),
        ((6,), ("p0", EVERYTHING)),
        ((5, 2), ("p0", EVERYTHING)),
        ((2, 2), ()),
    ],
)
def test_nights_have_a_shift_of_all_where_no_place_has_its_own(
    places: tuple[int, ...], scopes: tuple[str, ...]
) -> None:
    cells = [
        a_cell(f"p{place}c{n}", interface={"kind": f"p{place}"})
        for place, number in enumerate(places)
        for n in range(number)
    ]
    noise = np.random.default_rng(1).normal(0, 0.001, (12, len(cells)))
    noise[6:] += 0.05
    found = taken_apart(noise, 12, cells)
    assert [scope and json.loads(scope)["kind"] for scope in found.scopes] == [*scopes]
    for shift in found.shifts:
        assert np.median(shift[6:]) - np.median(shift[:6]) == pytest.approx(0.05, abs=0.002)


@pytest.mark.parametrize("places", ["aaaaabbbbb", "aaaaaa", "aaaaabb", "aaabbb", "aaaaabbbbbccccc"])
def test_what_many_rows_share_is_what_each_one_does(places: str) -> None:
    columns = len(places)
    shared = Shared.among([*places], columns, np.arange(columns))
    rows = np.random.default_rng(2).normal(0, 1, (7, columns))
    expected = [shared.centres(row)[0] for row in rows]
    np.testing.assert_allclose(shared.centres_of_rows(rows), expected)


def test_the_median_of_a_row_is_of_what_is_known_of_it() -> None:
    rows = np.random.default_rng(3).normal(0, 1, (8, 7))
    for number, row in enumerate(rows):
        row[number:] = np.nan
    found = row_medians(rows, np.isfinite(rows))
    assert np.isnan(found[0])
    np.testing.assert_allclose(found[1:], np.nanmedian(rows[1:], axis=1))
    assert np.isnan(row_medians(rows[:, :0], np.isfinite(rows[:, :0]))).all()
