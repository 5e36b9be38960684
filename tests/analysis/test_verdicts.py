"""Verdicts: what is told of all cells, of an interface, of a cell, and what is not."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from bench.analysis import compared, environments
from bench.analysis.compared import compare
from bench.analysis.shifts import ASSUMED_SHIFT
from bench.analysis.verdicts import (
    NOTHING_SHOWS,
    TOO_WIDE,
    Comparison,
    Row,
    Shift,
    Verdict,
)
from bench.base.values import key_of
from bench.model.header import RunHeader
from bench.model.summaries import CellSummary, RunSummary
from tests.analysis.simulated import Spread, a_run_summary, cells_of
from tests.builders import a_cell, a_header

CELLS = cells_of()
SOME = [CELLS[i].id for i in (2, 3, 9, 17)]
SECOND = [cell.id for cell in CELLS if cell.id.startswith("c1")]


def by(factor: float, cells: Sequence[str] = SOME) -> dict[str, float]:
    return dict.fromkeys(cells, factor)


def rows(result: Comparison) -> dict[str, Row]:
    return {row.cell.id: row for row in result.rows}


def verdicts(result: Comparison) -> dict[str, Verdict]:
    return {row.cell.id: row.verdict for row in result.rows}


def shift(result: Comparison, figure: str = "ns_per_frame", scope: str = "") -> Shift:
    (found,) = [s for s in result.shifts if (s.figure, s.scope) == (figure, scope)]
    return found


def runs(number: int, generator: random.Random) -> list[RunSummary]:
    return [a_run_summary(generator) for _ in range(number)]


# A cell beyond the shift


def test_one_pair_of_runs_says_that_nothing_changed() -> None:
    told = []
    for seed in range(20):
        generator = random.Random(seed)
        result = compare(runs(1, generator), runs(1, generator), [], {})
        told += verdicts(result).values()
    assert told.count(Verdict.UNCHANGED) >= 0.98 * len(told)
    assert Verdict.REGRESSED not in told


def test_three_percent_of_some_cells_are_told_from_one_pair() -> None:
    told: list[Verdict] = []
    others: list[Verdict] = []
    for seed in range(20):
        generator = random.Random(seed)
        slower = a_run_summary(generator, factors=by(1.03))
        found = verdicts(compare(runs(1, generator), [slower], [], {}))
        told += (found[cell] for cell in SOME)
        others += (verdict for cell, verdict in found.items() if cell not in SOME)
    assert told.count(Verdict.REGRESSED) >= 0.9 * len(told)
    assert not {Verdict.REGRESSED, Verdict.IMPROVED} & {*others}


def test_a_faster_cell_has_improved() -> None:
    generator = random.Random(1)
    faster = a_run_summary(generator, factors=by(0.9))
    found = compare(runs(1, generator), [faster], [], {})
    assert {verdicts(found)[cell] for cell in SOME} == {Verdict.IMPROVED}


def test_the_minimum_effect_is_the_cells_own() -> None:
    generator = random.Random(1)
    a, slower = runs(1, generator), a_run_summary(generator, factors=by(1.05))
    assert verdicts(compare(a, [slower], [], {}))[SOME[0]] is Verdict.REGRESSED
    tolerant = verdicts(compare(a, [slower], [], {SOME[0]: 0.10}))
    assert tolerant[SOME[0]] is Verdict.UNCHANGED
    assert tolerant[SOME[1]] is Verdict.REGRESSED


def test_a_cells_change_is_no_shift_and_a_shift_is_no_cells_change() -> None:
    generator = random.Random(2)
    history = runs(5, generator)
    result = compare(runs(1, generator), [a_run_summary(generator, factors=by(1.2))], history, {})
    assert abs(shift(result).change.value) < 0.03
    slow = a_run_summary(generator, all_by=1.2)
    result = compare(runs(1, generator), [slow], history, {})
    assert {*verdicts(result).values()} == {Verdict.UNCHANGED}
    assert shift(result).verdict is Verdict.REGRESSED
    assert shift(result).change.value == pytest.approx(0.2, abs=0.05)


def test_what_an_interface_did_is_told_as_that_from_one_pair() -> None:
    generator = random.Random(3)
    slow = a_run_summary(generator, factors=by(1.05, SECOND))
    result = compare(runs(1, generator), [slow], [], {})
    assert {*verdicts(result).values()} == {Verdict.UNCHANGED}
    place = key_of({"kind": "if1"})
    assert shift(result, scope=place).verdict is Verdict.REGRESSED
    assert shift(result, scope=place).change.value == pytest.approx(0.05, abs=0.02)


# A shift


def test_without_a_history_a_shift_is_inconclusive_and_says_how_many_runs_it_wants() -> None:
    generator = random.Random(4)
    result = compare(runs(1, generator), [a_run_summary(generator, all_by=1.3)], [], {})
    found = shift(result)
    assert (found.verdict, found.assumed) == (Verdict.INCONCLUSIVE, True)
    assert found.more_runs is not None
    assert found.more_runs >= 2


def test_five_nights_tell_five_percent_of_all_cells() -> None:
    told = 0
    for seed in range(20):
        generator = random.Random(seed)
        result = compare(runs(5, generator), [a_run_summary(generator, all_by=1.05)], [], {})
        told += shift(result).verdict is Verdict.REGRESSED
        assert Verdict.REGRESSED not in verdicts(result).values()
    assert told >= 15  # nine of ten in the long run


def test_a_shift_below_the_minimum_effect_is_no_regression_however_far_its_interval_goes() -> None:
    told = []
    for seed in range(20):
        generator = random.Random(seed)
        b = [a_run_summary(generator, all_by=1.02) for _ in range(4)]
        result = compare(runs(5, generator), b, [], {}, default=0.03)
        told.append(shift(result))
        assert all(of.verdict is not Verdict.REGRESSED for of in told if of.change.value < 0.03)
    assert any(of.change.low > 0 and of.change.high >= 0.03 > of.change.value for of in told)


def test_a_shift_that_runs_make_by_themselves_is_not_told() -> None:
    """Runs stray by 5 % from each other, and so did this one."""
    generator, told = random.Random(15), []
    wild = Spread(shift=0.05)
    for _ in range(20):
        a, *history, b = (a_run_summary(generator, spread=wild) for _ in range(8))
        told.append(shift(compare([a], [b], history, {})))
    assert max(abs(of.change.value) for of in told) > 0.05
    assert sum(of.verdict is not Verdict.INCONCLUSIVE for of in told) <= 2  # one on average


def test_an_assumed_shift_strays_on_both_sides() -> None:
    generator = random.Random(16)
    change = shift(compare(runs(1, generator), runs(1, generator), [], {})).change
    reach = math.log((1 + change.high) / (1 + change.low)) / 2
    students = 2.776  # of ASSUMED_FREEDOM
    assert reach == pytest.approx(students * ASSUMED_SHIFT * math.sqrt(2), rel=1e-3)


def test_an_interface_that_strays_from_opening_to_opening_is_not_told() -> None:
    told = []
    for seed in range(20):
        generator = random.Random(seed)
        wild = Spread(opening_interface=0.03)
        a, b = (a_run_summary(generator, spread=wild) for _ in range(2))
        shifts = compare([a], [b], [], {}).shifts
        told += [of for of in shifts if of.scope and of.figure == "ns_per_frame"]
    assert max(abs(of.change.value) for of in told) > 0.03
    assert sum(of.verdict is Verdict.REGRESSED for of in told) <= 2


def test_runs_that_there_are_need_not_be_made() -> None:
    more = [compared._runs_to_tell(0.02, 0.03, now) for now in range(1, 8)]
    least = more[0]
    assert least is not None
    assert more == [max(1, least - made) for made in range(7)]
    assert compared._runs_to_tell(0.5, 0.03, 1) is None


def test_the_interval_of_a_cell_is_as_wide_as_its_change_strays() -> None:
    """Of one pair of runs: nothing shows it but their openings."""
    changes = [
        row.changes["ns_per_frame"]
        for seed in range(20)
        for generator in [random.Random(seed)]
        for row in compare(runs(1, generator), runs(1, generator), [], {}).rows
    ]
    strays = statistics.pstdev(change.value for change in changes)
    reach = statistics.fmean((change.high - change.low) / 2 for change in changes)
    assert 0.9 < reach / (1.96 * strays) < 1.3


def test_a_shift_that_the_calibration_had_too_night_after_night_is_the_machines() -> None:
    """It is taken off as far as the history shows that cells follow the calibration."""
    generator = random.Random(5)
    machine = (a_cell("machine", interface=None),)
    speeds = [1.0, 1.1, 0.95, 1.06, 0.9, 1.03]
    history = [a_run_summary(generator, calibration=machine, all_by=by) for by in speeds]
    a, b = history[0], a_run_summary(generator, calibration=machine, all_by=1.2)
    found = shift(compare([a], [b], history[1:], {}))
    assert abs(found.change.value) < 0.05
    assert found.verdict is not Verdict.REGRESSED


def test_two_runs_in_a_row_do_not_show_that_cells_outrun_a_machine_that_was_faster_too() -> None:
    """They agree by chance, and nothing shows how far cells follow the calibration."""
    machine = (a_cell("machine", interface=None),)
    for seed in range(20):
        generator = random.Random(seed)
        a = a_run_summary(generator, calibration=machine)
        b = [a_run_summary(generator, calibration=machine, all_by=1 / 1.48) for _ in range(2)]
        assert shift(compare([a], b, [], {})).verdict is Verdict.INCONCLUSIVE


# What is no evidence


def test_the_pps_of_a_starved_cell_is_no_evidence_and_the_row_says_so() -> None:
    generator = random.Random(6)
    starved = {SOME[0]: {"starved": 0}}
    b = a_run_summary(generator, notes=starved, factors=by(1.0))
    found = rows(compare(runs(1, generator), [b], [], {}))
    assert found[SOME[0]].verdict is Verdict.INCONCLUSIVE
    assert found[SOME[0]].reasons == ("pps is no evidence: starved in B",)
    assert found[SOME[0]].more_openings == 0
    assert found[SOME[1]].verdict is Verdict.UNCHANGED


def test_the_ns_per_frame_of_a_starved_cell_stands() -> None:
    generator = random.Random(6)
    starved = {SOME[0]: {"starved": 0}}
    b = a_run_summary(generator, notes=starved, factors=by(1.2))
    assert rows(compare(runs(1, generator), [b], [], {}))[SOME[0]].verdict is Verdict.REGRESSED


@pytest.mark.parametrize(("count", "is_evidence"), [(5, True), (40, False)])
def test_many_invalid_samples_make_a_pps_no_evidence(count: int, is_evidence: bool) -> None:
    generator = random.Random(6)
    b = a_run_summary(generator, notes={SOME[0]: {"invalid": count}})
    row = rows(compare(runs(1, generator), [b], [], {}))[SOME[0]]
    assert (row.verdict is Verdict.UNCHANGED) is is_evidence


def test_why_samples_are_invalid_is_told_with_the_verdict() -> None:
    generator = random.Random(6)
    notes = {"invalid": 40, "invalid:too_many": 40}
    b = a_run_summary(generator, notes={SOME[0]: notes})
    (reason,) = rows(compare(runs(1, generator), [b], [], {}))[SOME[0]].reasons
    told = "invalid (more frames than the shaper lets pass) in B"
    assert reason == f"pps is no evidence: {told}"


def test_a_cell_that_is_missing_is_told_with_its_failure() -> None:
    generator = random.Random(6)
    b = a_run_summary(generator)
    kept = {cell: of for cell, of in b.summaries.items() if cell != SOME[0]}
    b = replace(b, summaries=kept, failures={SOME[0]: "no valid sample: 3 foreign frames"})
    row = rows(compare(runs(1, generator), [b], [], {}))[SOME[0]]
    assert row.verdict is Verdict.MISSING
    assert row.reasons == ("failed in B: no valid sample: 3 foreign frames",)


@pytest.mark.parametrize("all_by", [1.0, 1.4])
def test_a_few_cells_of_single_runs_carry_no_verdict(all_by: float) -> None:
    """Nothing shows how far they stray: an assumption carries no verdict, whatever the figures."""
    generator, few = random.Random(7), cells_of(1, 3)
    a, b = a_run_summary(generator, few), a_run_summary(generator, few, all_by=all_by)
    result = compare([a], [b], [], {})
    assert {*verdicts(result).values()} == {Verdict.INCONCLUSIVE}
    assert result.rows[0].reasons == (NOTHING_SHOWS,)
    assert result.shifts == ()


def test_a_few_cells_with_a_history_have_verdicts() -> None:
    generator, few = random.Random(8), cells_of(1, 3)
    history = [a_run_summary(generator, few) for _ in range(8)]
    b = a_run_summary(generator, few, all_by=1.2)
    assert {*verdicts(compare(history, [b], [], {})).values()} == {Verdict.REGRESSED}


def test_a_run_of_one_opening_is_judged_by_how_far_its_cells_stray() -> None:
    generator = random.Random(9)
    a, b = (
        a_run_summary(generator, openings=1, rounds=100, factors=f) for f in ({}, by(1.2, SOME[:2]))
    )
    found = verdicts(compare([a], [b], [], {}))
    assert {found[cell] for cell in SOME[:2]} == {Verdict.REGRESSED}
    assert Verdict.REGRESSED not in {v for cell, v in found.items() if cell not in SOME[:2]}


def test_too_few_rounds_are_inconclusive_and_counted() -> None:
    generator = random.Random(10)
    b = a_run_summary(generator, openings=3, rounds=6)
    result = compare(runs(1, generator), [b], [], {})
    assert {*verdicts(result).values()} == {Verdict.INCONCLUSIVE}
    assert result.rows[0].reasons == ("valid rounds: 18 in B; 20 are the least",)


def test_an_inconclusive_cell_says_how_many_openings_would_tell() -> None:
    generator = random.Random(11)
    a, b = (a_run_summary(generator, openings=2, rounds=50) for _ in range(2))
    result = compare([a], [b], [], {}, default=0.004)
    unsure = [row for row in result.rows if row.verdict is Verdict.INCONCLUSIVE]
    assert {row.reasons for row in unsure} == {(TOO_WIDE,)}
    assert all(row.more_openings > 5 for row in unsure)


@pytest.mark.parametrize("openings", [0, 1])
def test_runs_without_a_comparable_round_have_no_verdict(openings: int) -> None:
    generator = random.Random(14)
    a, b = (a_run_summary(generator, openings=openings, rounds=3) for _ in range(2))
    found = {*verdicts(compare([a], [b], [], {})).values()}
    assert found == {Verdict.INCONCLUSIVE if openings else Verdict.MISSING}


# Rows


def test_cells_of_one_side_only_are_missing_or_new_and_the_worst_come_first() -> None:
    generator = random.Random(12)
    a, b = runs(2, generator), [a_run_summary(generator, factors=by(1.2, SOME[:1]))]
    gone = SOME[1]
    without = [replace(r, summaries=_without(r.summaries, gone)) for r in b]
    first, second, *_ = compare(a, without, [], {}).rows
    assert (first.cell.id, first.verdict) == (SOME[0], Verdict.REGRESSED)
    assert (second.cell.id, second.verdict) == (gone, Verdict.MISSING)
    assert verdicts(compare(without, a, [], {}))[gone] is Verdict.NEW


def _without(cells: Mapping[str, CellSummary], gone: str) -> dict[str, CellSummary]:
    return {cell: of for cell, of in cells.items() if cell != gone}


def test_the_ratio_to_the_baseline_is_shown_and_carries_no_verdict() -> None:
    generator = random.Random(13)
    a, b = runs(1, generator)[0], runs(1, generator)[0]
    b = replace(b, summaries={c: replace(s, openings=tuple(replace(o, ratio=o.ratio and o.ratio * 2)
                for o in s.openings)) for c, s in b.summaries.items()})  # fmt: skip
    result = compare([a], [b], [], {})
    ratio = result.rows[0].ratio
    assert ratio is not None
    assert ratio.value > 0.8
    assert {*verdicts(result).values()} == {Verdict.UNCHANGED}


# Environments


HEADER = {"host": {"cpu": "x", "kernel": "6.1"}, "core": {"hash": "h"}}


def a_side(**header: object) -> RunHeader:
    return a_header(**{**HEADER, **header})


def test_environments_are_compared_first() -> None:
    a, b = a_side(), a_side(host={"cpu": "y", "kernel": "6.2"})
    (found, kernel) = environments.differences([a], [b])
    assert (found.what, found.a, found.b, found.incomparable) == ("host cpu", "x", "y", True)
    assert (kernel.what, kernel.incomparable) == ("host kernel", False)
    assert not environments.is_alike(a, b)
    assert environments.differences([a], [a]) == ()


def test_runs_with_other_privileges_are_compared_and_it_is_said() -> None:
    as_root, as_user = (a_side(measure={"privileges": how}) for how in ("root", "user namespace"))
    (found,) = environments.differences([as_root], [as_user])
    assert found == environments.Difference("measure privileges", "root", "user namespace", False)
    assert not environments.is_alike(as_root, as_user)


def test_a_history_goes_on_with_another_kernel_and_marks_it_and_ends_with_another_cpu() -> None:
    a, kernel = a_side(), a_side(host={"cpu": "x", "kernel": "6.2"})
    cpu = a_side(host={"cpu": "y", "kernel": "6.1"})
    assert environments.marked(a, a) == ()
    assert environments.continues(a, a)
    (found,) = environments.marked(a, kernel)
    assert found == environments.Difference("host kernel", "6.1", "6.2", False)
    assert environments.continues(a, kernel)
    assert [of.what for of in environments.marked(a, cpu)] == ["host cpu"]
    assert not environments.continues(a, cpu)


def test_a_device_that_is_not_as_it_was_is_told_fact_by_fact() -> None:
    facts = {"driver": "igb", "rings": {"tx": 256}, "features": ["tx-checksum-ipv4"]}
    a = a_side(devices={"eth1": facts})
    b = a_side(devices={"eth1": facts | {"rings": {"tx": 512}}})
    (found,) = environments.differences([a], [b])
    assert (found.what, found.a, found.b) == ("device eth1 rings", '{"tx": 256}', '{"tx": 512}')
    assert not found.incomparable
    assert environments.differences([a], [a]) == ()
    assert len(environments.differences([a], [a_side()])) == len(facts)


def test_a_program_that_has_changed_is_told_by_its_name() -> None:
    a, b = (a_side(programs={"mine": digest}) for digest in ("aa", "bb"))
    found = environments.Difference("program mine", "aa", "bb", incomparable=False)
    assert environments.differences([a], [b]) == (found,)
    assert environments.differences([a], [a]) == ()
