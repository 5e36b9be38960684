"""Where figures are from, as programs read it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bench.model.header import CoreBuild, HostFacts
from bench.model.run import Run
from bench.render import FORMATS, provenance
from bench.render.export import EXPORTS
from bench.render.export.measured import measured
from bench.render.report import make_report
from bench.render.table import document_of
from tests.builders import a_cell, a_run, a_sample

CELL = a_cell("c1", method="sendto", frame_size=64, threads=1)
WHOLE = {
    "run": "20261128T065024Z-9f088d",
    "run_id": "r0123456789012345",
    "matrix": "m",
    "started": "2026-11-28T06:50:24+00:00",
    "machine": "here",
    "kernel": "6.18.2",
    "core": "46e1f7aa6ddb",
}


def known() -> Run:
    run = a_run([a_sample("c1", 1)], [CELL])
    header = replace(
        run.header,
        id="0123456789012345",
        started=datetime(2026, 11, 28, 6, 50, 24, tzinfo=UTC),
        matrix=replace(run.header.matrix, name="m"),
        host=HostFacts(hostname="here", kernel="6.18.2"),
        core=CoreBuild(hash="46e1f7aa6ddb"),
    )
    return replace(run, header=header, path="/somewhere/20261128T065024Z-9f088d.jsonl.gz")


def test_csv_and_json_of_a_run_say_where_it_is_from() -> None:
    document = document_of(make_report(known()))
    whole = json.loads(FORMATS["json"](document))
    assert whole["provenance"] == WHOLE
    assert whole["run"] == WHOLE["run"]
    assert whole["facts"]["machine"] == "here"
    (row,) = csv.DictReader(io.StringIO(FORMATS["csv"](document)))
    assert {name: row[name] for name in WHOLE} == WHOLE


def test_the_machine_is_what_the_user_calls_it() -> None:
    """A container has another hostname each night: a series of its own in each tool."""
    run = known()
    named = replace(run, header=replace(run.header, machine="ci"))
    found = json.loads(FORMATS["json"](document_of(make_report(named))))
    assert (found["provenance"]["machine"], found["facts"]["machine"]) == ("ci", "ci")
    for form in ("prometheus", "openmetrics", "pytest-benchmark"):
        text = EXPORTS[form].make(measured(named)).decode()
        assert '"ci"' in text
        assert "here" not in text


def test_what_is_not_known_is_null_and_empty() -> None:
    run = known()
    header = replace(run.header, id="", started=None, host=HostFacts(), core=CoreBuild())
    document = document_of(make_report(replace(run, header=header)))
    unknown = ("run_id", "started", "machine", "kernel", "core")
    found = json.loads(FORMATS["json"](document))["provenance"]
    assert [found[name] for name in unknown] == [None] * 5
    (row,) = csv.DictReader(io.StringIO(FORMATS["csv"](document)))
    assert [row[name] for name in unknown] == [""] * 5


def test_of_several_runs_it_is_a_list_where_they_differ() -> None:
    runs: list[dict[str, Any]] = [{"run": "x", "kernel": "6.1"}, {"run": "y", "kernel": "6.1"}]
    assert provenance.of_side("a", runs) == {"run_a": ["x", "y"], "kernel_a": "6.1"}
