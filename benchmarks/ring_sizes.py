"""Does a large ring look slower than it is?

A cell's figure must not hang on the length of its window. Whatever the harness does once per slot
of a ring, and once per window, would make a large ring slower in short windows than in long ones.
So rings of two sizes run against `sendmmsg` on ifb, in windows of two lengths, all of them in each
round; the ratio to `sendmmsg` in short windows, over that in long ones, must be 1 within 1 %.
"""

from __future__ import annotations

import argparse
import random
from contextlib import ExitStack

from common import equal, heading, interval, open_cell, pin_beside_sender, table

from bench.analysis import intervals
from bench.base.values import Value
from bench.engines.core import OpenCell, SlicePlan
from bench.topology import Topology
from bench.topology.kinds import up

MM = "sendmmsg"
BLOCKS = {"512": 2, "131,072": 512}
"""Slots of 256 bytes of a ring, and its blocks of 64 KiB."""
WINDOWS_MS = (10, 100)
WARMUP_NS, DRAIN_NS = 300_000, 2_000_000_000
WITHIN = 0.01

Rates = dict[tuple[str, int], list[float]]
"""(Cell, window in ms) -> completed frames per second, in the order of the rounds."""


def open_cells(stack: ExitStack, topology: Topology, cpu: int) -> dict[str, OpenCell]:
    shared: dict[str, Value] = {"frame_size": 64, "burst": 64, "fill": "prefilled"}
    axes: dict[str, dict[str, Value]] = {MM: {"method": "sendmmsg"}}
    for slots, blocks in BLOCKS.items():
        ring: Value = {"version": 2, "block_size": 65536, "block_nr": blocks, "frame_size": 256}
        axes[slots] = {"method": "tx_ring", "ring": ring}
    return {
        name: stack.enter_context(open_cell(topology, cpu, **shared, **own))
        for name, own in axes.items()
    }


def measure(rounds: int) -> tuple[Rates, Rates]:
    """Frames per second of each cell and window, and per second of the sender's CPU time."""
    cpu, order = pin_beside_sender(), random.Random(1)
    with up("ifb") as topology, ExitStack() as stack:
        cells = open_cells(stack, topology, cpu)
        turns = [(name, window_ms) for name in cells for window_ms in WINDOWS_MS]
        by_time: Rates = {turn: [] for turn in turns}
        by_cpu_time: Rates = {turn: [] for turn in turns}
        for _ in range(rounds):
            for name, window_ms in order.sample(turns, len(turns)):
                plan = SlicePlan(window_ms * 1_000_000, WARMUP_NS, DRAIN_NS)
                (thread,) = cells[name].run_slice(plan).threads
                by_time[name, window_ms].append(thread.completed / thread.wall_ns)
                by_cpu_time[name, window_ms].append(thread.completed / thread.cpu_ns)
    return by_time, by_cpu_time


def divided(above: list[float], below: list[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def show(rates: Rates) -> None:
    rows = []
    short, long = WINDOWS_MS
    for slots in BLOCKS:
        in_short, in_long = (divided(rates[slots, ms], rates[MM, ms]) for ms in WINDOWS_MS)
        both = divided(in_short, in_long)
        *figures, agreement = intervals.estimates([in_short, in_long, both])
        rows.append([slots, *map(interval, figures), interval(agreement), equal(agreement, WITHIN)])
    columns = [f"to {MM}, {short} ms", f"{long} ms", f"{short} ms / {long} ms", f"±{WITHIN:.0%}"]
    table(["slots", *columns], rows)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=400, help="of every cell and window")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    heading("Rings of two sizes in windows of two lengths")
    by_time, by_cpu_time = measure(args.rounds)
    print("frames per second")
    show(by_time)
    print("frames per second of the sender's CPU time")
    show(by_cpu_time)


if __name__ == "__main__":
    main()
