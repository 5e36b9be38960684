"""What a night says, of outcomes whose every part is known: literal text, and rows for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.analysis.nightly import Decision, Finding
from bench.campaign.judging import ALL, Judged
from bench.campaign.nightly import Outcome
from bench.campaign.task import Task
from bench.campaign.told import Told
from bench.matrix import load
from bench.plan import plan
from bench.render import FORMATS, nightly
from bench.render.document import Document
from bench.render.screen import Screen
from tests.vocabulary import WORDS

TONIGHT = datetime(2026, 1, 9, 3, tzinfo=UTC)
LOADED = load.parse(
    json.dumps(
        {
            "name": "m",
            "axes": {"method": ["sendto", "sendmmsg"], "burst": [1, 64], "replica": [1, 2]},
        }
    ),
    "m.yaml",
    WORDS,
)
TASK = Task(LOADED, plan.make_plan(LOADED, WORDS), Path("results"))
CELLS = {
    (cell.method, cell.values["burst"]): cell
    for cell in TASK.plan.cells
    if cell.values["replica"] == 1
}
SENDTO, LARGE = CELLS["sendto", None], CELLS["sendmmsg", 64]


def judged(finding: Finding, of: Any = LARGE, change: float = -0.04, **more: Any) -> Judged:
    """``of`` is a cell, or the name of a shift."""
    decision = Decision(finding, change, change - 0.01, change + 0.01, 1e-9, 20, stands_out=True)
    is_shift = isinstance(of, str)
    some: dict[str, Any] = {
        "series": of if is_shift else of.id,
        "cell": None if is_shift else of,
        "figure": "pps",
        "decision": decision,
        "since": TONIGHT,
        "level": None,
    }
    return Judged(**(some | more))


def a_night(*of: Judged, **fields: Any) -> Outcome:
    told = Told(run="20260109.jsonl", started=TONIGHT, ended=True, cells=6, nights=20)
    return Outcome(TASK, fields.pop("told", told), judged=of, **fields)


def text_of(outcome: Outcome) -> str:
    document = nightly.document_of([outcome])
    return FORMATS["terminal"](replace(document, name="", notes=()), Screen(200))


def lines_of(outcome: Outcome) -> list[str]:
    """Without the heading; a line's words without the spaces that align them."""
    return [" ".join(line.split()) for line in text_of(outcome).splitlines()[1:]]


def rows_of(document: Document) -> Any:
    return json.loads(FORMATS["json"](document, Screen()))


def test_a_line_says_what_changed_by_how_much_and_what_to_do() -> None:
    shown, long_ago = f"c{LARGE.id}", TONIGHT - timedelta(days=2)
    (line,) = lines_of(a_night(judged(Finding.REGRESSED, since=long_ago)))
    assert line == (
        f"{shown} (method sendmmsg, burst 64) regressed: pps -4.0% [-5.0%, -3.0%] against 20 "
        "nights, since 2026-01-07; two sessions agree; if it is known: "
        f"bench ack {shown} --why TEXT"
    )
    (line,) = lines_of(a_night(judged(Finding.SUSPECT)))
    assert line.endswith("against 20 nights; not measured again; another session must agree")


def test_a_cell_is_named_by_what_it_has_of_the_axes_that_vary() -> None:
    """A method that does not read an axis has nothing of it, and a replica is no axis."""
    (line,) = lines_of(a_night(judged(Finding.SUSPECT, SENDTO)))
    assert line.startswith(f"c{SENDTO.id} (method sendto) suspect")


def test_the_worst_comes_first_and_heads_the_rest() -> None:
    night = a_night(
        judged(Finding.IMPROVED, SENDTO, 0.05),
        judged(Finding.STEADY, CELLS["sendmmsg", 1]),
        judged(Finding.REGRESSED),
    )
    assert text_of(night).startswith("m: regressed\n")
    assert [line.split(")")[1].split(":")[0].strip() for line in lines_of(night)] == [
        "regressed",
        "improved",
    ]
    assert text_of(a_night(judged(Finding.STEADY))).startswith("m: nothing changed")


def test_beside_a_shift_a_cell_changed_beyond_it_and_the_calibrations_part_is_told() -> None:
    of_all = judged(Finding.SUSPECT, ALL, -0.05, explained=-0.02)
    first, second = lines_of(a_night(of_all, judged(Finding.SUSPECT, change=0.3)))
    assert first.startswith("all cells suspect: pps -5.0%")
    assert "against 20 nights, without -2.0% that the calibration cells share;" in first
    assert "[+29.0%, +31.0%] beyond its interface against" in second
    assert "without" not in second


def test_a_second_measurement_that_is_no_evidence_says_why() -> None:
    doubtful = judged(Finding.SUSPECT, doubts=("starved", "invalid"))
    (line,) = lines_of(a_night(doubtful))
    assert line.endswith(
        "measured again, but starved and invalid there: that is no evidence; another session must "
        "agree"
    )
    rows = rows_of(nightly.document_of([a_night(doubtful, judged(Finding.STEADY, SENDTO))]))
    assert [row["doubts"] for row in rows["cells"]] == ["starved invalid", None]


def test_what_else_must_be_known_has_lines_of_its_own() -> None:
    night = a_night(
        missing={SENDTO.id: "the worker died"},
        marks=("kernel 6.1 -> 6.12",),
        remarks=("the disk is full",),
        notes={SENDTO.id: ("starved", "3 invalid"), LARGE.id: ("starved",)},
    )
    assert lines_of(night) == [
        f"c{SENDTO.id} (method sendto) no figures: the worker died",
        "mark kernel 6.1 -> 6.12",
        "note cells with notes: starved 2, invalid 1",
        "note the disk is full",
    ]
    assert lines_of(a_night(judged(Finding.STEADY))) == []


def test_the_summary_says_how_much_was_compared() -> None:
    one = Told(run="r.jsonl", started=TONIGHT, cells=1, nights=1)
    assert nightly.summary(a_night()) == "m: 6 cells compared with 20 nights"
    assert nightly.summary(a_night(told=one)) == "m: 1 cell compared with 1 night"
    assert nightly.summary(a_night(plain=2)).endswith("20 nights, 2 plain bench runs among them")
    failed = a_night(told=replace(one, failed="no room"))
    assert nightly.summary(failed) == "m: 0 cells compared: the night failed: no room"
    assert text_of(failed).startswith("m: failed")
    stopped = a_night(is_interrupted=True)
    assert nightly.summary(stopped) == "m: 0 cells compared: interrupted; the next call goes on"
    assert text_of(stopped).startswith("m: interrupted")
    assert text_of(a_night(told=replace(one, cells=0))).startswith("m: too few nights")


def test_programs_have_every_series_with_its_figures() -> None:
    unknown = judged(Finding.UNKNOWN, SENDTO)
    unknown = replace(unknown, decision=replace(unknown.decision, stands_out=False))
    night = a_night(judged(Finding.REGRESSED), unknown, notes={LARGE.id: ("lossy",)})
    known, nothing = rows_of(nightly.document_of([night]))["cells"]
    assert (known["series"], known["finding"]) == (f"c{LARGE.id}", "regressed")
    assert (known["change"], known["low"], known["high"]) == (-0.04, -0.05, -0.03)
    assert (known["since"], known["notes"]) == (TONIGHT.isoformat(), ["lossy"])
    assert known["axes"]["burst"] == 64
    assert (nothing["finding"], nothing["change"], nothing["p"]) == ("unknown", None, None)
    assert (nothing["since"], nothing["notes"]) == (None, [])
