"""Does a figure behind a shaper ever say more than the shaper lets pass?

For each qdisc (tbf, htb), rate and window the real runner measures each method through a veth. No
cell may have more than what passes and 0.1 % (one frame in windows of fewer than a thousand). The
ratio of two methods that both fill the shaper should have 1 in its interval in 19 runs of 20.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from a_against_a import Silent, contains
from common import heading, met, table

from bench.analysis.figures import usable_by_cell
from bench.analysis.summary import summarise
from bench.base.values import Value
from bench.matrix.load import parse
from bench.measure import runner
from bench.measure.measuring import Seen
from bench.measure.prepare import vocabulary
from bench.model.results import CellResult
from bench.model.run import Run
from bench.plan import plan
from bench.system import host
from bench.topology.kinds import shaper

QDISCS = ["tbf", "htb"]
RATES = [100_000, 1_000_000, 20_000_000, 200_000_000, 1_000_000_000, 2_000_000_000]
WINDOWS_MS = [1, 10, 100]
FRAME_SIZE = 1514
METHODS = ["sendto", "send", "sendmmsg", "tx_ring"]
FILLS = 0.98
HELD = 0.95


def qdisc_of(kind: str, rate: int) -> dict[str, Value]:
    """A bucket of 4 ms: none overflows while its timer is late."""
    value: dict[str, Value] = {"kind": kind, "rate": rate, "burst": max(3200, rate // 2000)}
    return value | ({"limit": 4 << 20} if kind == "tbf" else {})


def matrix_of(kind: str, rate: int, window_ms: int, rounds: int, seed: int) -> str:
    """A slow shaper has a short queue, which leaves within the wait of a slice."""
    slots = {"slots": 8 if rate < 10**6 else 64, "frame_size": 2048}
    axes: dict[str, Any] = {
        "interface": "veth",
        "method": METHODS,
        "frame_size": FRAME_SIZE,
        "burst": 4 if rate < 10**6 else 16,
        "ring": slots,
        "msg_dontwait": [False, True],
        "qdisc": qdisc_of(kind, rate),
    }
    if rate < 10**8:
        axes["sndbuf"] = "8KiB"
    measure = {"window": f"{window_ms}ms", "rounds": rounds, "openings": 1, "seed": seed}
    base = {"method": "sendto", "msg_dontwait": False}
    return json.dumps({"name": "shaped", "axes": axes, "measure": measure, "baseline": base})


def run(folder: Path, text: str) -> Run:
    words = vocabulary()
    matrix = parse(text, "shaped", words)
    target = runner.Target(folder / f"{len([*folder.iterdir()])}.jsonl")
    seen: Seen[Mapping[str, Any]] = Seen(host.fingerprint(), {})
    return runner.run(matrix, plan.make_plan(matrix, words), target, Silent(), seen)


def passing(row: CellResult, wall_ns: int, *, at_most: bool) -> float:
    """Frames that pass a cell's shaper in so long; at most: with what an edge may cut."""
    held = shaper(row.cell.values)
    assert held is not None
    if at_most:
        return held.most_frames(wall_ns, row.cell.frame_size)
    return held.rate * wall_ns / (8e9 * row.cell.frame_size)


def judged(of: Run) -> Iterator[tuple[CellResult, float, float]]:
    """A row; its frames and those that pass, and those that may at most, of median windows."""
    usable = usable_by_cell(of)
    for row in summarise(of, of.header.measure.precision):
        walls = sorted(sample.wall_ns for sample in usable[row.cell.id])
        if walls and row.figures.pps:
            wall_ns = walls[len(walls) // 2]
            frames = row.figures.pps.value * wall_ns / 1e9
            yield (
                row,
                frames / passing(row, wall_ns, at_most=False),
                frames / passing(row, wall_ns, at_most=True),
            )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=int, nargs="*", default=RATES, help="bits per second")
    parser.add_argument("--windows-ms", type=int, nargs="*", default=WINDOWS_MS)
    parser.add_argument("--rounds", type=int, default=40, help="of each run")
    parser.add_argument("--runs", type=int, default=1, help="of each qdisc, rate and window")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    heading("What a shaper lets pass, and what is told")
    rows, ratios, held, over, cells = [], 0, 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for kind, rate, window_ms in itertools.product(QDISCS, args.rates, args.windows_ms):
            part, most, invalid, n, in_it = 0.0, 0.0, 0, 0, 0
            for seed in range(args.runs):
                found = run(Path(folder), matrix_of(kind, rate, window_ms, args.rounds, seed))
                invalid += sum(1 for sample in found.samples if sample.problem)
                of = [*judged(found)]
                part = max(part, *(each for _, each, _ in of))
                most = max(most, *(each for _, _, each in of))
                over += sum(each > 1 for _, _, each in of)
                cells += len(of)
                full = [row for row, each, _ in of if each >= FILLS and row.figures.ratio]
                told = [row for row in full if row.figures.ratio and row.figures.ratio.low]
                n += len(told)
                in_it += sum(contains(row.figures.ratio, 1) for row in told)
            ratios, held = ratios + n, held + in_it
            told_rate = f"{rate / 1e6:g} Mbit/s"
            worst = [f"{part:.4f}", f"{most:.4f}"]
            rows.append([kind, told_rate, f"{window_ms} ms", *worst, invalid, f"{in_it} of {n}"])
    heads = ["qdisc", "rate", "window", "highest / passes", "/ at most", "invalid", "1 in ratio"]
    table(heads, rows)
    print(f"more than passes: {over} of {cells} cells: {met(over == 0)}")
    print(f"1 is in the interval of {held} of {ratios} ratios: {met(held >= HELD * ratios)}")


if __name__ == "__main__":
    main()
