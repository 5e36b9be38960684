"""pytest-benchmark's JSON: a cell is a benchmark, each round a time, in seconds per frame."""

from __future__ import annotations

import json
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.analysis.figures import pps
from bench.render.document import Json
from bench.render.records import FIGURES

if TYPE_CHECKING:
    from bench.render.export.measured import Measured, MeasuredCell

VERSION = "5.3.1"
"""Of pytest-benchmark, whose fields these are."""


def make(measured: Measured) -> bytes:
    """One JSON object, as ``pytest --benchmark-json`` writes it."""
    header = measured.run.header
    host = header.host
    whole = {
        "machine_info": {
            "node": header.machine_name,
            "processor": host.cpu,
            "machine": host.arch,
            "python_implementation": "CPython",
            "python_version": host.python,
            "system": "Linux",
            "release": host.kernel,
            "cpu": {"brand_raw": host.cpu, "arch": host.arch, "count": len(host.cpus_allowed)},
        },
        "commit_info": {"id": header.core.commit, "core": header.core.hash},
        "benchmarks": [_benchmark(measured, cell) for cell in measured.with_figures],
        "datetime": header.started.isoformat() if header.started else None,
        "version": VERSION,
    }
    return (json.dumps(whole, indent=2) + "\n").encode()


def _benchmark(measured: Measured, cell: MeasuredCell) -> dict[str, Json]:
    from bench.render.export.measured import param_text

    axes = {axis: value for axis, value in cell.result.cell.values.items() if value is not None}
    params = {axis: param_text(value) for axis, value in axes.items()}
    matrix, _, param = cell.name.partition("/")
    return {
        "group": None,
        "name": f"{matrix}[{param}]",
        "fullname": f"{matrix}[{param}]",
        "params": params | ({"side": cell.side} if cell.side else {}),
        "param": param,
        "extra_info": {
            "run": measured.name,
            "cell": cell.shown_id,
            **{name: read(cell.result) for name, read in FIGURES.items()},
            "notes": [str(note) for note in cell.result.notes],
        },
        "options": {},
        "stats": stats_of([1 / pps(sample) for sample in cell.samples]),
    }


def stats_of(times: Sequence[float]) -> dict[str, Json]:
    """pytest-benchmark's statistics of at least one time."""
    data = sorted(times)
    mean = statistics.fmean(data)
    deviation = statistics.stdev(data) if len(data) > 1 else 0.0
    q1, q3 = _quartiles(data)
    reach = 1.5 * (q3 - q1)
    beyond_deviation = sum(1 for time in data if abs(time - mean) > deviation)
    beyond_quartiles = sum(1 for time in data if time < q1 - reach or time > q3 + reach)
    return {
        "min": data[0],
        "max": data[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": len(data),
        "median": statistics.median(data),
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": beyond_quartiles,
        "stddev_outliers": beyond_deviation,
        "outliers": f"{beyond_deviation};{beyond_quartiles}",
        "ld15iqr": data[bisect_left(data, q1 - reach)],
        "hd15iqr": data[bisect_right(data, q3 + reach) - 1],
        "ops": len(data) / sum(data),
        "total": sum(data),
        "data": list(times),
        "iterations": 1,
    }


def _quartiles(data: Sequence[float]) -> tuple[float, float]:
    """Of sorted times: the medians of the halves, or, for odd numbers, between neighbours as
    pytest-benchmark weighs them (Wikipedia's methods 2 and 3)."""
    count = len(data)
    if count == 1:
        return data[0], data[0]
    half = count // 2
    if count % 2 == 0:
        return statistics.median(data[:half]), statistics.median(data[half:])
    n = count // 4
    if count % 4 == 1:
        return 0.25 * data[n - 1] + 0.75 * data[n], 0.75 * data[3 * n] + 0.25 * data[3 * n + 1]
    return (
        0.75 * data[n] + 0.25 * data[n + 1],
        0.25 * data[3 * n + 1] + 0.75 * data[3 * n + 2],
    )
