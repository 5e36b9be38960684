"""Effects: which cells are matched, what is told of them, and how often that is wrong."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace

import pytest

from bench.analysis.contrasts import Pairs
from bench.analysis.effects import DISAGREEMENT, effects
from bench.analysis.figures import usable_by_cell
from bench.model.answer import Effect, Worth
from bench.model.cells import Cell
from bench.model.run import Run
from tests.builders import a_cell, a_run
from tests.raced_runs import AXES, a_race, product


def effects_of(run: Run) -> tuple[Effect, ...]:
    found, _ = effects(run, usable_by_cell(run), run.cells)
    return found


def leaves(found: Iterable[Effect]) -> list[Effect]:
    return [leaf for effect in found for leaf in effect.leaves()]


# What is found


def by_name(found: Iterable[Effect]) -> dict[str, Effect]:
    return {f"{e.axis} {e.value}/{e.over} {e.among.get('method', '-')}": e for e in found}


def holds(effect: Effect, truth: float) -> bool:
    """Whether the interval, which is no wider than 4 %, holds the truth."""
    low, high = effect.ratio.low, effect.ratio.high
    return low is not None and high is not None and low <= truth <= high <= low + 0.04


def test_each_axis_is_worth_what_it_is_worth() -> None:
    def worth(cell: Cell) -> float:
        faster = 1.3 if cell.method == "sendmmsg" else 1.0
        return faster * (0.9 if cell.values["burst"] == 64 else 1.0)

    found = by_name(effects_of(a_race(product(AXES), worth, missing=0.1)))
    assert holds(found["method sendmmsg/send -"], 1.3)
    assert found["method sendmmsg/send -"].worth is Worth.FASTER
    assert holds(found["burst 64/1 send"], 0.9)
    assert found["burst 64/1 send"].worth is Worth.SLOWER
    assert found["fill prefilled/copy send"].worth is Worth.NEGLIGIBLE
    assert not any(effect.parts for effect in found.values())


def test_a_cost_is_told_where_pps_is_the_same() -> None:
    """As where a shaper decides how fast frames leave."""
    run, chance = (
        a_race(product({"method": ["send"], "fill": ["copy", "prefilled"]})),
        random.Random(1),
    )
    cheaper = []
    for sample in run.samples:
        cost = (800 if "prefilled" in sample.cell else 1000) * chance.gauss(1, 0.005)
        (thread,) = sample.threads
        threads = (replace(thread, cpu_ns=round(thread.completed * cost)),)
        cheaper.append(replace(sample, threads=threads))
    (effect,) = effects_of(replace(run, samples=tuple(cheaper)))
    assert holds(effect, 1.0)
    assert effect.ratio_ns.low is not None
    assert effect.ratio_ns.high is not None
    assert effect.ratio_ns.low <= 0.8 <= effect.ratio_ns.high <= 0.81


def test_pairs_that_disagree_are_split_by_what_tells_them_apart() -> None:
    """A fill that costs large frames 6 % and small ones nothing, with sendmmsg alone."""

    def worth(cell: Cell) -> float:
        costs = cell.method == "sendmmsg" and cell.values["frame_size"] == 1514
        return 0.94 if costs and cell.values["fill"] == "prefilled" else 1.0

    found = by_name(effects_of(a_race(product(AXES), worth)))
    effect = found["fill prefilled/copy sendmmsg"]
    assert effect.split == "frame_size"
    small, large = effect.parts
    assert (small.among["frame_size"], large.among["frame_size"]) == (64, 1514)
    assert holds(small, 1.0)
    assert holds(large, 0.94)
    assert not found["fill prefilled/copy send"].parts


def test_pairs_that_agree_on_no_axis_are_split_into_pairs() -> None:
    """The effect of the fill turns round with the burst, and again with the frame size."""

    def worth(cell: Cell) -> float:
        turns = (cell.values["frame_size"] == 1514) != (cell.values["burst"] == 64)
        return (0.95 if turns else 1.05) if cell.values["fill"] == "prefilled" else 1.0

    found = by_name(effects_of(a_race(product(AXES), worth)))
    parts = [*found["fill prefilled/copy send"].leaves()]
    assert [len(part.pairs) for part in parts] == [1, 1, 1, 1]
    assert sorted(part.worth.value for part in parts) == [*["faster"] * 2, *["slower"] * 2]


def test_a_difference_that_is_a_small_part_of_a_large_effect_is_no_disagreement() -> None:
    def worth(cell: Cell) -> float:
        more = 1.02 if cell.values["frame_size"] == 1514 else 1.0
        return 2.0 * more if cell.method == "sendmmsg" else 1.0

    found = by_name(effects_of(a_race(product(AXES), worth, rounds=200, noise=0.005)))
    assert not found["method sendmmsg/send -"].parts


def test_the_axis_with_most_values_is_not_the_one_that_tells_pairs_apart_for_that() -> None:
    """Noise hardly less than the difference: six groups are apart by more of it than two are."""

    def worth(cell: Cell) -> float:
        costs = cell.values["frame_size"] == 1514 and cell.values["fill"] == "prefilled"
        return 0.95 if costs else 1.0

    cells = product({**AXES, "method": ["send"], "burst": [1, 2, 4, 8, 16, 32]})
    splits = [
        by_name(found)["fill prefilled/copy send"].split
        for seed in range(12)
        for found in [effects_of(a_race(cells, worth, rounds=60, noise=0.05, seed=seed))]
    ]
    assert {*splits} <= {"frame_size", ""}
    assert splits.count("frame_size") >= 8


def test_all_tests_of_a_run_together_have_the_level_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of pairs that agree: none is split, so that each is tested once."""
    levels: list[float] = []

    def differs(_pairs: Pairs, _weights: object, level: float, _matters: float) -> bool:
        levels.append(level)
        return False

    monkeypatch.setattr(Pairs, "differs", differs)
    effects_of(a_race(product({**AXES, "burst": [1, 8, 64]})))
    assert sum(levels) == pytest.approx(DISAGREEMENT)


def test_few_rounds_have_effects_without_intervals() -> None:
    for effect in effects_of(a_race(product(AXES), rounds=8)):
        assert (effect.ratio.low, effect.ratio.n, effect.worth) == (None, 8, Worth.OPEN)


def test_openings_that_differ_widen_the_interval() -> None:
    cells = product(AXES)
    one, five = (
        by_name(effects_of(a_race(cells, rounds=100, openings=n, of_opening=0.02))) for n in (1, 5)
    )

    def width(effect: Effect) -> float:
        assert effect.ratio.low is not None
        assert effect.ratio.high is not None
        return effect.ratio.high - effect.ratio.low

    name = "fill prefilled/copy send"
    assert width(five[name]) > 1.5 * width(one[name])


def test_cells_without_samples_and_senders_of_nothing_have_no_effects() -> None:
    cells = product({"method": ["send", "null", "sendmmsg"]})
    run = a_race(cells)
    silent = a_run([s for s in run.samples if s.cell != "sendmmsg"], cells)
    assert effects(silent, usable_by_cell(silent), silent.cells) == ((), ())


def test_a_run_that_sends_nothing_shows_what_its_own_axes_are_worth() -> None:
    (effect,) = effects_of(a_race(product({"method": ["null"], "burst": [1, 64]})))
    assert effect.axis == "burst"


def test_axes_that_advance_together_are_worth_nothing_that_is_known() -> None:
    cells = [
        a_cell("a", method="send", frame_size=64, burst=1),
        a_cell("b", method="send", frame_size=1514, burst=64),
    ]
    run = a_race(cells)
    assert effects(run, usable_by_cell(run), cells) == ((), ("frame_size", "burst"))


def test_two_cells_of_no_common_round_have_no_effect() -> None:
    cells = product({"method": ["send", "sendmmsg"]})
    run = a_race(cells)
    apart = [s for s in run.samples if (s.cell == "send") == (s.round < 50)]
    assert effects_of(a_run(apart, cells)) == ()


# How often it is wrong (seeds are fixed: these are facts about the code, and may not flicker)


@pytest.mark.parametrize(
    "how",
    [
        {"rounds": 60},
        {"rounds": 150, "missing": 0.2},
        {"rounds": 100, "openings": 5, "of_opening": 0.006},
    ],
    ids=["one opening", "samples missing", "five openings"],
)
def test_intervals_cover_and_disagreements_are_none_of_chance(how: Mapping[str, float]) -> None:
    """All cells are equal: every effect is 1, and no pairs disagree."""
    cells, held, known, split = product(AXES), 0, 0, 0
    for seed in range(RUNS := 40):
        found = effects_of(a_race(cells, seed=seed, **how))  # type: ignore[arg-type]
        split += any(effect.parts for effect in found)
        for effect in found:
            assert effect.ratio.low is not None
            assert effect.ratio.high is not None
            held += effect.ratio.low <= 1 <= effect.ratio.high
            known += 1
    assert held >= 0.94 * known
    assert split <= 0.05 * RUNS
