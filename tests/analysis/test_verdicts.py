"""Verdicts: which changes are told, which are not, and how environments differ."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bench.analysis import environments
from bench.analysis.verdicts import CellFigures, RunFigures, Verdict, compare
from bench.render import FORMATS
from bench.render import comparison as render
from bench.render.screen import Screen
from tests.builders import a_header
from tests.run_files import CELLS, HEADER


def run(generator: random.Random, spread: float = 0.01, **factors: float) -> RunFigures:
    """A run in which every cell does 1 Mpps at 1000 ns, but for noise and these factors."""
    figures = {}
    for name in CELLS:
        cost = 1000 * factors.get(name, 1.0) * (1 + generator.gauss(0, spread))
        figures[name] = CellFigures(pps=1e9 / cost, ns_per_frame=cost, rounds=100)
    return RunFigures("r", a_header(**HEADER), CELLS, figures)


def verdicts(
    a: Sequence[RunFigures],
    b: Sequence[RunFigures],
    history: Sequence[RunFigures] = (),
    **how: float,
) -> dict[str, Verdict]:
    result = compare(a, b, history, {}, **how)  # type: ignore[arg-type]
    return {row.cell.id: row.verdict for row in result.rows}


def some(number: int, seed: int = 1, spread: float = 0.01, **factors: float) -> list[RunFigures]:
    generator = random.Random(f"{seed}")
    return [run(generator, spread, **factors) for _ in range(number)]


def test_a_real_change_is_told_by_its_direction_and_the_rest_is_unchanged() -> None:
    a, b = some(8), some(8, seed=2, tx_ring=1.10, sendmmsg=0.90)
    assert verdicts(a, b) == {
        "tx_ring": Verdict.REGRESSED,
        "sendmmsg": Verdict.IMPROVED,
        "send": Verdict.UNCHANGED,
        "sendto": Verdict.UNCHANGED,
    }


def test_a_change_below_the_minimum_effect_is_no_regression() -> None:
    a, b = some(20, spread=0.002), some(20, seed=2, spread=0.002, send=1.02)
    assert verdicts(a, b)["send"] is Verdict.UNCHANGED
    result = compare(a, b, [], {"send": 0.01})
    assert {row.cell.id: row.verdict for row in result.rows}["send"] is Verdict.REGRESSED


def test_what_the_data_could_not_have_shown_is_inconclusive() -> None:
    noisy = verdicts(some(2, spread=0.1), some(2, seed=2, spread=0.1))
    assert set(noisy.values()) == {Verdict.INCONCLUSIVE}


def test_one_run_a_side_says_what_its_history_lets_it_say() -> None:
    a, b = some(1, spread=0.005), some(1, seed=2, spread=0.005, tx_ring=1.10)
    alone = compare(a, b, [], {})
    assert alone.assumed
    assert {row.verdict for row in alone.rows} == {Verdict.INCONCLUSIVE}
    told = verdicts(a, b, some(12, seed=3, spread=0.005))
    assert told["tx_ring"] is Verdict.REGRESSED
    assert told["send"] is Verdict.UNCHANGED


def test_false_alarms_are_rare_where_nothing_changed() -> None:
    pool = some(40, seed=9)
    flagged = 0
    for a, b in itertools.pairwise(pool):
        history = [r for r in pool if r is not a and r is not b]
        flagged += sum(v in (Verdict.REGRESSED, Verdict.IMPROVED)
                       for v in verdicts([a], [b], history).values())  # fmt: skip
    assert flagged <= 2


def test_cells_of_one_side_only_are_missing_or_new_and_the_worst_come_first() -> None:
    a, b = some(6), some(6, seed=2, send=1.2)
    without = [replace(r, figures={k: v for k, v in r.figures.items() if k != "sendto"}) for r in b]
    result = compare(a, without, [], {})
    assert [(r.cell.id, r.verdict) for r in result.rows][:2] == [
        ("send", Verdict.REGRESSED),
        ("sendto", Verdict.MISSING),
    ]
    assert verdicts(without, a)["sendto"] is Verdict.NEW
    assert render.summary(result).startswith("4 cells: 1 regressed, 1 missing")


def test_environments_are_compared_first() -> None:
    (a,) = some(1)
    other = a_header(**HEADER | {"host": {"cpu": "y", "kernel": "6.2"}})
    (found, kernel) = environments.differences([a], [replace(a, header=other)])
    assert (found.what, found.a, found.b, found.incomparable) == ("host cpu", "x", "y", True)
    assert (kernel.what, kernel.incomparable) == ("host kernel", False)
    assert not environments.is_alike(a.header, other)
    assert environments.differences([a], [a]) == ()


def test_runs_with_other_privileges_are_compared_and_it_is_said() -> None:
    (a,) = some(1)
    as_root, as_user = (
        replace(a, header=a_header(**HEADER, measure={"privileges": how}))
        for how in ("root", "user namespace")
    )
    (found,) = environments.differences([as_root], [as_user])
    assert found == environments.Difference("measure privileges", "root", "user namespace", False)
    assert not environments.is_alike(as_root.header, as_user.header)


def test_a_device_that_is_not_as_it_was_is_told_fact_by_fact() -> None:
    (run_,) = some(1)
    facts = {"driver": "igb", "rings": {"tx": 256}, "features": ["tx-checksum-ipv4"]}
    a = replace(run_, header=a_header(**HEADER, devices={"eth1": facts}))
    b = replace(run_, header=a_header(**HEADER, devices={"eth1": facts | {"rings": {"tx": 512}}}))
    (found,) = environments.differences([a], [b])
    assert (found.what, found.a, found.b) == ("device eth1 rings", '{"tx": 256}', '{"tx": 512}')
    assert not found.incomparable
    assert environments.differences([a], [a]) == ()
    assert len(environments.differences([a], [run_])) == len(facts)


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (200, ""),
        (80, ""),
        (65, "not shown at this width: 95 % interval of ns/frame"),
        (50, "not shown at this width: 95 % interval of ns/frame, 95 % interval of Mpps"),
    ],
)
def test_a_comparison_fits_the_terminal(width: int, left_out: str) -> None:
    result = compare(some(2), some(2, seed=2, tx_ring=1.2), [], {})
    difference = environments.Difference(
        "host cmdline", "quiet " * 20, "mitigations=off " * 10, False
    )
    text = FORMATS["terminal"](render.document_of(result, [difference]), Screen(width))
    lines = text.splitlines()
    assert max(map(len, lines)) <= max(width, len(left_out))
    assert [line for line in lines if "not shown" in line] == ([left_out] if left_out else [])
    assert len([line for line in lines if "inconclusive " in line]) == 4
