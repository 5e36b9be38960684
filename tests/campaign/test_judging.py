"""What tonight says of shifts, said once."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from bench.analysis.nightly import Decision, Finding
from bench.campaign.judging import ALL, Judged, condensed

NIGHT = datetime(2026, 11, 28, 3, tzinfo=UTC)


def shift(series: str, change: float) -> Judged:
    """Of no change it is steady."""
    finding = Finding.REGRESSED if change else Finding.STEADY
    decision = Decision(finding, change, change, change, 0.0, 20, stands_out=bool(change))
    return Judged(series, None, "ns_per_frame", decision, NIGHT, None)


@pytest.mark.parametrize(
    ("all_", "ifb", "veth", "told"),
    [
        (0.1, 0.1, 0.1, {ALL}),
        (0.1, 0.1, 0.0, {"ifb"}),
        (0.1, 0.1, -0.1, {"ifb", "veth"}),
        (0.0, 0.1, 0.0, {"ifb"}),
        (0.1, 0.0, 0.0, {ALL}),  # no interface is certain by itself
        (0.0, 0.0, 0.0, set()),
    ],
)
def test_a_shift_is_told_once(all_: float, ifb: float, veth: float, told: set[str]) -> None:
    judged = [shift(ALL, all_), shift("ifb", ifb), shift("veth", veth)]
    for order in itertools.permutations(judged):
        said = [of.series for of in condensed(order) if of.decision.stands_out]
        assert sorted(said) == sorted(told)


def test_without_interfaces_of_several_cells_there_is_the_shift_of_all() -> None:
    assert condensed([shift(ALL, 0.1)]) == [shift(ALL, 0.1)]
