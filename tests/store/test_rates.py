"""The figures of a stored run, read without its other counts."""

from __future__ import annotations

import json
from pathlib import Path

from bench.analysis.figures import series
from bench.store import reader
from bench.store.rates import read_rates
from tests.run_files import write


def test_rates_are_those_of_the_samples_in_round_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 1.0)
    rates, full = read_rates(path, series), reader.read(path)
    samples = [s for s in full.samples if s.cell == "send"]
    assert rates.series.pps["send"] == [s.total("completed") * 1e9 / s.wall_ns for s in samples]
    assert (rates.cells, rates.header) == (full.cells, full.header)


def test_a_sample_that_was_written_with_blanks_counts_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 1.0)
    before = read_rates(path, series).series.pps
    lines = path.read_text().splitlines()
    path.write_text("".join(json.dumps(json.loads(line)) + "\n" for line in lines))
    assert read_rates(path, series).series.pps == before
