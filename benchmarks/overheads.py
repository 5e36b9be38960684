"""What bench costs beside what it measures.

The wall time of a stored run over the windows of its slices; the part of a run of two cells that is
windows of these, and what a slice takes beside its window; making and removing each interface; one
reading of a topology's counters; the checks of `bench doctor`; `bench plan` of 100,000 combinations
that are all cells of their own, with the memory it takes; and `bench --help`, which everybody waits
for.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from common import heading, met, table

from bench import doctor
from bench.base.errors import BenchError
from bench.measure.counters import CounterReader
from bench.store import reader
from bench.topology.kinds import KINDS, up

ROOT = Path(__file__).resolve().parent.parent
RUN_GOAL = 1.25
ASKED_GOAL = 0.8
SLICE_GOAL_S = 1e-3
TOPOLOGY_GOAL_S = 0.5
PLAN_GOAL_S = 3.0
PLAN_GOAL_BYTES = 300e6
HELP_GOAL_S = 0.3
READING_GOAL_S = 100e-6
DOCTOR_GOAL_S = 0.4

TWO_CELLS = """
name: two
axes: {interface: veth, method: [sendto, sendmmsg], frame_size: 64}
measure: {window: 10ms, rounds: 400}
"""

# 125 sizes x 10 bursts x 5 rings x 2^4: a ring reads all of these axes, so none collapses.
LARGE_MATRIX = """
name: large
axes:
  interface: veth
  method: tx_ring
  frame_size: {sizes}
  burst: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
  ring:
    - {{version: 2, block_size: 4096, block_nr: 256, frame_size: 2048}}
    - {{version: 2, block_size: 4096, block_nr: 512, frame_size: 2048}}
    - {{version: 2, block_size: 16384, block_nr: 64, frame_size: 2048}}
    - {{version: 3, block_size: 4096, block_nr: 256, frame_size: 2048}}
    - {{version: 3, block_size: 16384, block_nr: 64, frame_size: 2048}}
  fill: [copy, prefilled]
  msg_dontwait: [false, true]
  qdisc_bypass: [false, true]
  packet_loss: [false, true]
"""
COMBINATIONS = 100_000

Row = tuple[str, str, str, str]
"""What, measured, goal, verdict."""


def newest_run(results: Path) -> Path | None:
    return max(results.rglob("*.jsonl"), key=lambda path: path.stat().st_mtime, default=None)


def run_overhead(path: Path | None) -> list[Row]:
    if path is None:
        return [("wall time of a run / its windows", "no run under results/", "", "undecided")]
    last: dict[str, Any] = json.loads(path.read_text().splitlines()[-1])
    if last.get("type") != "end" or "windows_s" not in last:
        raise SystemExit(f"{path}: not a run that ended by itself")
    ratio = last["wall_s"] / last["windows_s"]
    what = f"wall time of {path.stem} / its windows"
    measured = f"{ratio:.3f} ({last['wall_s']:.1f} s / {last['windows_s']:.1f} s)"
    return [(what, measured, f"<= {RUN_GOAL}", met(ratio <= RUN_GOAL))]


def two_cells() -> list[Row]:
    """Beside the window that was planned a slice has its warm-up, the counters, the way to the
    disk, and the rest of the last burst."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        matrix = Path(folder) / "two.yaml"
        matrix.write_text(TWO_CELLS)
        run_bench("run", str(matrix), "--results", folder, "--quiet")
        (path,) = Path(folder).rglob("*.jsonl")
        run = reader.read(path)
        wall_s = json.loads(path.read_text().splitlines()[-1])["wall_s"]
    window_ns, cells = run.header.measure.window_ns, {cell.id for cell in run.cells}
    asked = window_ns / 1e9 * sum(sample.cell in cells for sample in run.samples) / wall_s
    began = sorted(sample.at_ns for sample in (*run.samples, *run.calibration_samples))
    beside_s = [(later - at - window_ns) / 1e9 for at, later in pairwise(began)]
    median, warmup = statistics.median(beside_s), run.header.measure.warmup_ns / 1e6
    what = f"a slice beside its window (warm-up: {warmup:g} ms and a burst)"
    return [
        (
            "windows of two cells / wall time",
            f"{asked:.1%} (of {wall_s:.1f} s)",
            f">= {ASKED_GOAL:.0%}",
            met(asked >= ASKED_GOAL),
        ),
        (
            what,
            f"{median * 1e3:.2f} ms (mean {statistics.mean(beside_s) * 1e3:.2f} ms)",
            f"<= {SLICE_GOAL_S * 1e3:g} ms",
            met(median <= SLICE_GOAL_S),
        ),
    ]


def seconds_of(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def up_and_down(kind: str) -> None:
    with up(kind):
        pass


def topologies(repetitions: int) -> list[Row]:
    rows = []
    for kind in KINDS:
        what, goal = f"{kind}: set up and tear down", f"< {TOPOLOGY_GOAL_S:g} s"
        try:
            taken = [seconds_of(partial(up_and_down, kind)) for _ in range(repetitions)]
        except BenchError as error:
            rows.append((what, f"not here: {error}", goal, "undecided"))
            continue
        median, worst = statistics.median(taken), max(taken)
        measured = f"{median:.3f} s (at most {worst:.3f} s)"
        rows.append((what, measured, goal, met(worst < TOPOLOGY_GOAL_S)))
    return rows


def readings(repetitions: int) -> list[Row]:
    tbf = {"kind": "tbf", "rate": "1gbit", "burst": "32KiB", "limit": "4MiB"}
    rows = []
    for interface, qdisc in (("lo", "noqueue"), ("veth", tbf)):
        with up(interface, qdisc) as topology, CounterReader(topology) as reader:
            median = statistics.median(seconds_of(reader.read) for _ in range(100 * repetitions))
        through = "" if qdisc == "noqueue" else " with a qdisc"
        what, goal = f"a reading of {interface}{through}", f"< {READING_GOAL_S * 1e6:g} us"
        rows.append((what, f"{median * 1e6:.0f} us", goal, met(median < READING_GOAL_S)))
    return rows


def checks(repetitions: int) -> list[Row]:
    cpus = sorted(os.sched_getaffinity(0))
    median = statistics.median(
        seconds_of(lambda: doctor.examine(doctor.ProcFs(), cpus, None)) for _ in range(repetitions)
    )
    goal = f"< {DOCTOR_GOAL_S:g} s"
    return [("the checks of doctor", f"{median:.3f} s", goal, met(median < DOCTOR_GOAL_S))]


def run_bench(*arguments: str) -> str:
    """Run bench as its users do: what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bench", *arguments]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def large_plan(repetitions: int) -> list[Row]:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        sizes = list(range(64, 1510, 11))[:125]
        file.write(LARGE_MATRIX.format(sizes=sizes))
        file.flush()
        printed = run_bench("plan", file.name)
        cells = [line.split()[-1] for line in printed.splitlines() if line.split()[:1] == ["cells"]]
        if cells != [str(COMBINATIONS)]:
            raise SystemExit(f"not {COMBINATIONS} cells: {printed}")
        taken = [seconds_of(lambda: run_bench("plan", file.name)) for _ in range(repetitions)]
    # The largest of all children so far: nothing larger than this plan was started before.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    seconds, what = statistics.median(taken), f"plan of {COMBINATIONS} cells"
    return [
        (what, f"{seconds:.2f} s", f"< {PLAN_GOAL_S:g} s", met(seconds < PLAN_GOAL_S)),
        (
            f"{what}: peak memory",
            f"{peak / 1e6:.0f} MB",
            f"< {PLAN_GOAL_BYTES / 1e6:.0f} MB",
            met(peak < PLAN_GOAL_BYTES),
        ),
    ]


def help_time(repetitions: int) -> list[Row]:
    seconds = statistics.median(seconds_of(lambda: run_bench("--help")) for _ in range(repetitions))
    return [("--help", f"{seconds:.3f} s", f"< {HELP_GOAL_S:g} s", met(seconds < HELP_GOAL_S))]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "run", nargs="?", type=Path, help="a run file (.jsonl); default: the newest of results/"
    )
    parser.add_argument("--repetitions", type=int, default=10, help="of each topology and --help")
    parser.add_argument("--plans", type=int, default=3, help="repetitions of the large plan")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    heading("What bench costs beside what it measures")
    rows = [
        *run_overhead(args.run or newest_run(ROOT / "results")),
        *two_cells(),
        *topologies(args.repetitions),
        *readings(args.repetitions),
        *checks(args.repetitions),
        *large_plan(args.plans),
        *help_time(args.repetitions),
    ]
    table(["", "measured", "goal", ""], rows)


if __name__ == "__main__":
    main()
