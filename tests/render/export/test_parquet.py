"""Parquet of samples, read by pyarrow."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from typing import Any

import pytest
from pyarrow import parquet as reader

from bench.base.errors import BenchError
from bench.model.problems import Code, Problem
from bench.render.export import parquet
from bench.render.export.measured import Measured, measured
from tests.render.export.runs import ODD, a_measured_run, cells, exported


def table(of: Measured) -> Any:
    return reader.read_table(io.BytesIO(parquet.make(of)))


def test_a_row_is_a_sample() -> None:
    rows = table(exported()).to_pylist()
    assert len(rows) == 60
    ring = next(row for row in rows if row["cell"] == f"c{cells()[1].id}")
    assert ring["pps"] == 1_200_000
    assert (ring["method"], ring["burst"], ring["frame_size"]) == ("tx_ring", 16, 64)
    assert ring["ring"] == "v2 256x4096/2048"
    assert (ring["completed"], ring["calls"], ring["wall_ns"]) == (12_000, 9, 10_000_000)
    assert ring["per_thread"][0]["completed"] == 12_000
    assert ring["is_used"]
    assert ring["problem"] is None


def test_a_sample_that_cannot_be_used_is_there_with_its_reason() -> None:
    run = a_measured_run(rounds=2)
    first, *rest = run.samples
    bad = replace(first, problems=(Problem(Code.FOREIGN, count=3),))
    rows = table(measured(replace(run, samples=(bad, *rest)))).to_pylist()
    assert (rows[0]["is_used"], rows[0]["problem"]) == (False, "3 foreign frames")
    assert rows[0]["pps"] is None
    assert [row["is_used"] for row in rows[1:]] == [True] * 3


def test_numbers_have_their_unit_in_the_metadata() -> None:
    schema = table(exported()).schema
    units = {field.name: (field.metadata or {}).get(b"unit", b"").decode() for field in schema}
    told = {"wall_ns": "ns", "steal_ns": "ns", "pps": "frames/s", "delivered": "frames"}
    told |= {"calls": "calls", "wmem_high": "bytes", "involuntary": "switches"}
    assert {name: units[name] for name in told} == told
    assert units["burst"] == units["round"] == units["method"] == ""
    assert units["frame_size"] == "bytes"


def test_the_header_of_the_run_is_in_the_metadata() -> None:
    header = json.loads(table(exported()).schema.metadata[b"bench"])
    assert header["matrix"]["name"] == "m"
    assert header["host"]["kernel"] == "6.18"
    assert header["started"] == "2026-11-28T03:00:00+00:00"


@pytest.mark.parametrize("odd", ODD)
def test_whatever_a_run_has_is_a_table(odd: str) -> None:
    made = table(ODD[odd]())
    assert made.num_rows == (24 if odd == "foreign" else 0)
    assert len({*made.column_names}) == made.num_columns


def test_without_pyarrow_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BenchError, match=r"pip install 'bench\[parquet\]'"):
        parquet.make(exported())
