"""Where figures are from, typed for programs: matrix, run, time, machine, kernel and core."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.base import ids
from bench.base.values import key_of
from bench.model.header import RunHeader
from bench.render.document import Json
from bench.store.folders import run_name


def of(header: RunHeader, path: str) -> dict[str, Json]:
    """Of one run; None is not known. ``run`` is the name of its file, ``started`` is ISO 8601."""
    return {
        "run": run_name(path),
        "run_id": ids.shown(header.id) or None,
        "matrix": header.matrix.name,
        "started": header.started.isoformat() if header.started else None,
        "machine": header.machine_name or None,
        "kernel": header.host.kernel or None,
        "core": header.core.hash or None,
    }


def of_side(side: str, runs: Iterable[dict[str, Json]]) -> dict[str, Json]:
    """Of some runs together, by names that end with the side: a list where they differ."""
    found: dict[str, list[Json]] = {}
    for run in runs:
        for name, value in run.items():
            found.setdefault(f"{name}_{side}", []).append(value)
    return {name: _one(values) for name, values in found.items()}


def _one(values: Sequence[Json]) -> Json:
    distinct = [*{key_of(value): value for value in values}.values()]
    return distinct[0] if len(distinct) == 1 else distinct
