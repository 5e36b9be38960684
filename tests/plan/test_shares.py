"""Threads as shares of the CPUs that may be used."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import UsageError
from bench.matrix import load
from bench.model.matrix import Matrix
from bench.plan.plan import HERE, Plan, make_plan
from bench.plan.shares import in_numbers, threads_of
from bench.system import cpus
from tests.vocabulary import WORDS


def a_matrix(axes: str, more: str = "") -> Matrix:
    return load.parse(f"name: m\naxes: {axes}\n{more}\n", "m.yaml", WORDS)


def planned(matrix: Matrix) -> Plan:
    return make_plan(in_numbers(matrix, WORDS.limits, HERE), WORDS)


def on(number: int, matrix: Matrix) -> Matrix:
    """In numbers, with so many CPUs to use."""
    measure = replace(matrix.measure, cpus=tuple(range(number)))
    return in_numbers(replace(matrix, measure=measure), WORDS.limits, HERE)


@given(st.integers(1, 99), st.integers(1, 512))
def test_a_share_is_of_the_cpus_here_rounded_down_and_at_least_one(share: int, here: int) -> None:
    threads = threads_of(f"{share}%", here)
    assert threads == max(1, share * here // 100)
    assert 1 <= threads <= threads_of("all", here) == here


def test_every_part_of_a_matrix_may_name_a_share() -> None:
    matrix = on(
        8,
        a_matrix(
            "{method: [sendto, sendmmsg], threads: [1, 50%, all]}",
            "exclude: [{method: sendto, threads: all}]\ninclude: [{threads: 25%}]\n"
            "baseline: {threads: 50%}\nthresholds: [{threads: [2, all], min_effect: 5%}]",
        ),
    )
    assert matrix.axes["threads"] == (1, 4, 8)
    assert matrix.exclude[0]["threads"] == (8,)
    assert matrix.include[0]["threads"] == 2
    assert matrix.baseline == {"threads": 4}
    assert matrix.thresholds[0][0]["threads"] == (2, 8)


def test_ids_are_of_the_number() -> None:
    here = len(cpus.allowed(HERE))
    shares = planned(a_matrix("{threads: all}"))
    assert shares.cells == planned(a_matrix(f"{{threads: {here}}}")).cells


def test_shares_of_the_same_number_are_one_cell() -> None:
    one = f"measure: {{cpus: [{cpus.allowed(HERE)[0]}]}}"
    made = planned(a_matrix("{threads: [1, 50%, all]}", one))
    assert ([cell.threads for cell in made.cells], made.collapsed) == ([1], 2)
    zipped = a_matrix(
        "{method: sendmmsg, threads: [1, 50%], burst: [1, 8]}", f"zip: [[threads, burst]]\n{one}"
    )
    assert [cell.values["burst"] for cell in planned(zipped).cells if cell.threads == 1] == [1, 8]


def test_all_of_the_cpus_are_a_hundred_per_cent_of_them() -> None:
    shares = planned(a_matrix("{threads: [50%, 100%]}")).cells
    assert shares == planned(a_matrix("{threads: [50%, all]}")).cells


def test_more_threads_than_the_core_takes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"m.yaml:2:\d+: all of 65 CPUs is 65 threads; at most 64"):
        on(65, a_matrix("{threads: all}"))


@pytest.mark.parametrize("written", ["0%", "101%", "1.5%", "half", "-1%", "0", "65"])
def test_what_is_no_share_says_what_is(written: str) -> None:
    with pytest.raises(
        UsageError, match="write a whole number from 1 to 64, 1% to 100% of the CPUs, or all"
    ):
        a_matrix(f"{{threads: {written}}}")
