"""The order of a round, and the rounds that each opening has."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.model.matrix import Rounds
from bench.plan.schedule import round_order, shares

CELLS = ["a", "b", "a'", "b'", "c"]
TWINS = {"a'": "a", "b'": "b"}


def test_twins_stand_beside_each_other_one_or_the_other_first() -> None:
    orders = [round_order(CELLS, 1, round_, TWINS) for round_ in range(40)]
    for order in orders:
        assert sorted(order) == sorted(CELLS)
        for twin, cell in TWINS.items():
            assert abs(order.index(twin) - order.index(cell)) == 1
    firsts = {(order.index("a") < order.index("a'"), order.index("c")) for order in orders}
    assert firsts == {*itertools.product((False, True), (0, 2, 4))}


@given(
    least=st.integers(1, 60),
    more=st.integers(0, 60),
    openings=st.integers(1, 9),
    done=st.integers(0, 9),
    first=st.integers(0, 130),
)
def test_openings_to_come_share_the_rounds_that_are_left(
    least: int, more: int, openings: int, done: int, first: int
) -> None:
    rounds = Rounds(least, least + more)
    made = shares(rounds, openings, done, first)
    assert [share.opening for share in made] == [*range(done, max(openings, done + 1))]
    assert {share.openings for share in made} == {max(openings, done + 1)}
    assert sum(share.least for share in made) == max(0, rounds.min - first)
    assert [share.later for share in made] == [
        sum(share.least for share in made[number:]) for number in range(1, len(made) + 1)
    ]
    assert made[-1].most == max(rounds.max, first)
    assert first <= made[0].most
    for one, next_ in itertools.pairwise(made):
        assert one.most <= next_.most
        assert abs(one.least - next_.least) <= 1


def test_an_interval_narrows_with_the_root_of_its_openings_to_what_was_asked() -> None:
    first, *_, last = shares(Rounds(40, 400), 4)
    assert (first.looseness, last.looseness) == (pytest.approx(2.0), pytest.approx(1.0))
