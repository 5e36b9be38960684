"""Intervals from the spread between openings."""

from __future__ import annotations

import math
import random
import re
import sys
from collections.abc import Callable

import pytest

from bench.analysis import openings
from bench.analysis.openings import MIN_OPENING_ROUNDS, ByOpening
from bench.model.results import Estimate

ROUNDS = 8


def machine(
    generator: random.Random, count: int, cells: int = 12, shift: float = 0.0, own: float = 0.006
) -> list[ByOpening]:
    """Cells around 1: each opening has a shift that all share, and each cell in it one of its own;
    rounds spread by 1 %."""

    def spread(by: float) -> float:
        return generator.gauss(0.0, by)

    shifts = [spread(shift) for _ in range(count)]

    def cell() -> ByOpening:
        levels = [common + spread(own) for common in shifts]
        return {
            number: [math.exp(level + spread(0.01)) for _ in range(ROUNDS)]
            for number, level in enumerate(levels)
        }

    return [cell() for _ in range(cells)]


def holds(estimate: Estimate | None, truth: float = 1.0) -> bool:
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low <= truth <= estimate.high


def coverage(
    draw: Callable[[random.Random], list[ByOpening]], runs: int, *, levels: bool = False
) -> float:
    generator = random.Random(1)
    found = [
        holds(each)
        for _ in range(runs)
        for each in openings.estimates(draw(generator), levels=levels)
    ]
    return sum(found) / len(found)


# Coverage: another run would show the same


@pytest.mark.parametrize("count", [3, 5, 10])
def test_intervals_hold_what_many_openings_would_show(count: int) -> None:
    assert coverage(lambda generator: machine(generator, count), runs=250) >= 0.95


@pytest.mark.parametrize("count", [3, 5, 10])
def test_they_hold_where_all_cells_share_what_happens_to_an_opening(count: int) -> None:
    """Ten cells then tell no more of the spread than one does; 600 runs have 600 fates, of which
    5 % +- 1 % are missed."""

    def draw(generator: random.Random) -> list[ByOpening]:
        return machine(generator, count, 10, shift=0.012)

    assert coverage(draw, runs=600, levels=True) >= 0.94


def test_cells_that_go_apart_tell_together_how_far_openings_spread() -> None:
    """Three openings of one cell have two degrees of freedom, of 24 cells almost 48."""
    generator = random.Random(2)

    def width(cells: int) -> float:
        draws = [openings.estimates(machine(generator, 3, cells)) for _ in range(30)]
        widths = [each.half_width for draw in draws for each in draw if each and each.half_width]
        return sum(widths) / len(widths)

    assert width(24) < 0.65 * width(1)


# When there is one, and what it has in it


def test_the_estimate_is_the_median_over_all_rounds() -> None:
    values = {0: [1.0] * 5, 1: [2.0] * 6, 2: [3.0] * 40}
    (estimate,) = openings.estimates([values])
    assert estimate is not None
    assert (estimate.value, estimate.n) == (3.0, 51)
    assert holds(estimate, 3.0)
    assert holds(estimate, 6 ** (1 / 3))  # the mean of the openings' medians


def test_an_interval_is_never_narrower_than_that_of_the_rounds() -> None:
    """Openings that agree by chance do not make rounds more certain."""
    generator = random.Random(3)
    rounds = [generator.uniform(0.9, 1.1) for _ in range(40)]
    alike = [{number: rounds for number in range(5)} for _ in range(3)]
    for wide, narrow in zip(openings.estimates(alike), openings.pooled(alike), strict=True):
        assert wide == narrow


@pytest.mark.parametrize("values", [{}, {0: [1.0] * 40}, {0: [1.0, 1.1] * 20, 1: [2.0, 2.1] * 20}])
def test_fewer_than_three_openings_have_the_interval_of_their_rounds(values: ByOpening) -> None:
    assert openings.estimates([values]) == openings.pooled([values])


def test_an_opening_of_few_rounds_is_none() -> None:
    enough, few = [1.0, 1.1, 1.2, 1.3, 1.4], [7.0, 7.1, 7.2, 7.3]
    assert len(enough) == MIN_OPENING_ROUNDS
    two = {0: enough, 1: enough, 2: few}
    (estimate,) = openings.estimates([two])
    assert estimate is not None
    assert estimate.low is None
    (estimate,) = openings.estimates([two | {3: enough}])
    assert estimate is not None
    assert estimate.high is not None
    assert estimate.high < 2


def test_openings_that_do_not_differ_at_all_have_an_interval_without_width() -> None:
    (estimate,) = openings.estimates([{number: [2.0] * 5 for number in range(3)}])
    assert estimate is not None
    assert estimate.low == pytest.approx(2.0)
    assert estimate.high == pytest.approx(2.0)


def test_cells_of_different_openings_are_estimated_together() -> None:
    """One that failed in mid-run has fewer."""
    generator = random.Random(4)
    drawn = machine(generator, 5, 6)
    short = {number: drawn[0][number] for number in range(3)}
    single = {0: drawn[1][0]}
    found = openings.estimates([short, single, *drawn[2:]])
    assert [each is not None and each.low is not None for each in found] == [
        True,
        False,
        *[True] * 4,
    ]


@pytest.mark.parametrize(
    ("ratios", "what"), [(0, "pps without a baseline"), (1, "1 ratio"), (2, "2 ratios")]
)
def test_what_gets_no_interval_is_told_with_the_rounds_that_it_needs(
    ratios: int, what: str
) -> None:
    told = openings.why_no_interval(19, 1, ratios)
    (least,) = re.findall(r"would need (\d+) rounds, not 19, or 3 openings with 5", told)
    assert told.startswith(f"no interval: {what} would need")
    assert openings.why_no_interval(int(least), 1, ratios) == ""
    assert openings.why_no_interval(int(least) + 1, 1, ratios) == ""
    assert openings.why_no_interval(int(least) - 1, 1, ratios)
    assert openings.why_no_interval(15, 3, ratios) == ""
    assert openings.why_no_interval(14, 3, ratios)


def test_a_run_of_too_few_openings_needs_no_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do the machines of tools/kernels.py have it."""
    cells = machine(random.Random(3), openings.MIN_OPENINGS - 1)
    before = openings.estimates(cells)
    for name in ("scipy", "scipy.special", "scipy.stats"):
        monkeypatch.setitem(sys.modules, name, None)
    assert openings.estimates(cells) == before == openings.pooled(cells)
