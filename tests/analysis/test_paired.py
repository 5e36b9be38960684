"""Runs of two sides with known differences between B and A."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from bench.analysis import paired
from bench.analysis.verdicts import Comparison, Verdict
from bench.model.summaries import CellSummary, OpeningFigures, RunSummary
from tests.builders import a_cell, a_header

CELLS = tuple(a_cell(f"c{i}") for i in range(8))


def a_run(
    seed: int,
    costs: Mapping[str, float] | None = None,
    openings: int = 10,
    noise: float = 0.003,
    rounds: int = 12,
) -> RunSummary:
    """``costs`` are what B's cells cost more than A's, as fractions."""
    chance = random.Random(seed)

    def opening(number: int, ratio: float | None) -> OpeningFigures:
        strayed = ratio and ratio * chance.lognormvariate(0, noise)
        return OpeningFigures(
            number, rounds, 1e6, 1000.0, ratio=strayed and 1 / strayed, ratio_ns=strayed
        )

    summaries = {}
    for cell in CELLS:
        ratio = 1 + (costs or {}).get(cell.id, 0.0)
        for name, of in ((cell.id, None), (f"{cell.id}b", ratio)):
            found = tuple(opening(number, of) for number in range(openings))
            summaries[name] = CellSummary(name, found)
    twins = {f"{cell.id}b": cell.id for cell in CELLS}
    of_b = tuple(replace(cell, id=f"{cell.id}b") for cell in CELLS)
    header = a_header(baselines=twins, thresholds=dict.fromkeys(twins, 0.01))
    return RunSummary("r.jsonl", header, (*CELLS, *of_b), (), summaries, {}, "done")


def verdicts_of(result: Comparison) -> dict[str, Verdict]:
    return {row.cell.id: row.verdict for row in result.rows}


def test_sides_that_are_alike_are_unchanged_and_so_is_what_they_share() -> None:
    for seed in range(40):
        result = paired.compare(a_run(seed))
        assert Verdict.REGRESSED not in {*verdicts_of(result).values()}
        assert {shift.verdict for shift in result.shifts} == {Verdict.UNCHANGED}


def test_a_cost_of_one_cell_is_that_cells() -> None:
    for seed in range(20):
        result = paired.compare(a_run(seed, {"c3": 0.02}))
        told = [cell for cell, v in verdicts_of(result).items() if v is Verdict.REGRESSED]
        assert told == ["c3"]
        assert result.rows[0].cell.id == "c3"
        assert (
            result.rows[0].changes["ns_per_frame"].value > 0 > result.rows[0].changes["pps"].value
        )
        assert {shift.verdict for shift in result.shifts} == {Verdict.UNCHANGED}


def test_a_cost_of_all_cells_is_told_of_all_and_taken_off_of_none() -> None:
    result = paired.compare(a_run(1, {cell.id: 0.02 for cell in CELLS}))
    assert {*verdicts_of(result).values()} == {Verdict.REGRESSED}
    assert {shift.verdict for shift in result.shifts} == {Verdict.REGRESSED}
    (cost,) = (s.change for s in result.shifts if s.figure == "ns_per_frame")
    assert cost.low < 0.02 < cost.high


@pytest.mark.parametrize(("number", "have"), [(2, False), (3, True), (4, True)])
def test_it_takes_three_cells_to_have_something_in_common(number: int, have: bool) -> None:
    run = a_run(1)
    left = {cell.id: cell for cell in CELLS[:number]}
    summaries = {id_: of for id_, of in run.summaries.items() if id_.rstrip("b") in left}
    shifts = paired.compare(replace(run, summaries=summaries)).shifts
    assert [shift.figure for shift in shifts] == (["pps", "ns_per_frame"] if have else [])


def test_intervals_hold_what_they_say() -> None:
    held = [
        change.low <= 0.02 <= change.high
        for seed in range(60)
        for row in paired.compare(a_run(seed, {"c0": 0.02}, openings=5)).rows
        if row.cell.id == "c0"
        for change in [row.changes["ns_per_frame"]]
    ]
    assert sum(held) >= 0.85 * len(held)


def test_openings_that_are_too_few_or_too_short_carry_no_verdict() -> None:
    for run in (a_run(1, openings=2), a_run(1, rounds=4)):
        result = paired.compare(run)
        assert {*verdicts_of(result).values()} == {Verdict.INCONCLUSIVE}
        assert result.shifts == ()
        assert all("3 openings with 5 valid rounds" in row.reasons[0] for row in result.rows)


def test_a_cell_that_failed_on_a_side_is_missing_with_the_reason() -> None:
    run = replace(a_run(1), failures={"c2b": "the worker died"})
    row = paired.compare(run).rows[0]
    assert (row.cell.id, row.verdict) == ("c2", Verdict.MISSING)
    assert row.reasons == ("failed in B: the worker died",)


def test_the_pps_of_a_cell_that_was_starved_on_one_side_is_no_evidence() -> None:
    run = a_run(1, noise=0.001)
    starved = replace(run.summaries["c1b"], notes={"starved": 3})
    result = paired.compare(replace(run, summaries={**run.summaries, "c1b": starved}))
    (row,) = (row for row in result.rows if row.verdict is Verdict.INCONCLUSIVE)
    assert (row.cell.id, row.reasons) == ("c1", ("pps is no evidence: starved in B",))
