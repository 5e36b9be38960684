"""The table of counters, and how the samples of a cell are put together by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.analysis import summary
from bench.model.counters import COUNTERS
from bench.model.problems import Code, Problem
from bench.model.samples import Sample
from bench.render.records import FIGURES, records
from bench.render.report import make_report
from bench.render.table import document_of
from tests.builders import a_cell, a_run, a_sample


def counting(round_: int, **counts: int) -> Sample:
    """Two threads count alike; the rest of the counts are the slice's."""
    sample = a_sample("a", round_, 1e6)
    (thread,) = sample.threads[:1]
    of_thread = {name: counts.pop(name) for name in [*counts] if hasattr(thread, name)}
    threads = (replace(thread, **of_thread),) * 2  # type: ignore[arg-type]
    return replace(sample, threads=threads, **counts)  # type: ignore[arg-type]


SAMPLES = (
    counting(0, eagain=1, qdisc_drops=1, device_drops=2, softnet_drops=4, wmem_high=700),
    counting(1, eagain=10, interrupts=3, wmem_high=900),
    replace(counting(2, eagain=100, foreign=5), problems=(Problem(Code.FOREIGN, 5),)),
)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("eagain", 22),
        ("drops", 7),
        ("interrupts", 3),
        ("wmem_high_bytes", 900),
        ("foreign_frames", 5),
        ("enobufs", 0),
    ],
)
def test_counts_are_sums_or_the_largest_of_valid_samples(name: str, count: int) -> None:
    (row,) = summary.summarise(a_run(SAMPLES, [a_cell("a")]), 0.01)
    assert row.counts[name] == count


def test_every_counter_is_in_the_records_under_a_name_of_its_own() -> None:
    names = [counter.name for counter in COUNTERS]
    assert len({*names}) == len(names)
    rows = summary.summarise(a_run(SAMPLES, [a_cell("a")]), 0.01)
    (record,) = records("run", rows).rows
    assert isinstance(record, dict)
    assert {name: record[name] for name in names} == dict(rows[0].counts)
    assert [name for name in FIGURES if name in names] == names


def test_a_table_has_a_column_of_each_counter_with_a_label_that_counted() -> None:
    document = document_of(make_report(a_run(SAMPLES, [a_cell("a")])))
    labels = {counter.label for counter in COUNTERS if counter.label}
    (table,) = document.blocks
    shown = [column.label for column in table.columns]  # type: ignore[union-attr]
    assert [label for label in shown if label in labels] == ["drops", "EAGAIN"]
