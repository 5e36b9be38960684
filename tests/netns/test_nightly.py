"""A night on a real interface, after nights that were measured by nobody and were much faster."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.store import reader
from tests.campaign.nights_of import Nights
from tests.running import Bench

pytestmark = [pytest.mark.netns, pytest.mark.anykernel]

MATRIX = {
    "name": "m",
    "axes": {"interface": ["veth"], "method": ["send", "sendto"], "frame_size": [64, 128, 256]},
    "measure": {"window": "1ms", "rounds": 30, "openings": 3},
}


def test_a_slow_night_is_confirmed_at_once_in_namespaces_of_its_own(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "results" / "here" / "m"
    earlier = Nights(folder, monkeypatch, MATRIX, datetime.now(UTC) - timedelta(days=20))
    for _ in range(12):
        earlier.tonight()
    matrix = tmp_path / "m.yaml"
    matrix.write_text(json.dumps(MATRIX))
    options = ["--results", tmp_path / "results", "--machine", "here", "--confirm", "now"]
    done = bench("nightly", matrix, *options, "--format", "json")
    assert (done.code, done.err) == (3, "")
    report = json.loads(done.out)
    (night,) = report["nights"]
    assert (night["cells"], night["nights"]) == (6, 12)
    findings = {(row["series"], row["figure"]): row["finding"] for row in report["cells"]}
    assert findings["all", "ns_per_frame"] == "regressed"  # others may have had its CPU: no pps
    runs = [reader.read(folder / name) for name in night["confirmations"]]
    assert [run.end for run in runs] == ["done", "done"]
    assert {sample.opening for run in runs for sample in run.samples} == {0, 1, 2}
    assert all(not run.failures for run in runs)
