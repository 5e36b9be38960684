"""What does `bench ab` tell in a run of a minute, and does it cry wolf?

alike           A against A. Goal: no cell regressed or improved, no shift told, in any of 40 runs.
cost            side B has a cost of 1 % of a frame's CPU time. Goal: told in at least 95 % of runs.

The cost is real: u32 filters on the egress hook of the interface (`--set-b`), as many as cost a
cell 1 %. What one filter costs is measured first, with `bench ab` as well.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import heading, met

ROOT = Path(__file__).resolve().parents[1]
BASE = 1
"""Filters of both sides: the hook itself costs more than a filter, and is no part of the cost."""

COST = 0.01
MANY = 40
"""Filters that are measured to know what one costs."""

MATRIX = """
name: ab
axes:
  interface: {{kind: veth, filters: {base}}}
  method: {method}
  frame_size: 64
  burst: 64
measure: {{window: 5ms, rounds: {rounds}, openings: {openings}}}
"""
FIGURE = "ns_per_frame"


@dataclass(frozen=True)
class Told:
    """Of one run: the verdict on its cell, the change of ns/frame, and how long it took."""

    verdict: str
    change: float
    low: float
    high: float
    seconds: float

    def __str__(self) -> str:
        interval = f"[{self.low:+.2%}, {self.high:+.2%}]"
        return f"{self.change:+.2%} {interval} {self.verdict}, {self.seconds:.0f} s"


def ab(folder: Path, args: argparse.Namespace, filters: int, seed: int) -> Told:
    """One run of `bench ab`, whose side B has so many filters more."""
    matrix = folder / "ab.yaml"
    matrix.write_text(
        MATRIX.format(base=BASE, method=args.method, rounds=args.rounds, openings=args.openings)
    )
    setting = ["--set-b", f"interface={{kind: veth, filters: {BASE + filters}}}"] if filters else []
    command = [sys.executable, "-m", "bench", "ab", str(matrix), *setting]
    options = ["--format", "json", "--seed", str(seed), "--results", str(folder)]
    began = time.monotonic()
    done = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 3, 4):
        raise SystemExit(done.stderr)
    (cell,) = json.loads(done.stdout)["cells"]
    change: dict[str, Any] = cell["changes"][FIGURE]
    return Told(
        cell["verdict"], change["change"], change["low"], change["high"], time.monotonic() - began
    )


def filters_for(folder: Path, args: argparse.Namespace) -> int:
    """How many filters cost COST, by what MANY cost."""
    told = ab(folder, args, MANY, 0)
    number = max(1, round(MANY * COST / max(told.change, 0.001)))
    print(f"{MANY} filters: {told}; {COST:.0%} is {number}")
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("alike", "cost"))
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=800, help="of a run (800)")
    parser.add_argument("--openings", type=int, default=40, help="of a run (40)")
    parser.add_argument("--method", default="sendto")
    args = parser.parse_args()
    heading(parser.description or "")
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        filters = filters_for(folder, args) if args.what == "cost" else 0
        found: Counter[str] = Counter()
        changes = []
        for seed in range(1, args.runs + 1):
            told = ab(folder, args, filters, seed)
            found[told.verdict] += 1
            changes.append(told.change)
            print(f"run {seed}: {told}", flush=True)
    print(f"\n{dict(found)}; mean change {sum(changes) / len(changes):+.2%}")
    if args.what == "alike":
        false = found["regressed"] + found["improved"]
        print(f"false alarms: {false} of {args.runs} (goal 0): {met(false == 0)}")
    else:
        share = found["regressed"] / args.runs
        print(f"{COST:.0%} told: {share:.0%} (goal 95 %): {met(share >= 0.95)}")


if __name__ == "__main__":
    main()
