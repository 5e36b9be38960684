"""Is a thing told from itself? And is it told from one that takes 25 ns longer?

The real runner runs a matrix of two replicas of one cell, `send` on lo, again and again. In every
try the 95 % interval of the ratio of their ns/frame should be narrower than ±0.5 %, and in nine
tries of ten it should contain 1 (an interval that holds what it says does so in 91 of 100 such
series). Then `send` and `test_slow`, the same with a loop of 25 ns in front of each call, run
against each other once: that difference must be seen, and its size with it.

A window of 5 ms has some 3,000 frames, enough for the cost of the edges to vanish, and little
enough time for the machine to change before the other cell's turn; with what surrounds a slice
400 rounds of two cells take some six seconds. Longer windows made the intervals no narrower for
the time that they take.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common import heading, interval, met, table

from bench.analysis import figures, intervals
from bench.matrix.load import parse
from bench.measure import runner
from bench.measure.measuring import Seen
from bench.measure.prepare import vocabulary
from bench.model.cells import Cell
from bench.model.matrix import Rounds
from bench.model.results import Estimate
from bench.model.run import Run
from bench.model.samples import Sample
from bench.plan import plan
from bench.system import host

MATRIX = """
name: a_against_a
axes:
  interface: lo
  method: {methods}
  replica: {replicas}
  frame_size: 64
  threads: 1
  fill: prefilled
measure:
  window: {window_ms}ms
  rounds: {{min: {rounds}, max: {rounds}}}
  seed: {seed}
baseline: {baseline}
"""
NARROW = 0.005
HELD = 0.9
SLOW_NS = 25


class Silent:
    """A Progress that shows nothing."""

    def stage(self, text: str) -> None: ...

    def rounds(self, slices: int, number: int, of: Rounds) -> None: ...

    def slice(self, cell: Cell, sample: Sample | None) -> None: ...


def run(folder: Path, args: argparse.Namespace, seed: int, **axes: str) -> Run:
    text = MATRIX.format(window_ms=args.window_ms, rounds=args.rounds, seed=seed, **axes)
    words = vocabulary()
    matrix = parse(text, "a_against_a", words)
    target = runner.Target(folder / f"{seed}-{len([*folder.iterdir()])}.jsonl")
    seen: Seen[Mapping[str, Any]] = Seen(host.fingerprint(), {})  # without the doctor's 0.2 s
    return runner.run(matrix, plan.make_plan(matrix, words), target, Silent(), seen)


def costs(run: Run) -> list[tuple[float, float]]:
    """(ns/frame of the cell, of the baseline) for each round that has both."""
    usable = figures.usable_by_cell(run)
    (baseline,) = set(run.baselines.values())
    (other,) = set(usable) - {baseline}
    base = {sample.round: figures.ns_per_frame(sample) for sample in usable[baseline]}
    return [(figures.ns_per_frame(s), base[s.round]) for s in usable[other] if s.round in base]


def ratio_of(pairs: Sequence[tuple[float, float]]) -> Estimate | None:
    return intervals.estimates([[cell / base for cell, base in pairs]])[0]


def is_narrow(ratio: Estimate | None) -> bool:
    return ratio is not None and ratio.half_width is not None and ratio.half_width < NARROW


def contains(ratio: Estimate | None, value: float) -> bool:
    if ratio is None or ratio.low is None or ratio.high is None:
        return False
    return ratio.low <= value <= ratio.high


def same(folder: Path, args: argparse.Namespace) -> None:
    rows, ratios = [], []
    for seed in range(args.tries):
        pairs = costs(
            run(folder, args, seed, methods="send", replicas="[1, 2]", baseline="{replica: 1}")
        )
        ratio = ratio_of(pairs)
        ratios.append(ratio)
        half = f"±{ratio.half_width:.2%}" if ratio and ratio.half_width else "-"
        found = "yes" if contains(ratio, 1) else "no"
        rows.append([seed + 1, len(pairs), interval(ratio, 4), half, found])
    print("send against itself: ratio of ns/frame, replica 2 to replica 1")
    table(["try", "rounds", "ratio", "half width", "contains 1"], rows)
    narrow, held = sum(map(is_narrow, ratios)), sum(contains(ratio, 1) for ratio in ratios)
    print(f"narrower than ±{NARROW:.1%} in {narrow} of {args.tries}: {met(narrow == args.tries)}")
    print(f"contains 1 in {held} of {args.tries}: {met(held >= HELD * args.tries)}\n")


def slower(folder: Path, args: argparse.Namespace) -> None:
    pairs = costs(
        run(
            folder,
            args,
            args.tries,
            methods="[send, test_slow]",
            replicas="1",
            baseline="{method: send}",
        )
    )
    ratio = ratio_of(pairs)
    (difference,) = intervals.estimates([[cell - base for cell, base in pairs]])
    print(f"test_slow against send, {SLOW_NS} ns more per frame by construction")
    table(
        ["rounds", "ratio of ns/frame", "told apart", "ns/frame more"],
        [[len(pairs), interval(ratio, 4), met(not contains(ratio, 1)), interval(difference, 1)]],
    )


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=10, help="of A against A")
    parser.add_argument("--rounds", type=int, default=400, help="in each try")
    parser.add_argument("--window-ms", type=int, default=5, help="of a slice")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    os.environ["BENCH_CORE"] = "test"  # the core with test_slow in it; the worker inherits this
    heading("A against A, and against A with 25 ns more")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        same(Path(folder), args)
        slower(Path(folder), args)


if __name__ == "__main__":
    main()
