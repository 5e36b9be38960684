"""What does `bench nightly` add to the wall time of its runs?

A matrix is measured by `bench run` and by `bench nightly`, in turns, both as whole processes. The
nights have a year of nights before them: copies of the first run whose figures stray so far that
tonight is no suspect, for what is measured again is measured on purpose. The first night reads
them all, later ones have a cache. Goal: at most 10 % more. It takes root.

    python benchmarks/nightly.py                               matrices/nightly.yaml, three pairs
    python benchmarks/nightly.py --matrix M.yaml --pairs 5
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common import heading, met, table

from bench.analysis.cell_summaries import summary_of
from bench.model.summaries import CellSummary, RunSummary
from bench.store.folders import new_run_path, run_files
from bench.store.run_summaries import read_summary
from bench.store.writer import RunWriter

ROOT = Path(__file__).resolve().parents[1]
GOAL = 0.10
STRAY = 0.10
"""The standard deviation of a night: nothing that the machine does is a suspect."""


def bench(verb: str, matrix: Path, results: Path, cache: Path) -> tuple[float, str]:
    """Seconds of wall time of a verb, and what it printed; the exit code 4 is one of a night."""
    command = [sys.executable, "-m", "bench", verb, matrix, "--results", results]
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    start = time.monotonic()
    done = subprocess.run(
        [*map(str, command), "--machine", "example", "--wait"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    took = time.monotonic() - start
    if done.returncode not in (0, 4):
        raise SystemExit(f"bench {verb} {matrix} ended with {done.returncode}")
    return took, done.stdout


def with_history(run: RunSummary, folder: Path, nights: int) -> None:
    """Write nights before now whose levels stray around those of a run."""
    chance, now = random.Random(1), datetime.now(UTC)
    for ago in range(nights, 0, -1):
        started = now - timedelta(days=ago)
        header = replace(run.header, id=f"{ago:016x}", started=started)
        with RunWriter(new_run_path(folder, started)) as writer:
            writer.header(header, run.cells, run.calibration)
            writer.summaries({cell: _strayed(of, chance) for cell, of in run.summaries.items()}, {})
            writer.end("done", wall_s=0.0)


def _strayed(of: CellSummary, chance: random.Random) -> CellSummary:
    factor = chance.lognormvariate(0, STRAY)
    openings = tuple(
        replace(each, pps=each.pps / factor, ns_per_frame=each.ns_per_frame * factor)
        for each in of.openings
    )
    return replace(of, openings=openings)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--matrix", type=Path, default=ROOT / "matrices" / "nightly.yaml")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--nights", type=int, default=365, help="before the first one")
    options = parser.parse_args()
    heading(f"bench nightly beside bench run: {options.matrix.name}, {options.nights} nights")
    rows, added = [], []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        plain, nights, cache = (Path(name, part) for part in ("plain", "nights", "cache"))
        for pair in range(1, options.pairs + 1):
            run_s, _ = bench("run", options.matrix, plain, cache)
            if pair == 1:
                (path,) = plain.glob("*/*/*.jsonl")
                folder = nights / path.parent.relative_to(plain)
                with_history(read_summary(path, summary_of), folder, options.nights)
            night_s, said = bench("nightly", options.matrix, nights, cache)
            again = len(run_files(folder / "confirm"))
            if not again:
                added.append(night_s / run_s - 1)
            compared = re.findall(r"compared with (\d+)", said)
            rows.append(
                [
                    pair,
                    *compared,
                    f"{run_s:.1f} s",
                    f"{night_s:.1f} s",
                    f"{night_s / run_s - 1:+.1%}",
                    again,
                ]
            )
    table(["pair", "nights", "bench run", "bench nightly", "more", "measured again"], rows)
    if not added:
        raise SystemExit("every night measured suspects again: nothing to compare")
    more = statistics.median(added)
    print(f"At most {GOAL:.0%} more, half of the pairs {more:+.1%} or less: {met(more <= GOAL)}")


if __name__ == "__main__":
    main()
