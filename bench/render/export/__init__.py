"""Files for other tools: one file and one row in EXPORTS each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.render.export import (
    bencher,
    github_action,
    go,
    openmetrics,
    parquet,
    prometheus,
    pytest_benchmark,
)

if TYPE_CHECKING:
    from bench.render.export.measured import Measured


@dataclass(frozen=True, slots=True)
class Export:
    """``make`` gives the content of the file; one that is no text is not for a terminal."""

    readers: str
    make: Callable[[Measured], bytes]
    is_text: bool = True


EXPORTS = {
    "pytest-benchmark": Export("pytest-benchmark compare", pytest_benchmark.make),
    "go": Export("benchstat: Go's benchmark format", go.make),
    "github-bigger": Export(
        "github-action-benchmark: pps, customBiggerIsBetter", github_action.make_bigger
    ),
    "github-smaller": Export(
        "github-action-benchmark: ns/frame, customSmallerIsBetter", github_action.make_smaller
    ),
    "bencher": Export("bencher run --adapter json", bencher.make),
    "prometheus": Export("node_exporter's textfile collector", prometheus.make),
    "openmetrics": Export("what reads OpenMetrics 1.0", openmetrics.make),
    "parquet": Export("pandas, polars, DuckDB: every sample", parquet.make, is_text=False),
}
"""By name, in the order in which help texts list them."""
