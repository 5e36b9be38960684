"""`bench show` on the committed run: the answer first, and --effects."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import cli
from bench.render import FORMATS, effects, report
from bench.render.answer import answered
from bench.render.screen import Screen
from bench.store import reader

(RUN,) = (Path(__file__).parents[2] / "results/vm/mmap_vs_sendto").glob("*.jsonl")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["show", str(RUN), *arguments]) == 0
    return capsys.readouterr().out


def test_show_begins_with_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys)
    places = [out.index(text) for text in ("\nFastest", "\nWorth of an axis", "\n  run ", "\n---")]
    assert places == sorted(places)
    assert "no effect                 msg_dontwait yes over no (within" in out


@pytest.mark.parametrize("width", [80, 120])
def test_answer_and_effects_fit_the_terminal(width: int) -> None:
    run = reader.read(RUN)
    made = report.make_report(run)
    for document in (answered(run, made, every=False), effects.document_of(run, made)):
        lines = FORMATS["terminal"](document.shortened(), Screen(width)).splitlines()
        assert max(map(len, lines)) <= width


def test_the_answer_of_a_long_table_is_short() -> None:
    run = reader.read(RUN)
    document = answered(run, report.make_report(run)).shortened()
    lead = replace(document, name="", description="", facts=(), blocks=(), footnotes=(), notes=())
    assert len(FORMATS["terminal"](lead, Screen(80)).splitlines()) <= 40


def test_the_answer_is_about_the_cells_that_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    filtered = ("--filter", "interface=ifb", "--filter", "frame_size=64", "--format", "json")
    document = json.loads(shown(capsys, *filtered))
    answer, cells = document["answer"], [cell["cell"] for cell in document["cells"]]
    (contest,) = answer["contests"]
    assert answer["cells"] == len(cells)
    assert contest["workload"]["frame_size"] == 64
    assert sorted([contest["leader"], *(r["cell"] for r in contest["rivals"])]) == sorted(cells)
    assert {effect["axis"] for effect in answer["effects"]}.isdisjoint({"interface", "frame_size"})


def test_effects_split_what_a_copied_ring_gains_by_the_interface_and_size(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On veth the kernel copies a ring's frames: vnet_hdr has it copy them in one go."""
    rows = [*csv.DictReader(io.StringIO(shown(capsys, "--effects", "--format", "csv")))]
    gains = {
        (row["interface"].split()[0], row["where"].split()[0] if row["where"] else ""): row["worth"]
        for row in rows
        if row["axis"] == "vnet_hdr"
    }
    assert gains["veth", ""] == "faster"
    assert gains["ifb", "frame_size=1514"] == "slower"
    assert {row["worth"] for row in rows if row["axis"] == "msg_dontwait"} == {"negligible"}
