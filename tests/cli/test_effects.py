"""`bench show` on the committed run: the answer first, and --effects."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from bench import cli

(RUN,) = (Path(__file__).parents[2] / "results/vm/mmap_vs_sendto").glob("*.jsonl")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["show", str(RUN), *arguments]) == 0
    return capsys.readouterr().out


def test_show_begins_with_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(capsys)
    places = [out.index(text) for text in ("\nFastest", "\nWorth of an axis", "\n  run ", "\n---")]
    assert places == sorted(places)
    assert "no effect                 msg_dontwait yes over no (within" in out


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
