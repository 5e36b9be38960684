"""pytest-benchmark's end of a cell: its samples become one of its benchmarks.

pytest-benchmark times functions; nothing in it takes times that somebody else measured. So a cell
is given the fixture that its own tests have, and the samples are put into the statistics of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.base.values import Value
from bench.system import host

FIXTURE = "benchmark"


def prepare(config: pytest.Config) -> None:
    """Before pytest-benchmark configures itself.

    Figures of one machine say nothing of another: each gets a folder of its own, unless the user
    names a storage. pytest-benchmark has one per Python version only.
    """
    config.pluginmanager.register(_Hooks(), "bench.pytest_plugin.benchmark")
    if config.option.benchmark_storage == "file://./.benchmarks":  # its default
        config.option.benchmark_storage += f"/{host.machine_name()}"


class _Hooks:
    """Hooks of pytest-benchmark, for a session that measures."""

    def pytest_benchmark_generate_machine_info(self) -> dict[str, Any]:
        """What frames per second depend on, and nothing that changes by itself (a CPU's clock),
        which would have every comparison warn."""
        facts = host.fingerprint()
        return {
            "node": facts.hostname,
            "machine": facts.arch,
            "system": "Linux",
            "release": facts.kernel,
            "version": facts.kernel_version,
            "cpu": {"brand_raw": facts.cpu, "count": facts.cpus_online},
            "virtualisation": facts.virtualisation,
        }


def fixture_of(
    item: pytest.Item, group: str, param: str, params: Mapping[str, str]
) -> BenchmarkFixture:
    """The fixture ``benchmark`` of an item that is no function."""
    session = item.config._benchmarksession  # type: ignore[attr-defined]
    if session.disabled:
        pytest.skip("--benchmark-disable: nothing is measured")
    fixture = BenchmarkFixture(  # type: ignore[no-untyped-call]
        item,
        add_stats=session.benchmarks.append,
        logger=session.logger,
        warner=item.warn,
        disabled=False,
        **{**session.options, "group": group},
    )
    fixture._mode = "bench"
    fixture.param, fixture.params = param, dict(params)
    return fixture


def record(
    fixture: BenchmarkFixture, seconds: Iterable[float], extra: Mapping[str, Value | None]
) -> None:
    """The seconds per frame of each sample, and what else is known of the cell."""
    fixture.extra_info.update(extra)
    stats = fixture._make_stats(iterations=1)  # type: ignore[no-untyped-call]
    for second in seconds:
        stats.update(second)
