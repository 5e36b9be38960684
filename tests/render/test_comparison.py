"""A comparison as people read it: whose runs, what cells did in common, what would settle it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.analysis.verdicts import (
    MOST_MORE,
    TOO_WIDE,
    Change,
    Comparison,
    Row,
    Shift,
    Verdict,
    interface_of,
)
from bench.campaign.sides import Compared
from bench.model.header import CoreBuild, Diagnosis, HostFacts, Side
from bench.model.summaries import RunSummary
from bench.render import changes, comparison, comparisons, sides
from bench.render.comparison import side_fact
from tests.builders import a_cell, a_header

CELL = a_cell("a", interface="lo")


def a_summary(name: str, doctor: str = "", host: str = "here") -> RunSummary:
    header = replace(
        a_header(),
        host=HostFacts(hostname=host, kernel="6.18.2"),
        core=CoreBuild(hash="0123456789abcdef"),
        doctor=Diagnosis(verdict=doctor),
    )
    return RunSummary(f"r/{name}.jsonl", header, (CELL,), (), {}, {}, "done")


def a_result(rows: Sequence[Row] = (), shifts: Sequence[Shift] = (), **more: Any) -> Comparison:
    usual = {"runs_a": 1, "runs_b": 1, "history": 0, "openings": 2, "calibration": None}
    return Comparison(tuple(rows), tuple(shifts), **{**usual, **more})


def a_shift(verdict: Verdict, value: float = 0.05, **more: Any) -> Shift:
    change = Change(value, value - 0.01, value + 0.01, 0.01)
    return Shift("", "ns_per_frame", change, verdict, **{"assumed": False, **more})


def test_a_side_of_one_run_has_its_name_and_one_of_several_the_first_and_the_last() -> None:
    alone = side_fact("A", [a_summary("one")])
    assert alone.text == "m, run one, on here, kernel 6.18.2, core 0123456789ab"
    several = side_fact("A", [a_summary(name) for name in ("two", "one", "three")])
    assert "3 runs, one to two, on here" in several.text
    others = side_fact("A", [a_summary("one"), a_summary("two", host="there")])
    assert "on here or there" in others.text


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ((), ""),
        (("fit",), "fit"),
        (("fit", "fit"), "fit"),
        (("fit", "unfit"), "doctor: 2 verdicts"),
    ],
)
def test_the_doctor_is_quoted_where_runs_agree_on_it(verdicts: Sequence[str], said: str) -> None:
    side = [a_summary(f"r{at}", verdict) for at, verdict in enumerate(verdicts or [""])]
    assert side_fact("A", side).text.endswith(f"core 0123456789ab{said and ', ' + said}")


def test_a_shift_is_a_sentence_and_only_a_regression_is_bad() -> None:
    for verdict in (Verdict.REGRESSED, Verdict.IMPROVED, Verdict.UNCHANGED):
        (item,) = comparison.shift_items(a_result(shifts=[a_shift(verdict)]))
        assert item.names == ("all cells",)
        assert item.text == f"ns/frame +5.0% [+4.0%, +6.0%]: {verdict.value}"
        assert (item.severity == "bad") == (verdict is Verdict.REGRESSED)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, ""),
        ({"more_runs": 1}, " (1 more run of each side would tell it)"),
        ({"more_runs": 4}, " (4 more runs of each side would tell it)"),
        ({"assumed": True}, " (no runs show how far such a shift strays, so it is assumed)"),
    ],
)
def test_an_inconclusive_shift_says_what_would_settle_it(more: dict[str, Any], said: str) -> None:
    result = a_result(shifts=[a_shift(Verdict.INCONCLUSIVE, **more)])
    (item,) = comparison.shift_items(result)
    assert item.text == f"ns/frame +5.0% [+4.0%, +6.0%]: inconclusive{said}"


def test_an_interface_has_a_line_of_its_own_shift() -> None:
    """Of those that went with the others it is not said."""
    cells = [a_cell(kind, interface={"kind": kind}) for kind in ("lo", "veth", "ifb")]
    scopes = [interface_of(cell) for cell in cells]
    shifts = [
        a_shift(Verdict.UNCHANGED, 0.01),
        replace(a_shift(Verdict.REGRESSED, 0.05), scope=scopes[0]),
        replace(a_shift(Verdict.IMPROVED, -0.07), scope=scopes[1]),
        replace(a_shift(Verdict.UNCHANGED, 0.02), scope=scopes[2]),
    ]
    rows = [Row(cell, Verdict.UNCHANGED, {}, 0.03) for cell in cells]
    found = changes.shift_texts(a_result(rows, shifts))
    assert [(text.name, text.changes) for text in found] == [
        ("all cells", "ns/frame +1.0% [+0.0%, +2.0%]"),
        ("lo, beyond the others", "ns/frame +5.0% [+4.0%, +6.0%]"),
        ("veth, beyond the others", "ns/frame -7.0% [-8.0%, -6.0%]"),
    ]


@pytest.mark.parametrize(
    ("openings", "said"),
    [
        (1, "1 more opening"),
        (7, "7 more openings"),
        (MOST_MORE, f"{MOST_MORE} more openings or more"),
    ],
)
def test_too_wide_an_interval_says_how_many_openings_would_tell(openings: int, said: str) -> None:
    row = Row(CELL, Verdict.INCONCLUSIVE, {}, 0.03, reasons=(TOO_WIDE,), more_openings=openings)
    (reason,) = comparison.reasons_of([row])
    assert reason == f"1 inconclusive cell: {TOO_WIDE}; {said} of each run would tell"


def test_what_the_calibration_cells_did_is_said_from_a_percent_on() -> None:
    for change, said in ((None, False), (0.002, False), (-0.03, True), (0.03, True)):
        result = a_result([Row(CELL, Verdict.UNCHANGED, {}, 0.03)], calibration=change)
        compared = Compared("B", (a_summary("a"),), (a_summary("b"),), result, ())
        *_, basis, summary = comparison.notes_of(compared, result.rows)
        assert ("calibration" in basis) == said
        assert summary == "1 cells: 1 unchanged"


def test_records_of_several_sides_bear_a_name() -> None:
    result = a_result([Row(CELL, Verdict.UNCHANGED, {}, 0.03)])
    sides = [
        Compared(name, (a_summary("a"),), (a_summary(name),), result, ()) for name in ("B", "C")
    ]
    document = comparisons.document_of(sides)
    assert [row["side"] for row in document.records.rows] == ["B", "C"]


# Two sides of one run


@pytest.mark.parametrize(
    ("openings", "said"), [(0, "0 openings"), (1, "1 opening"), (5, "5 openings")]
)
def test_a_run_of_two_sides_says_from_how_many_openings_it_is(openings: int, said: str) -> None:
    assert sides._openings(a_result(openings=openings)) == f"{said} of each side"


def test_a_side_has_what_the_other_has_not() -> None:
    side = Side("A", "0123456789abcdef", "/there", {"net.core.wmem_max": "1"}, {"burst": 64})
    told = ["core 0123456789ab of /there", "sysctl net.core.wmem_max=1", "burst 64"]
    assert [*sides._told(side)] == told
    assert next(sides._told(replace(side, checkout=""))) == "core 0123456789ab"


def test_the_commonest_reasons_are_told_and_the_others_counted() -> None:
    counts = Counter({"a": 4, "b": 3, "c": 2, "d": 1, "e": 1})
    *first, others = sides._reasons(counts)
    assert first == ["4 cells: a", "3 cells: b", "2 cells: c"]
    assert others == "and 2 other reasons, which csv and json have"
    del counts["d"], counts["e"]
    assert [*sides._reasons(counts)] == first
    assert [*sides._reasons(Counter(a=1))] == ["1 cell: a"]
