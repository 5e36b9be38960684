"""Go's benchmark format."""

from __future__ import annotations

import pytest

from bench.render.export import go
from bench.render.export.measured import Measured
from tests.render.export import benchfmt
from tests.render.export.runs import ODD, exported


def read(measured: Measured) -> benchfmt.File:
    return benchfmt.read(go.make(measured).decode())


def test_a_line_is_an_opening() -> None:
    file = read(exported(rounds=12, openings=3))
    assert [result.parts["method"] for result in file.results] == ["sendto"] * 3 + ["tx_ring"] * 3
    first, *_, last = file.results
    assert first.parts == {"interface": "lo", "method": "sendto", "frame_size": "64"}
    assert last.parts["ring"] == "v2_256x4096_2048"
    assert (first.iterations, last.iterations) == (4 * 10_000, 4 * 12_000)
    assert first.values["frames/s"] == 1_000_000
    assert last.values["frames/s"] == 1_200_000
    assert 750 <= last.values["ns/frame"] < 834


def test_benchstat_is_told_what_is_better() -> None:
    units = read(exported()).units
    assert units == {"frames/s": {"better": "higher"}, "ns/frame": {"better": "lower"}}


def test_no_configuration_splits_tables() -> None:
    """benchstat compares only lines of equal configuration, and kernels differ on purpose."""
    text = go.make(exported()).decode()
    assert benchfmt.read(text).configuration == {}
    assert "6.18" in text


@pytest.mark.parametrize("odd", ODD)
def test_whatever_a_run_has_every_line_can_be_read(odd: str) -> None:
    file = read(ODD[odd]())
    assert len(file.results) == (3 if odd == "foreign" else 0)
    assert len({result.name for result in file.results}) == len(file.results)
