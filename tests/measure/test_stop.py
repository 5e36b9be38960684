"""Which cells a run measures further."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from bench.measure import stop
from bench.model.matrix import Measure, Rounds
from bench.model.problems import Code, Problem
from bench.model.samples import Sample, ThreadSample

MEASURE = Measure(rounds=Rounds(10, 100), precision=0.01)


def samples(
    cell: str, pps: Callable[[int], float], rounds: int = 60, **fields: object
) -> list[Sample]:
    """Slices of 10 ms, one a round, at ``pps(round)`` frames per second."""
    found = []
    for round_ in range(rounds):
        completed = int(pps(round_) / 100)
        thread = ThreadSample(cpu=1, wall_ns=10_000_000, cpu_ns=9_000_000, completed=completed)
        found.append(
            Sample(
                cell=cell,
                round=round_,
                at_ns=round_,
                wall_ns=10_000_000,
                threads=(thread,),
                slice_completed=completed,
                delivered=completed,
                **fields,  # type: ignore[arg-type]
            )
        )
    return found


def steady(pps: float) -> Callable[[int], float]:
    return lambda _round: pps


def noisy(pps: float) -> Callable[[int], float]:
    factor = random.Random(3).uniform
    return lambda _round: pps * factor(0.5, 1.5)


def wanted(*of_cells: Sequence[Sample], **more: object) -> set[str]:
    by_cell = {of_cell[0].cell: of_cell for of_cell in of_cells}
    given = {"baselines": dict.fromkeys(by_cell, "base"), "failures": (), "measure": MEASURE}
    return stop.wanted(by_cell, **(given | more))  # type: ignore[arg-type]


def test_more_rounds_go_to_cells_that_are_not_yet_precise() -> None:
    cells = [samples("base", steady(1e6)), samples("steady", steady(2e6))]
    assert wanted(*cells, samples("noisy", noisy(2e6))) == {"noisy"}


def test_a_cell_that_failed_gets_no_more_rounds() -> None:
    cells = [samples("base", steady(1e6)), samples("noisy", noisy(2e6))]
    assert wanted(*cells, failures={"noisy": "gone"}) == set()


def test_a_baseline_needs_none_for_itself() -> None:
    cells = [samples("base", noisy(1e6)), samples("other", noisy(2e6))]
    assert wanted(*cells) == {"other"}


@pytest.mark.parametrize(("precision", "more"), [(0.01, {"alone"}), (0.5, set())])
def test_without_a_baseline_the_rate_itself_is_to_be_precise(
    precision: float, more: set[str]
) -> None:
    cell = samples("alone", noisy(1e6), rounds=400)
    measure = Measure(rounds=Rounds(10, 500), precision=precision)
    assert wanted(cell, baselines={}, measure=measure) == more


def test_a_cell_without_an_interval_yet_is_not_precise() -> None:
    cells = [samples("base", steady(1e6), rounds=3), samples("steady", steady(2e6), rounds=3)]
    assert wanted(*cells) == {"steady"}


def test_a_cell_of_which_no_sample_can_be_used_would_not_become_precise() -> None:
    invalid = samples("invalid", noisy(2e6), problems=(Problem(Code.FOREIGN, 5),))
    assert wanted(samples("base", steady(1e6)), invalid) == set()
