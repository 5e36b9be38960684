"""Runs to export: an ordinary one, and those that have next to nothing."""

from __future__ import annotations

import random
from typing import Any

from bench.model.cells import Cell
from bench.model.run import Run
from bench.render.export.measured import Measured, measured
from tests.builders import a_cell, a_run, a_sample, a_thread

EVIL = 'x\x1b[31m"\\\n</script>\u2028\u202e,{}=|;:/ ä'
"""What a run file of others may have in any text."""


def cells() -> tuple[Cell, Cell]:
    ring = {"version": 2, "block_size": 4096, "block_nr": 256, "frame_size": 2048}
    return (
        a_cell("0165529710", method="sendto", interface={"kind": "lo"}),
        a_cell("595797e027", method="tx_ring", interface={"kind": "lo"}, burst=16, ring=ring),
    )


def a_measured_run(rounds: int = 30, openings: int = 3, **fields: Any) -> Run:
    """Two cells, the second of which is a fifth faster; its baseline is the first."""
    generator = random.Random(1)
    samples = [
        a_sample(
            cell.id,
            round_,
            opening=round_ * openings // rounds,
            threads=(a_thread(completed=frames, calls=9, cpu_ns=generator.randint(9, 10) * 10**6),),
        )
        for round_ in range(rounds)
        for cell, frames in zip(cells(), (10_000, 12_000), strict=True)
    ]
    first, second = cells()
    header = {"started": "2026-11-28T03:00:00+00:00", "host": {"kernel": "6.18"}}
    return a_run(
        samples, cells(), {first.id: first.id, second.id: first.id}, **{"header": header} | fields
    )


def exported(**fields: Any) -> Measured:
    return measured(a_measured_run(**fields))


def failed() -> Measured:
    """Of a run of which every cell failed."""
    run = a_run((), cells(), failures={cell.id: EVIL for cell in cells()})
    return measured(run)


def empty() -> Measured:
    """Of a run without rounds."""
    return measured(a_run((), cells()))


def foreign() -> Measured:
    """Of a run of which every text may be anybody's."""
    cell = Cell(EVIL, {"method": EVIL, "frame_size": 64, "threads": 1, "interface": EVIL, EVIL: 1})
    twin = Cell(f"{EVIL}2", cell.values)
    long = Cell("long", cell.values | {"interface": {"kind": "device", "name": "d" * 1500}})
    runs = [a_sample(of.id, round_) for round_ in range(8) for of in (cell, twin, long)]
    header = {
        "matrix": {"name": EVIL, "description": EVIL},
        "host": {"hostname": EVIL, "kernel": EVIL, "cpu": EVIL, "arch": EVIL},
        "core": {"hash": EVIL},
    }
    return measured(a_run(runs, (cell, twin, long), header=header))


ODD = {"failed": failed, "empty": empty, "foreign": foreign}
