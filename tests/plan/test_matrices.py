"""The matrices that come with bench: they can be planned on every kernel, and their cells keep
their ids, without which no history of a nightly job would go on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.matrix import load
from bench.measure.prepare import vocabulary
from bench.plan import plan
from bench.plan.plan import Plan
from tests.running import ROOT

MATRICES = sorted((ROOT / "matrices").glob("*.yaml"))
RESULTS = sorted((ROOT / "results").rglob("*.jsonl"))
PAGES = (4096, 16384, 65536)
IDS = {
    "batches": (20, "b22ed2ca107897f7"),
    "bond_scaling": (12, "c4ae9f3db19a2993"),
    "full_queue": (24, "256a2f368d03b391"),
    "generators": (72, "6315d18e5ce8bc9a"),
    "interfaces": (24, "1b56a3e658215c3c"),
    "mmap_vs_sendto": (116, "b193fa3cbcb10e82"),
    "nightly": (24, "79de1c829c003d5b"),
    "scaling": (126, "b48a774215cb9605"),
    "senders": (98, "c1c684a243fc3cd5"),
    "smoke": (6, "8e0a24334083ff78"),
}
"""How many cells, and the SHA-256 of their ids in order, since before a ring could have slots."""


def planned(path: Path, page_size: int) -> Plan:
    words = replace(vocabulary(), page_size=page_size)
    return plan.make_plan(load.load(path, words), words)


@pytest.mark.parametrize("path", MATRICES, ids=lambda path: path.stem)
def test_ids_on_pages_of_4_kib_stay_what_they_are(path: Path) -> None:
    ids = [cell.id for cell in planned(path, 4096).cells]
    digest = hashlib.sha256(" ".join(ids).encode()).hexdigest()[:16]
    assert (len(ids), digest) == IDS[path.stem]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_a_committed_run_has_the_ids_that_its_matrix_has_today(path: Path) -> None:
    header = json.loads(path.open().readline())
    words = replace(vocabulary(), page_size=4096)
    cells = plan.make_plan(load.parse(header["matrix"]["text"], "m.yaml", words), words).cells
    assert {cell["id"] for cell in header["cells"]} == {cell.id for cell in cells}


@pytest.mark.parametrize("page_size", PAGES)
@pytest.mark.parametrize("path", MATRICES, ids=lambda path: path.stem)
def test_every_ring_has_the_same_bytes_and_slots_in_whole_pages(path: Path, page_size: int) -> None:
    here, there = planned(path, 4096), planned(path, page_size)
    assert len(here.cells) == len(there.cells)
    for cell, other in zip(here.cells, there.cells, strict=True):
        ring, its = cell.values["ring"], other.values["ring"]
        assert {**cell.values, "ring": None} == {**other.values, "ring": None}
        if isinstance(ring, dict) and isinstance(its, dict):
            assert its["block_size"] % page_size == 0
            assert its["block_size"] * its["block_nr"] == ring["block_size"] * ring["block_nr"]
            assert (its["version"], its["frame_size"]) == (ring["version"], ring["frame_size"])
            assert (cell.id == other.id) == (its == ring)
        else:
            assert ring is its is None
            assert cell.id == other.id
