"""Runs of whole matrices, with figures known beforehand: what pictures and pages are made of."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from bench.base.values import Value
from bench.model.cells import Cell
from bench.model.run import Run
from bench.model.samples import Sample
from bench.render import report
from bench.render.pictures.picture import Subject
from bench.store.writer import RunWriter
from tests.builders import a_cell, a_header, a_run, a_sample, a_thread

WINDOW_NS = 10_000_000
METHODS = {"sendto": 1.0, "sendmmsg": 1.1, "tx_ring": 1.3, "af_xdp": 1.5}
"""How much faster each is than the first."""

INTERFACES: dict[str, Value] = {kind: {"kind": kind} for kind in ("lo", "veth", "ifb")}


def cells_of(**axes: Sequence[Value | None]) -> list[Cell]:
    """The product of some axes; ids are c0, c1, ..."""
    names: dict[str, Sequence[Value | None]] = {
        "interface": [INTERFACES["veth"]],
        "method": ["sendto"],
        "frame_size": [64],
    }
    names |= axes
    return [
        a_cell(f"c{n}", **dict(zip(names, values, strict=True)))
        for n, values in enumerate(product(*names.values()))
    ]


def usual_cells() -> list[Cell]:
    """Of two interfaces, three methods, three frame sizes."""
    return cells_of(
        interface=[INTERFACES["lo"], INTERFACES["veth"]],
        method=["sendto", "sendmmsg", "tx_ring"],
        frame_size=[64, 512, 1514],
    )


def rate_of(cell: Cell) -> float:
    """Frames per second: more threads and better methods make it faster, larger frames slower."""
    gain = METHODS.get(cell.method, 1.0) * math.pow(cell.threads, 0.8)
    return 1e6 * gain / (1 + cell.frame_size / 20_000)


def samples_of(
    cells: Sequence[Cell],
    rounds: int = 20,
    openings: int = 1,
    rate: Callable[[Cell], float] = rate_of,
    seed: int = 1,
) -> list[Sample]:
    """A slice of each cell in each round; rounds are shared among openings. One in fifty is
    disturbed."""
    generator = random.Random(seed)
    return [
        _sample(cell, round_, round_ * openings // rounds, rate(cell), generator)
        for round_ in range(rounds)
        for cell in cells
    ]


def _sample(cell: Cell, round_: int, opening: int, rate: float, generator: random.Random) -> Sample:
    wall = round(WINDOW_NS * generator.gauss(1, 0.005))
    completed = round(rate * WINDOW_NS / 1e9 / cell.threads)
    delay = WINDOW_NS // 10 if generator.random() < 0.02 else 0
    cpu = wall - delay
    thread = a_thread(wall_ns=wall, cpu_ns=cpu, completed=completed, run_delay_ns=delay)
    threads = (thread,) * cell.threads
    return a_sample(cell.id, round_, wall_ns=wall, threads=threads, opening=opening)


def baselines_of(cells: Sequence[Cell], **baseline: Value) -> dict[str, str]:
    """For each cell the one that differs in these values alone, where there is one."""
    found: dict[str, str] = {}
    for cell in cells:
        wanted = dict(cell.values) | baseline
        for other in cells:
            if other.values == wanted:
                found[cell.id] = other.id
    return found


def run_of(
    cells: Sequence[Cell],
    baseline: Mapping[str, Value] | None = None,
    header: Mapping[str, Any] | None = None,
    **of_samples: Any,
) -> Run:
    against = {"method": "sendto"} if baseline is None else dict(baseline)
    return a_run(
        samples_of(cells, **of_samples),
        cells=cells,
        baselines=baselines_of(cells, **against),
        header={"matrix": {"name": "drawn", "baseline": against}, **(header or {})},
    )


def subject_of(run: Run, **more: Any) -> Subject:
    return Subject(run, report.make_report(run).rows, **more)


def write(path: Path, run: Run, **header: Any) -> Path:
    """A run as a file; ``header`` is what is to be different in it."""
    fields = {"id": str(path), "matrix": {"name": "drawn"}, "baselines": dict(run.baselines)}
    with RunWriter(path) as writer:
        writer.header(a_header(**(fields | header)), run.cells, run.calibration)
        for sample in (*run.samples, *run.calibration_samples):
            writer.sample(sample)
        for cell, reason in run.failures.items():
            writer.failure(cell, reason)
        writer.end("done")
    return path
