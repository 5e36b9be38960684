"""Ids with a letter in front, which no spreadsheet takes for numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base import ids
from bench.base.values import Value
from bench.model.cells import cell_id

VALUES = st.dictionaries(st.sampled_from(["method", "frame_size", "burst"]), st.integers(1, 10**9))


@given(VALUES)
def test_no_id_of_a_cell_is_shown_as_a_number(values: dict[str, Value | None]) -> None:
    plain = cell_id(values)
    text = ids.shown(plain)
    with pytest.raises(ValueError, match="could not convert"):
        float(text)
    assert ids.meant(text) == ids.meant(plain) == plain


@given(st.integers(0, 2**64 - 1))
def test_no_id_of_a_run_is_shown_as_a_number(number: int) -> None:
    text = ids.shown(f"{number:016x}")
    assert text[0] == "r"
    assert ids.meant(text) == f"{number:016x}"


@pytest.mark.parametrize("name", ["all", "veth", "c", "", "lo", "c1", "carrier", "r2"])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert ids.shown(name) == ids.meant(name) == name


def test_ids_that_are_numbers() -> None:
    """One with e is a number to a spreadsheet, one of digits loses its 0."""
    assert [ids.shown(i) for i in ("595797e027", "0165529710", "0165529710b")] == [
        "c595797e027",
        "c0165529710",
        "c0165529710b",
    ]
    assert ids.meant("c0ffee1234") == "c0ffee1234"  # ten digits: itself an id
