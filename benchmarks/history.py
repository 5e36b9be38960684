"""How fast is a long history read, and how large does it become in git?

read    the summaries of 365 nights of 5 machines with 500 cells, and what changed in them, without
        a cache and with it. Goals: 5 s and 1 s for both together, below 1 GB of memory. The files
        have no samples: these are not read. --machines 1 shows what `bench history` takes.
git     what a night costs in .git after `git gc`: its run file without samples, with packed
        samples, and its table. A cell's samples are drawn from those of a cell of a committed run.

All is made in a temporary folder, and needs no privilege.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from common import heading, met

from bench.model.cells import Cell, cell_id
from bench.model.header import RunHeader
from bench.model.results import Estimate
from bench.model.run import Run
from bench.model.samples import Sample
from bench.model.summaries import CellSummary, OpeningFigures
from bench.render import markdown, report, table
from bench.store import reader
from bench.store.packed import pack
from bench.store.writer import RunWriter

ROOT = Path(__file__).resolve().parents[1]
FIRST = datetime(2025, 1, 1, 2, tzinfo=UTC)
OPENINGS, ROUNDS = 5, 100


# What is read


@cache
def like() -> Run:
    """A committed run, of which headers, cells and samples are made."""
    return reader.read(min((ROOT / "results").rglob("*.jsonl")))


def cells_of(count: int) -> list[Cell]:
    """Cells with as many values as real ones have."""
    of_each = [{**like().cells[0].values, "frame_size": 64 + number} for number in range(count)]
    return [Cell(cell_id(values), values) for values in of_each]


def header(machine: int, night: int, cells: Sequence[Cell]) -> RunHeader:
    """That of the committed run, on another machine and night."""
    fields = msgspec.to_builtins(like().header) | {
        "id": f"{machine:04x}{night:012x}",
        "started": (FIRST + timedelta(days=night)).isoformat(),
        "baselines": {cell.id: cells[0].id for cell in cells},
    }
    return msgspec.convert(fields, RunHeader)


def digits(value: float) -> float:
    return float(f"{value:.7g}")


def summary(cell: str, chance: random.Random) -> CellSummary:
    """Figures that differ by 1 % from opening to opening, as those of real cells do."""

    def about(value: float) -> float:
        return digits(value * chance.lognormvariate(0, 0.01))

    def estimate(value: float) -> Estimate:
        return Estimate(about(value), about(value * 0.99), about(value * 1.01), ROUNDS)

    openings = tuple(
        OpeningFigures(n, ROUNDS // OPENINGS, about(9e5), about(1100), about(1.1), about(0.9))
        for n in range(OPENINGS)
    )
    levels = estimate(9e5), estimate(1100)
    ratios = estimate(1.1), estimate(0.9)
    return CellSummary(cell, openings, *levels, *ratios, {"imprecise": 0})


def write(
    path: Path, of: RunHeader, cells: Sequence[Cell], seed: int, samples: Sequence[Sample] = ()
) -> None:
    chance = random.Random(seed)
    with RunWriter(path) as writer:
        writer.header(of, cells)
        for sample in samples:
            writer.sample(sample)
        writer.summaries({cell.id: summary(cell.id, chance) for cell in cells}, {})
        writer.end("done", wall_s=60.0)


def make(folder: Path, machines: int, count: int, cells: Sequence[Cell]) -> None:
    for machine in range(machines):
        for night in range(count):
            path = folder / f"machine{machine}" / "m" / f"{night:06}.jsonl"
            write(path, header(machine, night, cells), cells, machine * 10_000 + night)


SCRIPT = """
import json, resource, sys, time
from pathlib import Path
times = [(time.monotonic(), time.process_time())]
from bench.campaign.nights import nights
from bench.campaign.timeline import cells_of, timeline
folders = sorted(Path(sys.argv[1]).glob("*/m"))
kept = [nights(folder) for folder in folders]
times.append((time.monotonic(), time.process_time()))
made = [
    timeline(of.nights, [*cells_of(of.nights).values()], folder=folder)
    for of, folder in zip(kept, folders)
]
times.append((time.monotonic(), time.process_time()))
assert not any(of.oddities for of in kept)
changes = sum(len(line.changes) for of in made for line in of.lines)
print(json.dumps({
    "reading": [b - a for a, b in zip(*times[:2])],
    "changes": [b - a for a, b in zip(*times[1:])],
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "cells": sum(len(night.run.ids) for of in kept for night in of.nights),
    "false": changes,
}))
"""


def read(folder: Path) -> dict[str, Any]:
    """Of a process that reads every machine: seconds of wall and of CPU time, most memory, cells,
    and how many changes it saw where there are none."""
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-c", SCRIPT, str(folder)]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def reading(folder: Path, machines: int, count: int, cells: int) -> None:
    make(folder, machines, count, cells_of(cells))
    os.sync()  # what was just written is not written while it is read
    for what, goal_s in (("without a cache", 5.0), ("with it", 1.0)):
        found = read(folder)
        assert found["cells"] == machines * count * cells
        took = found["reading"][0] + found["changes"][0]
        print(f"{found['cells']} cells {what}: {took:.2f} s (goal {goal_s:g} s): ", end="")
        print(met(took <= goal_s))
        for part in ("reading", "changes"):
            wall, used = found[part]
            print(f"  {part}: {wall:.2f} s, {used:.2f} s of CPU time")
        peak = found["peak_mb"]
        print(f"  at most {peak:.0f} MB of memory (goal 1000): {met(peak <= 1000)}")
        print(f"  {found['false']} false changes")
    written = sum(path.stat().st_size for path in (folder / "cache").rglob("bench/*"))
    print(f"the cache has {written / 1e6:.0f} MB")


# What is committed


def drawn(cells: Sequence[Cell], seed: int) -> list[Sample]:
    """Samples of ROUNDS rounds, those of a cell all drawn from one cell of the committed run."""
    chance = random.Random(seed)
    known: dict[str, list[Sample]] = {}
    for sample in like().samples:
        known.setdefault(sample.cell, []).append(sample)
    sources = [*known.values()]
    made, at_ns = [], 10**18
    for round_ in range(ROUNDS):
        for number in chance.sample(range(len(cells)), len(cells)):
            sample = chance.choice(sources[number % len(sources)])
            at_ns += sample.cpus_ns + chance.randrange(900_000, 1_000_000)
            made.append(replace(sample, cell=cells[number].id, round=round_, at_ns=at_ns))
    return made


def written(folder: Path, night: int, cells: Sequence[Cell]) -> dict[str, Path]:
    """The files of a night by what they are, each in a folder of its own."""
    of = header(0, night, cells)
    paths = {
        "run file without samples": folder / "bare" / f"{night:06}.jsonl",
        "run file": folder / "whole" / f"{night:06}.jsonl",
        "table": folder / "table" / f"{night:06}.md",
    }
    bare, whole, shown = paths.values()
    write(bare, of, cells, night)
    write(whole, of, cells, night, drawn(cells, night))
    made = table.document_of(report.make_report(reader.read(whole)))
    shown.parent.mkdir(exist_ok=True)
    shown.write_text(markdown.render(made))
    pack(whole)
    return paths


def in_git(folder: Path, count: int, cells: Sequence[Cell]) -> None:
    """Commit each kind of file night by night, and say what a night of it costs."""
    repository = folder / "git"
    git = [
        "git",
        "-C",
        str(repository),
        "-c",
        "user.name=bench",
        "-c",
        "user.email=bench@localhost",
    ]
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    files = [written(repository, night, cells) for night in range(count)]
    before = 0
    for what in files[0]:
        for night, of in enumerate(files):
            subprocess.run([*git, "add", str(of[what])], check=True)
            subprocess.run([*git, "commit", "--quiet", "-m", f"{what} {night}"], check=True)
        subprocess.run([*git, "gc", "--quiet"], check=True)
        size = sum(path.stat().st_size for path in repository.glob(".git/objects/**/*"))
        file = sum(of[what].stat().st_size for of in files)
        print(
            f"{what}: {file / count / 1e3:.0f} kB per night, "
            f"{(size - before) / count / 1e3:.0f} kB of .git"
        )
        before = size


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("read", "git"))
    parser.add_argument("--machines", type=int, default=5)
    parser.add_argument("--nights", type=int, help="(365 to read, 10 in git)")
    parser.add_argument("--cells", type=int, default=500)
    args = parser.parse_args()
    heading(parser.description or "")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        if args.what == "read":
            reading(Path(folder), args.machines, args.nights or 365, args.cells)
        else:
            in_git(Path(folder), args.nights or 10, cells_of(args.cells))


if __name__ == "__main__":
    main()
