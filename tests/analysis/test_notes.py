"""Notes of a row: when one is due, and that its text has the limit that decided."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from bench.analysis.figures import MIN_SHARE
from bench.analysis.notes import FEW_TICKS, STOLEN, TICK_NS, notes_of
from bench.model.results import Averages, CellResult, Estimate, Figures, Tally
from tests.builders import a_cell, a_sample

MIB = 2**20
ROW = CellResult(a_cell("a"), figures=Figures(pps=Estimate(100.0, 99.5, 100.5, 400)))


def told(row: CellResult = ROW, precision: float = 0.01, **of_sample: Any) -> dict[str, str]:
    samples = [a_sample("a", at, **of_sample) for at in range(20)]
    return {note.code: note.text for note in notes_of(row, samples, {}, precision, 1)}


def percent(text: str) -> float:
    """The one in a text."""
    (found,) = re.findall(r"([\d.]+) %", text)
    return float(found)


def test_a_calm_row_has_none() -> None:
    assert told() == {}


@pytest.mark.parametrize(
    ("share", "is_starved"), [(1.0, False), (MIN_SHARE, False), (0.5, True), (None, False)]
)
def test_a_starved_sender_got_less_than_its_share(share: float | None, is_starved: bool) -> None:
    found = told(replace(ROW, averages=Averages(cpu_share=share)))
    assert ("starved" in found) == is_starved
    if is_starved:
        assert percent(found["starved"]) == pytest.approx(100 * MIN_SHARE)


@pytest.mark.parametrize(
    ("share", "ticks", "is_stolen"),
    [(2 * STOLEN, FEW_TICKS, True), (STOLEN / 2, FEW_TICKS, False), (2 * STOLEN, 0, False)],
)
def test_a_hypervisor_that_took_the_cpu_is_named(share: float, ticks: int, is_stolen: bool) -> None:
    row = replace(ROW, averages=Averages(steal_share=share))
    found = told(row, steal_ns=ticks * TICK_NS)
    assert ("stolen" in found) == is_stolen
    if is_stolen:
        assert percent(found["stolen"]) == pytest.approx(100 * STOLEN)


def test_an_interval_wider_than_was_asked_for_is_imprecise() -> None:
    assert told(precision=0.01) == {}
    assert percent(told(precision=0.002)["imprecise"].replace("95 %", "")) == 0.2
    assert told(replace(ROW, is_baseline=True), precision=0.002) == {}


@pytest.mark.parametrize("rounds", [1, 10_000])
def test_a_figure_without_an_interval_says_why(rounds: int) -> None:
    row = replace(ROW, figures=Figures(pps=Estimate(100.0, None, None, rounds)))
    assert ("fewer than" in told(row)["imprecise"]) == (rounds == 1)


@pytest.mark.parametrize(
    ("asked", "had", "said"),
    [
        ({"bytes": MIB}, MIB, None),
        ({"bytes": MIB}, 2 * MIB, "the kernel gives no less"),
        ({"bytes": 2 * MIB}, MIB, "needs force: true"),
        ({"bytes": 2 * MIB, "force": True}, MIB, "the kernel gives no more"),
        ("default", MIB, None),
        ({"bytes": MIB}, 0, None),
    ],
)
def test_another_send_buffer_than_the_label_says_is_told(
    asked: Any, had: int, said: str | None
) -> None:
    found = told(replace(ROW, cell=a_cell("a", sndbuf=asked), sndbuf_bytes=2 * had))
    assert [code for code in found] == ([] if said is None else ["clamped"])
    if said is not None:
        assert said in found["clamped"]
        assert found["clamped"].startswith(f"its sndbuf was {had // MIB}MiB")


def test_what_happened_in_samples_is_told() -> None:
    assert [*told(lost=1)] == ["lossy"]
    assert [*told(foreign=1)] == ["shared"]
    assert told(carrier_lost="s1")["failover"].startswith("s1 lost its carrier")
    counted = notes_of(replace(ROW, tally=Tally(disturbed=3, moved=2)), [], {}, 0.01, 1)
    assert {note.code: note.count for note in counted} == {"disturbed": 3, "moved": 2}
    assert [note.code for note in notes_of(ROW, [], {"mmap_unlocked": True}, 0.01, 1)] == [
        "unlocked"
    ]
