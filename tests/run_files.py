"""Run files that no run has written: what reads them is tested with figures known beforehand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.model.cells import Cell
from bench.store.writer import RunWriter
from tests.builders import a_cell, a_header, a_sample, a_thread

CELLS = {name: a_cell(name) for name in ("send", "sendmmsg", "tx_ring", "sendto")}
HEADER: dict[str, Any] = {"host": {"cpu": "x", "kernel": "6.1"}, "core": {"hash": "h"}}


def write(
    path: Path,
    factor: float,
    header: dict[str, object] | None = None,
    rounds: int = 20,
    calibration: Sequence[Cell] = (),
) -> Path:
    """A run file; its cells take alike long for a frame, the calibration cells 2, 3, ... times.

    The run is another one than those in all other places.
    """
    generator = random.Random(path.name)
    times = dict.fromkeys(CELLS, 1) | {cell.id: n for n, cell in enumerate(calibration, 2)}
    with RunWriter(path) as writer:
        made = a_header(**{"id": str(path)} | (header or HEADER))
        writer.header(made, CELLS.values(), calibration)
        for round_ in range(rounds):
            for cell, cost in times.items():
                wall = round(10_000_000 * cost * factor * generator.gauss(1, 0.002))
                thread = a_thread(wall_ns=wall, cpu_ns=wall, completed=10_000)
                writer.sample(a_sample(cell, round_, wall_ns=wall, threads=(thread,)))
        writer.end("done")
    return path
