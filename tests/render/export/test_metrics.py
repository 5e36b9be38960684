"""Prometheus' text format and OpenMetrics, read by prometheus_client and by promtool."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable

import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_prometheus

from bench.render.export import openmetrics, prometheus
from bench.render.export.measured import Measured
from tests.render.export.runs import EVIL, ODD, cells, exported

RUNS = {"ordinary": exported, **ODD}


def as_prometheus(measured: Measured) -> dict[str, Metric]:
    return by_name(read_prometheus(prometheus.make(measured).decode()))


def as_openmetrics(measured: Measured) -> dict[str, Metric]:
    return by_name(read_openmetrics(openmetrics.make(measured).decode()))


def by_name(families: Iterable[Metric]) -> dict[str, Metric]:
    return {family.name: family for family in families}


def of_cell(metric: Metric, cell: str) -> tuple[dict[str, str], float]:
    (sample,) = [sample for sample in metric.samples if sample.labels["cell"] == cell]
    return sample.labels, sample.value


@pytest.mark.parametrize("read", [as_prometheus, as_openmetrics])
def test_a_cell_has_its_figures_and_its_axes(read: object) -> None:
    families = read(exported())  # type: ignore[operator]
    ring = f"c{cells()[1].id}"
    labels, rate = of_cell(families["bench_frames_per_second"], ring)
    assert rate == 1_200_000
    assert (labels["matrix"], labels["method"], labels["burst"]) == ("m", "tx_ring", "16")
    assert labels["ring"] == "v2 256x4096/2048"
    assert of_cell(families["bench_ratio"], ring)[1] == pytest.approx(1.2)
    _, cost = of_cell(families["bench_cpu_seconds_per_frame"], ring)
    _, low = of_cell(families["bench_cpu_seconds_per_frame_low"], ring)
    _, high = of_cell(families["bench_cpu_seconds_per_frame_high"], ring)
    assert 0 < low <= cost <= high < 1e-6
    assert of_cell(families["bench_cell_failed"], ring)[1] == 0


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("read", [as_prometheus, as_openmetrics])
def test_every_metric_says_what_it_is_and_has_no_time(read: object, run: str) -> None:
    for family in read(RUNS[run]()).values():  # type: ignore[operator]
        assert family.type in ("gauge", "info")
        assert family.documentation
        assert family.samples
        assert all(sample.timestamp is None for sample in family.samples)
        assert len({frozenset(sample.labels) for sample in family.samples}) == 1


def test_both_formats_have_the_same_samples() -> None:
    def samples(families: dict[str, Metric]) -> dict[tuple[str, str], float]:
        return {
            (sample.name, str(sorted(sample.labels.items()))): sample.value
            for family in families.values()
            for sample in family.samples
        }

    assert samples(as_prometheus(exported())) == samples(as_openmetrics(exported()))


def test_a_cell_that_failed_is_one_of_its_own_metric() -> None:
    families = as_prometheus(ODD["failed"]())
    assert [sample.value for sample in families["bench_cell_failed"].samples] == [1, 1]
    assert "bench_frames_per_second" not in families


def test_no_axis_takes_the_place_of_a_label() -> None:
    families = as_openmetrics(ODD["foreign"]())
    for sample in families["bench_rounds"].samples:
        assert sample.labels["cell"].startswith(("x\\x1b", "long"))
        assert "1" in sample.labels.values()
        assert EVIL not in sample.labels


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.skipif(shutil.which("promtool") is None, reason="Debian's prometheus is missing")
def test_promtool_finds_nothing(run: str) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=prometheus.make(RUNS[run]()), capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
