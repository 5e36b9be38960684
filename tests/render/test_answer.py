"""The answer as people and programs read it: literal text."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from bench.base.values import Value
from bench.model.cells import Cell
from bench.model.run import Run
from bench.render import FORMATS, answer, effects, report
from bench.render.document import Document
from bench.render.screen import Screen
from tests.builders import a_cell, a_run
from tests.raced_runs import a_race, product

LO, IFB = {"kind": "lo"}, {"kind": "ifb", "mtu": 0}


def text_of(run: Run, width: int = 100, whole: bool = False) -> str:
    """What stands above facts and table, in short or whole."""
    document = _without_table(answer.answered(run, report.make_report(run)))
    return FORMATS["terminal"](document if whole else document.shortened(), Screen(width))


def _without_table(document: Document) -> Document:
    return replace(document, name="", facts=(), blocks=(), footnotes=(), notes=())


def effects_text(run: Run, width: int = 100) -> str:
    document = effects.document_of(run, report.make_report(run))
    return FORMATS["terminal"](replace(document, name="", facts=()), Screen(width))


def with_baseline(run: Run, method: str) -> Run:
    """Each cell's baseline is the cell of that method, with all else equal."""
    by = {tuple(map(str, c.values.values())): c.id for c in run.cells}
    baselines = {
        cell.id: by[tuple(map(str, {**cell.values, "method": method}.values()))]
        for cell in run.cells
    }
    return replace(run, header=replace(run.header, baselines=baselines))


FACTORS = {"sendto": 1.0, "sendmmsg": 1.2, "tx_ring": 1.5}


def worth(cell: Cell) -> float:
    """A ring is best, unless its frames go one by one; ifb takes twice as many frames."""
    one_by_one = 0.6 if cell.values.get("burst") == 1 else 1.0
    twice = 2.0 if cell.values.get("interface") == IFB else 1.0
    return 2.0 * FACTORS[cell.method] * one_by_one * twice


AXES: dict[str, Sequence[Value]] = {
    "method": ["sendto", "sendmmsg", "tx_ring"],
    "interface": [LO, IFB],
    "burst": [1, 64],
    "fill": ["copy", "prefilled"],
}

ANSWER = """\
Fastest (ratios of pps in the same rounds, with 95 % intervals):
  lo   tx_ring with burst 64, copy: 3.020 Mpps, 1.500 [1.498, 1.502] times its baseline,
       1.250 [1.249, 1.251] times sendmmsg; as fast (within 0.2 %): 1 cell of tx_ring
  ifb  tx_ring with burst 64, copy: 6.037 Mpps, 1.500 [1.498, 1.502] times its baseline,
       1.249 [1.247, 1.251] times sendmmsg; as fast (within 0.1 %): 1 cell of tx_ring

Worth of an axis (ratios of pps, all else equal; all of them: bench show --effects):
  burst 64 over 1  1.666 [1.665, 1.667] (tx_ring, ifb) to 1.667 [1.665, 1.669] (tx_ring, lo)
  no effect        fill prefilled over copy (within ±0.2 %)
"""


WHOLE = """\
Fastest (ratios of pps in the same rounds, with 95 % intervals):
  lo   tx_ring with burst 64, copy: 3.020 Mpps, 1.500 [1.498, 1.502] times its baseline,
       1.250 [1.249, 1.251] times sendmmsg; as fast (within 0.2 %): 1 cell of tx_ring
       as fast:  tx_ring with burst 64, fill prefilled; slower by 0.2 % at most
       ahead of: sendmmsg by 1.250 [1.249, 1.251], sendto by 1.500 [1.498, 1.502]
  ifb  tx_ring with burst 64, copy: 6.037 Mpps, 1.500 [1.498, 1.502] times its baseline,
       1.249 [1.247, 1.251] times sendmmsg; as fast (within 0.1 %): 1 cell of tx_ring
       as fast:  tx_ring with burst 64, fill prefilled; slower by 0.1 % at most
       ahead of: sendmmsg by 1.249 [1.247, 1.251], sendto by 1.500 [1.499, 1.502]

Worth of an axis (ratios of pps, all else equal; all of them: bench show --effects):
  burst 64 over 1  1.666 [1.665, 1.667] (tx_ring, ifb) to 1.667 [1.665, 1.669] (tx_ring, lo)
  no effect        fill prefilled over copy (within ±0.2 %)
"""


def test_the_answer_says_who_is_fastest_and_what_axes_are_worth() -> None:
    run = a_race(product(AXES), worth, noise=0.004, likeness=0.0)
    assert text_of(with_baseline(run, "sendto")) == ANSWER
    assert text_of(with_baseline(run, "sendto"), whole=True) == WHOLE


def a_race_of_methods(*methods: str, **how: float) -> Run:
    cells = product({"method": methods})
    return with_baseline(a_race(cells, worth, likeness=0.0, **how), "sendto")  # type: ignore[arg-type]


LOSSY = """\
Fastest (ratios of pps in the same rounds, with 95 % intervals):
  here  sendmmsg: 2.404 Mpps, 1.202 [1.192, 1.211] times sendto, its baseline; lossy: tx_ring

To be wary of:
  lossy  1 of 3 cells: frames were completed and then dropped: its pps did not all arrive
"""


def test_a_cell_that_loses_frames_is_never_the_fastest_where_others_lose_none() -> None:
    run = a_race_of_methods("sendto", "sendmmsg", "tx_ring", rounds=120)
    losing = [replace(s, lost=5) if s.cell == "tx_ring" else s for s in run.samples]
    assert text_of(replace(run, samples=tuple(losing))) == LOSSY


ALL_LOSSY = """\
Fastest (ratios of pps in the same rounds, with 95 % intervals):
  here  tx_ring: 3.012 Mpps, lossy, 1.493 [1.480, 1.500] times sendto, its baseline

To be wary of:
  lossy  2 of 2 cells: frames were completed and then dropped: its pps did not all arrive
"""


def test_where_all_lose_frames_the_fastest_is_said_to_lose_some() -> None:
    run = a_race_of_methods("sendto", "tx_ring", rounds=120)
    losing = tuple(replace(s, lost=5) for s in run.samples)
    assert text_of(replace(run, samples=losing)) == ALL_LOSSY


FEW = """\
Fastest (ratios of pps in the same rounds, with 95 % intervals):
  here  tx_ring: 2.909 Mpps, 1.472 (no interval from 8 rounds) times its baseline; not told apart
        (no interval): sendto

To be wary of:
  imprecise  1 of 2 cells: no interval would hold from fewer than 97 rounds
"""


def test_few_rounds_claim_nothing() -> None:
    assert text_of(a_race_of_methods("sendto", "tx_ring", rounds=8)) == FEW


EQUAL = """\
Fastest (ratios of pps in the same rounds, with 95 % intervals):
  here  sendto: 2.018 Mpps; as fast (within 0.7 %): sendmmsg
Fastest (ratios of pps in the same rounds, with 95 % intervals):
  here  sendto: 2.076 Mpps; not told apart (within 12 %): sendmmsg
"""


def test_equal_cells_are_not_told_apart() -> None:
    """By how much one may be slower depends on the noise."""
    cells = product({"method": ["sendto", "sendmmsg"]})
    quiet, noisy = (a_race(cells, lambda _: 2.0, noise=sd, likeness=0.0) for sd in (0.01, 0.2))
    assert text_of(quiet) + text_of(noisy) == EQUAL


ONE_METHOD = """\
Fastest (ratios of pps in the same rounds, with 95 % intervals):
  here  tx_ring with burst 64, copy: 3.045 Mpps, 1.668 [1.664, 1.671] times tx_ring with burst 1; as
        fast (within 0.2 %): 1 cell of tx_ring
        as fast:  tx_ring with burst 64, fill prefilled; slower by 0.2 % at most
        ahead of: tx_ring with burst 1 by 1.668 [1.664, 1.671]

Worth of an axis (ratios of pps, all else equal; all of them: bench show --effects):
  burst 64 over 1  1.667 [1.666, 1.669]
  no effect        fill prefilled over copy (within ±0.1 %)
"""


def test_cells_of_one_method_are_told_apart_by_what_they_differ_in() -> None:
    cells = product({"method": ["tx_ring"], "burst": [1, 64], "fill": ["copy", "prefilled"]})
    run = a_race(cells, worth, noise=0.004, likeness=0.0)
    assert text_of(run, whole=True) == ONE_METHOD


MANY = """\
Fastest (ratios of pps in the same rounds, with 95 % intervals):
  lo   sendmmsg: in 4 of 6 workloads (64 B, 128 B, 256 B, 512 B), 1.200 [1.195, 1.206] to
       1.203 [1.194, 1.213] times its baseline, ahead of every other cell in 4
  lo   sendto: in 2 of 6 workloads (1024 B, 1514 B), the baseline itself, ahead of every other cell
       in 2
  ifb  sendmmsg: in 6 of 6 workloads, 1.198 [1.189, 1.210] to 1.205 [1.194, 1.212] times its
       baseline, ahead of every other cell in 6

Worth of an axis (ratios of pps, all else equal; all of them: bench show --effects):
  frame_size over 64  0.834 [0.828, 0.839] (1024, sendmmsg, lo) to 1.198 [1.192, 1.204] (1514,
                      sendto, lo)
"""


def test_many_workloads_are_told_together() -> None:
    sizes = [64, 128, 256, 512, 1024, 1514]
    cells = product({"method": ["sendto", "sendmmsg"], "interface": [LO, IFB], "frame_size": sizes})

    def sendto_is_faster_when_large(cell: Cell) -> float:
        faster = (
            "sendto" if cell.frame_size > 1000 and cell.values["interface"] == LO else "sendmmsg"
        )
        return 2.4 if cell.method == faster else 2.0

    run = a_race(cells, sendto_is_faster_when_large, rounds=60, noise=0.01, likeness=0.0)
    assert text_of(with_baseline(run, "sendto")) == MANY


NOTHING = "No cell has figures, so there is no answer.\n"


@pytest.mark.parametrize(
    ("failures", "wary"),
    [
        ({}, "not run  2 of 2 cells: the run ended before the first sample of the cell"),
        (dict.fromkeys(("a", "b"), "no such device"), "failed  2 of 2 cells: no such device"),
    ],
    ids=["no rounds", "all failed"],
)
def test_a_run_without_figures_has_no_answer(failures: Mapping[str, str], wary: str) -> None:
    cells = [a_cell("a"), a_cell("b")]
    run = a_run((), cells, failures=failures)
    assert text_of(run) == f"{NOTHING}\nTo be wary of:\n  {wary}\n"


def test_a_run_without_cells_has_no_answer() -> None:
    assert text_of(a_run()) == NOTHING


def test_a_single_cell_has_no_rival() -> None:
    run = a_race(product({"method": ["send"]}), lambda _: 2.0)
    (line,) = (line for line in text_of(run).splitlines() if "send" in line)
    assert line.endswith("pps, without a rival")


def test_of_many_axes_the_weaker_ones_are_named_alone() -> None:
    """And those that are worth nothing are in one line."""
    nil, *others = ("burst", "flows", "fill", "ring", "sndbuf", "qdisc", "socket", "affinity")
    axes = {name: [1, 2] for name in (nil, *others)}
    worths = {name: 1.3 + 0.1 * n for n, name in enumerate(others)}

    def worth_of(cell: Cell) -> float:
        return math.prod(by for name, by in worths.items() if cell.values[name] == 2)

    cells = [c for c in product(axes) if sum(c.values[axis] == 2 for axis in axes) <= 1]
    text = text_of(a_race(cells, worth_of, noise=0.004, likeness=0.0))
    lines = text[text.index("Worth") :].splitlines()
    *first, weaker, none = lines[1:]
    assert [line.split()[0] for line in first] == others[:1:-1]
    assert weaker.split(maxsplit=1) == ["weaker", "fill 2 over 1, flows 2 over 1"]
    assert none.split("  ")[-1].startswith("burst 2 over 1 (within")


def test_of_many_reasons_the_others_are_counted() -> None:
    cells = [a_cell(str(n)) for n in range(9)]
    run = a_run((), cells, failures={cell.id: f"reason {cell.id}" for cell in cells})
    lines = text_of(run).splitlines()
    assert lines[-1] == "  failed  4 of 9 cells: for other reasons (see the table)"
    assert len(lines) == 9


def test_an_interval_is_never_broken() -> None:
    run = with_baseline(a_race(product(AXES), worth, noise=0.004, likeness=0.0), "sendto")
    for width in range(40, 100):
        for line in text_of(run, width).splitlines():
            assert line.count("[") == line.count("]")


def test_replicas_race_against_themselves() -> None:
    run = a_race(product({"method": ["send"], "replica": [1, 2]}), lambda _: 2.0, likeness=0.0)
    assert text_of(run) == REPLICAS


REPLICAS = """\
Worth of an axis (ratios of pps, all else equal; all of them: bench show --effects):
  replica 2 over 1  no effect shown: 0.996 [0.989, 1.002]
"""


# Effects


EFFECTS = """\
                                       inter-
effect                       method    face    differs by  ratio  95 % interval   ns/frame
------------------------------------------------------------------------------------------
method sendmmsg over sendto  -         lo                  1.200  [1.199, 1.201]     1.000
method tx_ring over sendto   -         lo                  1.499  [1.498, 1.500]     1.000

burst 64 over 1              sendto    lo      copy        1.852  [1.847, 1.856]     1.000
burst 64 over 1              sendto    lo      prefilled   1.669  [1.666, 1.671]     1.000
burst 64 over 1              sendmmsg  lo      copy        1.853  [1.850, 1.855]     1.000
burst 64 over 1              sendmmsg  lo      prefilled   1.667  [1.665, 1.670]     1.000
burst 64 over 1              tx_ring   lo      copy        1.853  [1.851, 1.855]     1.000
burst 64 over 1              tx_ring   lo      prefilled   1.668  [1.665, 1.671]     1.000

fill prefilled over copy     sendto    lo      burst 1     1.111  [1.109, 1.113]     1.000
fill prefilled over copy     sendto    lo      burst 64    1.001  [0.999, 1.002]     1.000
fill prefilled over copy     sendmmsg  lo      burst 1     1.112  [1.110, 1.114]     1.000
fill prefilled over copy     sendmmsg  lo      burst 64    1.001  [1.000, 1.003]     1.000
fill prefilled over copy     tx_ring   lo      burst 1     1.112  [1.111, 1.114]     1.000
fill prefilled over copy     tx_ring   lo      burst 64    1.000  [0.999, 1.001]     1.000
not shown at this width: pairs, worth, its interval

differs by: pairs of an effect disagree beyond chance, so each row has those with one value of the
axis that tells them apart best
"""


def test_effects_are_a_table_of_their_own() -> None:
    axes = {**AXES, "interface": [LO]}
    run = a_race(product(axes), fill_matters_one_by_one, noise=0.004, likeness=0.0)
    assert effects_text(run) == EFFECTS
    assert "worth" in effects_text(run, 160)


def fill_matters_one_by_one(cell: Cell) -> float:
    costs = cell.values["burst"] == 1 and cell.values["fill"] == "copy"
    return worth(cell) * (0.9 if costs else 1.0)


@pytest.mark.parametrize("cells", [[], product({"method": ["send"]})], ids=["none", "one"])
def test_fewer_cells_than_two_have_no_effects(cells: Sequence[Cell]) -> None:
    run = a_race(cells) if cells else a_run()
    assert effects_text(run) == (
        "no two cells with figures differ in one axis alone, so no effect is known\n"
    )


# For programs


def test_json_has_the_answer_typed() -> None:
    run = a_race_of_methods("sendto", "tx_ring", rounds=120)
    document = answer.answered(run, report.make_report(run))
    found = json.loads(FORMATS["json"](document, Screen()))["answer"]
    (contest,) = found["contests"]
    (rival,) = contest.pop("rivals")
    workload = contest.pop("workload")
    assert (workload["frame_size"], workload["threads"]) == (64, 1)
    assert contest == {
        "place": {},
        "leader": "tx_ring",
        "is_decided": True,
        "lossy": [],
    }
    assert (rival["cell"], rival["is_beaten"]) == ("sendto", True)
    assert rival["lead"]["low"] <= 1.5 <= rival["lead"]["high"]
    (effect,) = found["effects"]
    assert (effect["axis"], effect["value"], effect["over"], effect["worth"]) == (
        *("method", "tx_ring", "sendto"),
        "faster",
    )
    assert (effect["cells"], effect["over_cells"]) == (["tx_ring"], ["sendto"])
    assert (found["cells"], found["failures"], found["negligible"]) == (2, {}, 0.01)


def test_effects_are_records() -> None:
    run = a_race_of_methods("sendto", "tx_ring", rounds=120)
    document = effects.document_of(run, report.make_report(run))
    header, row = FORMATS["csv"](document, Screen()).splitlines()
    found = dict(zip(header.split(","), row.split(","), strict=True))
    assert (found["axis"], found["value"], found["over"]) == ("method", "tx_ring", "sendto")
    assert float(found["ratio_low"]) <= 1.5 <= float(found["ratio_high"])
    assert (found["method"], found["pairs"], found["ratio_n"]) == ("", "1", "120")
    assert found["matrix"] == "m"


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_has_both_documents(format_: str) -> None:
    run = a_race_of_methods("sendto", "tx_ring", rounds=120)
    made = report.make_report(run)
    for document in (answer.answered(run, made), effects.document_of(run, made)):
        assert "tx_ring" in FORMATS[format_](document, Screen())
