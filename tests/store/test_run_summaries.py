"""Summaries are read from the end of a file, and made of its samples where it has none there."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.analysis.cell_summaries import summary_of
from bench.base.errors import UsageError
from bench.model.results import LARGEST_INTEGER, Estimate
from bench.model.run import Run
from bench.model.summaries import CellSummary, OpeningFigures, RunSummary
from bench.store import reader, run_summaries
from bench.store.run_summaries import read_summary
from bench.store.summaries import Table
from bench.store.writer import RunWriter
from tests.builders import a_cell, a_header, a_sample

OPENINGS = (OpeningFigures(0, 20, 1e6, 1000.0, 1.5, 0.5), OpeningFigures(2, 19, 1.1e6, 900.5))
SUMMARIES = {
    "a": CellSummary("a", OPENINGS, Estimate(1.05e6, 1e6, 1.1e6, 39), notes={"lossy": 0}),
    "c": CellSummary("c", OPENINGS[1:], None, Estimate(900.5, None, None, 19)),
}
CELLS = [a_cell("a"), a_cell("b"), a_cell("c")]


def write(path: Path, summaries: Mapping[str, CellSummary] = SUMMARIES) -> Path:
    with RunWriter(path) as writer:
        writer.header(a_header(**HEADER), CELLS[:2], CELLS[2:])
        writer.failure("b", "gone")
        for round_ in range(3):
            writer.sample(a_sample("a", round_))
        writer.summaries(summaries, {"b": "gone"})
        writer.end("done", wall_s=1.5)
    return path


HEADER: dict[str, Any] = {
    "baselines": {"a": "a"},
    "thresholds": {"b": 0.01},
    "machine": "lab1",
    "filters": ["x=1"],
    "settings": ["y=2"],
}


def unasked(_run: Run) -> RunSummary:
    raise AssertionError("the file has summaries")


def of_samples(run: Run) -> RunSummary:
    """Says only from how many samples it was made."""
    rounds = len(run.samples)
    summaries = {"a": CellSummary("a", (OpeningFigures(0, rounds, 1.0, 1.0),))}
    return replace(summary_of(run), summaries=summaries)


def rounds(path: Path) -> int:
    return read_summary(path, of_samples).summaries["a"].rounds


def test_a_summary_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl")
    found, whole = read_summary(path, unasked), reader.read(path)
    assert found.summaries == SUMMARIES
    assert (found.header, found.cells, found.calibration) == (
        *(whole.header, whole.cells),
        whole.calibration,
    )
    assert (found.header.machine, found.header.filters) == ("lab1", ("x=1",))
    assert found.header.settings == ("y=2",)
    assert (found.failures, found.end, found.warnings) == ({"b": "gone"}, "done", ())


def test_levels_alone_are_those_of_the_whole_summary(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl")
    found = read_summary(path, unasked, only_levels=True)
    whole = read_summary(path, unasked)
    assert {
        cell: ([replace(o, ratio=None, ratio_ns=None) for o in of.openings], of.notes)
        for cell, of in whole.summaries.items()
    } == {cell: ([*of.openings], of.notes) for cell, of in found.summaries.items()}
    assert replace(found, summaries={}) == replace(whole, summaries={})


def test_a_header_in_another_order_is_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl")
    first, *rest = path.read_text().splitlines(keepends=True)
    fields = json.loads(first)
    fields["machine"] = fields.pop("machine")  # behind the cells
    line = json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
    path.write_text("".join([f"{line}\n", *rest]))
    assert read_summary(path, of_samples).header == reader.read(path).header


figures = st.floats(1e-300, 1e300)
counts = st.integers(1, LARGEST_INTEGER)
estimates = st.none() | (
    st.builds(Estimate, figures, st.none(), st.none(), counts)
    | st.builds(Estimate, figures, figures, figures, counts)
)
openings = st.builds(
    OpeningFigures, st.integers(0, 9), counts, figures, figures, *[st.none() | figures] * 2
)
summaries = st.builds(
    CellSummary,
    st.just(""),
    st.lists(openings, max_size=3, unique_by=lambda of: of.opening).map(
        lambda of: tuple(sorted(of, key=lambda one: one.opening))
    ),
    *[estimates] * 4,
    st.dictionaries(st.text(), st.integers(0, LARGEST_INTEGER), max_size=2),
)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(), summaries, max_size=4))
def test_any_summaries_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, some: dict[str, CellSummary]
) -> None:
    meant = {
        cell: CellSummary(
            cell, of.openings, of.pps, of.ns_per_frame, of.ratio, of.ratio_ns, of.notes
        )
        for cell, of in some.items()
    }
    path = write(tmp_path_factory.mktemp("any") / "r.jsonl", meant)
    assert read_summary(path, unasked).summaries == meant


def test_what_ends_with_no_summaries_is_read_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl")
    lines = path.read_text().splitlines(keepends=True)
    killed = tmp_path / "killed.jsonl"
    killed.write_text("".join(lines[:-3]))
    assert rounds(killed) == 2
    cut = tmp_path / "cut.jsonl"
    cut.write_text("".join(lines)[:-3])
    assert rounds(cut) == 3
    assert read_summary(cut, of_samples).warnings


def test_a_resumed_run_is_not_taken_for_what_it_was_before(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl")
    with RunWriter(path, append=True) as writer:
        writer.resume("now")
        writer.sample(a_sample("a", 3))
        assert rounds(path) == 4
        writer.summaries({"a": SUMMARIES["a"]}, {})
        writer.end("done")
    found = read_summary(path, unasked)
    assert (found.summaries, found.failures) == ({"a": SUMMARIES["a"]}, {})


@pytest.mark.parametrize("cells", [1, 8000])
def test_the_end_is_found_however_long_it_is(tmp_path: Path, cells: int) -> None:
    many = {f"{n}": CellSummary(f"{n}", OPENINGS) for n in range(cells)}
    path = write(tmp_path / "r.jsonl", many)
    assert (path.stat().st_size > run_summaries.NEAR_END) == (cells > 1)
    assert read_summary(path, unasked).summaries == many


def test_what_gzip_packed_is_read_too(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl")
    packed = tmp_path / "p.jsonl.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_summary(packed, unasked).summaries == SUMMARIES
    assert reader.read(packed).samples == reader.read(path).samples
    content = packed.read_bytes()
    assert reader.read(Path("x"), content).samples == reader.read(path).samples
    packed.write_bytes(content[:-9])
    with pytest.raises(UsageError, match=r"p\.jsonl\.gz: what gzip packed is damaged or cut off"):
        reader.read(packed)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cells": ["a", "a"]}, "`cells` has a cell twice"),
        ({"cells": ["a"]}, "`pps.value` has 2 numbers for 1 cells"),
        ({"cells": 1}, "cells is 1; it must be a list"),
        ({"ratio": None}, "ratio is null; it must be an object"),
        (
            {"openings": [{"opening": 1, "rounds": [1, 0], "pps": [1, 0]}]},
            "opening 1 has rounds without figures",
        ),
        (
            {"openings": [{"opening": 1}, {"opening": 1}]},
            "`openings` are not in their order, or one is there twice",
        ),
        ({"pps": {"value": [-1, 1]}}, "`pps.value` has a number below 0"),
        (
            {"openings": [{"opening": -1}]},
            f"openings[0].opening is -1; it must be from 0 to {LARGEST_INTEGER}",
        ),
    ],
)
def test_summaries_that_do_not_fit_are_refused_with_their_line(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = write(tmp_path / "r.jsonl")
    *lines, line, end = [json.loads(line) for line in path.read_text().splitlines()]
    whole = [*lines, line | change, end]
    path.write_text("".join(json.dumps(one, separators=(",", ":")) + "\n" for one in whole))
    with pytest.raises(UsageError) as refusal:
        read_summary(path, unasked)
    assert str(refusal.value) == f"{path}:6: not a line of type summaries: {said}"


def test_a_table_of_a_table_is_itself() -> None:
    table = Table.of(SUMMARIES)
    assert Table.of(table) is table
