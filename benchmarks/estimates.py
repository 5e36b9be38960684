"""How long a run takes, as told before and as it was.

Each of the shipped matrices, and small ones in which most of the time is not windows: calibration
cells, the start, rings that are gone around, queues that leave at a shaper's rate. `--rounds` cuts
long ones short; what is told is then of as many rounds. A run ends between the two ends of what is
told where precision decides how many rounds there are.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from common import heading, met, table

from bench.base.errors import UsageError
from bench.base.exit_codes import ExitCode
from bench.matrix import load
from bench.measure.estimate import Estimate, estimate
from bench.measure.prepare import vocabulary
from bench.plan import plan
from bench.system.procfs import ProcFs

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_GOAL, SMALL_GOAL = 1.15, 1.25
SHORT_S, SHORT_GOAL = 5.0, 1.5

TBF = "{kind: tbf, burst: 32KiB, "
SMALL = {
    "one cell": "{axes: {method: sendto}, measure: {rounds: 100}}",
    "no system call": "{axes: {method: 'null', frame_size: [64, 1514]},"
    " measure: {window: 2ms, rounds: 720}}",
    "few rounds": "{axes: {method: [send, tx_ring], interface: [lo, veth, ifb]},"
    " measure: {window: 1ms, rounds: 3}}",
    "short windows": "{axes: {method: [sendmmsg, tx_ring], interface: veth, threads: [1, 2]},"
    " measure: {window: 1ms, rounds: 200}}",
    "long bursts": "{axes: {method: [sendmmsg, tx_ring], burst: [1, 512],"
    " frame_size: 9000, ring: {block_size: 64KiB, block_nr: 128, frame_size: 16KiB}},"
    " measure: {window: 1ms, rounds: 50}}",
    "large rings": "{axes: {method: tx_ring, interface: [veth, ifb],"
    " ring: {block_size: 64KiB, block_nr: 512, frame_size: 256}},"
    " measure: {rounds: 10}}",
    "1 Mbit/s": "{axes: {method: [sendto, tx_ring], interface: veth, frame_size: 1514,"
    " burst: 16, sndbuf: 8KiB, qdisc: {kind: tbf, rate: 1mbit, burst: 1600, limit: 15140}},"
    " measure: {window: 5ms, rounds: 3}}",
    "200 Mbit/s": "{axes: {method: sendto, interface: veth, frame_size: 1514,"
    " sndbuf: [default, {bytes: 8MiB, force: true}],"
    " qdisc: " + TBF + "rate: 200mbit, limit: 8MiB}},"
    " measure: {window: 20ms, rounds: 20}}",
    "1 Gbit/s": "{axes: {method: [sendto, sendmmsg, tx_ring], interface: veth, frame_size: 1514,"
    " msg_dontwait: [false, true], qdisc: " + TBF + "rate: 1gbit, limit: 1MiB}},"
    " measure: {window: 5ms, rounds: 40}}",
    "htb": "{axes: {method: [sendto, sendmmsg], interface: [veth, ifb], frame_size: 1514,"
    " qdisc: {kind: htb, rate: 100mbit}}, measure: {window: 10ms, rounds: 20}}",
}


def within(least_s: float, most_s: float, needed_s: float, goal: float) -> bool:
    factor = SHORT_GOAL if needed_s < SHORT_S else goal
    return least_s / factor <= needed_s <= most_s * factor


def told_of(path: Path) -> Estimate:
    words = vocabulary()
    loaded = load.load(path, words)
    return estimate(plan.make_plan(loaded, words), loaded, ProcFs())


def needed_s(path: Path, results: Path) -> tuple[float, str]:
    """Seconds that a run takes, and what it says if it fails."""
    command = [
        sys.executable,
        "-m",
        "bench",
        "run",
        str(path),
        "--results",
        str(results),
        "--allow-exec",
    ]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    ran = done.returncode in (ExitCode.FINE, ExitCode.INCONCLUSIVE)  # a cell may want more CPUs
    said = "" if ran else done.stderr.splitlines()[-1]
    return time.perf_counter() - start, said


def cut(data: dict[str, Any], most: int | None) -> dict[str, Any]:
    """A matrix of at most so many rounds."""
    rounds = data.setdefault("measure", {}).get("rounds", {"min": 40, "max": 400})
    if most is not None:
        ends = rounds if isinstance(rounds, dict) else {"min": rounds, "max": rounds}
        data["measure"]["rounds"] = {end: min(count, most) for end, count in ends.items()}
    return data


def row(name: str, data: dict[str, Any], goal: float, folder: Path) -> list[str]:
    path = folder / "matrix.yaml"
    path.write_text(yaml.safe_dump({"name": "estimate", **data}))
    told = told_of(path)
    least_s, most_s = told.least_ns / 1e9, told.most_ns / 1e9
    span = f"{least_s:.1f} s" if least_s == most_s else f"{least_s:.1f} to {most_s:.1f} s"
    seconds, failure = needed_s(path, folder)
    if failure:
        return [name, span, f"not here: {failure}", "", "undecided"]
    ratio = f"{seconds / least_s:.2f}" + (
        "" if least_s == most_s else f" to {seconds / most_s:.2f}"
    )
    return [name, span, f"{seconds:.1f} s", ratio, met(within(least_s, most_s, seconds, goal))]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("matrices", nargs="*", type=Path, help="these instead of all")
    parser.add_argument("--rounds", type=int, help="at most so many of each matrix")
    parser.add_argument("--small", action="store_true", help="the small ones alone")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    heading("What is told of a run's time, and what it takes")
    shipped = args.matrices or ([] if args.small else sorted((ROOT / "matrices").glob("*.yaml")))
    todo = [(path.stem, yaml.safe_load(path.read_text()), SHIPPED_GOAL) for path in shipped]
    if not args.matrices:
        todo += [(name, yaml.safe_load(text), SMALL_GOAL) for name, text in SMALL.items()]
    rows = []
    for name, data, goal in todo:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                rows.append(row(name, cut(data, args.rounds), goal, Path(folder)))
            except UsageError as error:
                raise SystemExit(f"{name}: {error}") from error
    table(["", "told", "needed", "needed / told", ""], rows)


if __name__ == "__main__":
    main()
