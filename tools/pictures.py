#!/usr/bin/env python3
"""Draws the pictures of README.md and docs/pictures.md; `make pictures` calls it.

They are of the committed run, but for those kinds that it has nothing for: threads, a history, a
comparison. These are of runs with made-up figures, and the page says so.
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from bench.base.values import Value
from bench.cli import main as bench
from bench.model.cells import Cell
from tests.drawn_runs import INTERFACES, cells_of, rate_of, run_of, write

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "pictures"
STORED = ROOT / "results/vm/mmap_vs_sendto/20261123T011709Z-0aadf5.jsonl"

BRIEF = ("--filter", "frame_size=64", "--filter", "fill=prefilled", "--filter", "msg_dontwait=no")
SHOWN: Mapping[str, Sequence[str]] = {
    "ratio": ("--kind", "ratio", "--filter", "qdisc_bypass=no", *BRIEF),
    "effects": ("--kind", "effects", "--filter", "interface=veth"),
    "axis": ("--kind", "axis", "--x", "burst", *BRIEF),
    "heat": ("--kind", "heat", "--x", "burst", "--y", "method"),
    "time": ("--kind", "time"),
}
"""Of the committed run."""

IN_README = "ratio"
"""In dark, too: a page may be either."""

NIGHTS, SLOWER_FROM = 24, 16
SLOWER = 1.05
"""What one cell of the made-up history costs from a night on."""


def drawn(name: str, runs: Sequence[Path], arguments: Sequence[str]) -> None:
    schemes = {"": [], "-dark": ["--dark"]} if name == IN_README else {"": []}
    for suffix, scheme in schemes.items():
        output = ("-o", str(FOLDER / f"{name}{suffix}.svg"))
        if bench(["plot", *map(str, runs), *arguments, *scheme, "--width", "760", *output]):
            raise SystemExit(f"{name} was not drawn")


def made_up(folder: Path) -> None:
    several = cells_of(
        interface=[INTERFACES["lo"], INTERFACES["veth"]],
        method=["sendto", "tx_ring"],
        threads=[1, 2, 4],
    )
    run = run_of(several, {"threads": 1}, rounds=40, rate=_scaling)
    threads = write(folder / "threads.jsonl", run)
    drawn("threads", [threads], ("--kind", "threads"))
    history = _history(folder / "nights")
    drawn("history", history[-1:], ("--kind", "history", "--filter", "interface=veth"))
    drawn("comparison", [history[SLOWER_FROM - 1], history[-1]], ("--kind", "comparison"))


def _scaling(cell: Cell) -> float:
    """One method scales nearly, and the other hardly at all."""
    return 1e6 * math.pow(cell.threads, 0.9 if cell.method == "sendto" else 0.3)


def _history(folder: Path) -> list[Path]:
    """A cell is slower from a night on, and so is everything on that night's kernel."""
    folder.mkdir()
    began = datetime.fromisoformat("2026-11-01T03:00:00+00:00")
    cells = cells_of(
        interface=[INTERFACES["lo"], INTERFACES["veth"]], method=["sendto", "sendmmsg", "tx_ring"]
    )

    def rate(cell: Cell, night: int) -> float:
        kind: Value | None = cell.values["interface"]
        is_it = cell.method == "tx_ring" and kind == INTERFACES["veth"]
        return rate_of(cell) / (SLOWER if is_it and night >= SLOWER_FROM else 1)

    paths = []
    for night in range(NIGHTS):
        run = run_of(
            cells, rounds=60, openings=5, seed=night, rate=lambda cell, n=night: rate(cell, n)
        )
        header = {
            "started": (began + timedelta(days=night)).isoformat(),
            "host": {"kernel": "6.19" if night >= SLOWER_FROM else "6.18"},
        }
        paths.append(write(folder / f"{night:02}.jsonl", run, **header))
    return paths


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    for name, arguments in SHOWN.items():
        drawn(name, [STORED], arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        made_up(Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
