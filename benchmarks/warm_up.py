"""Is a sender warm when its window opens?

Other cells' slices have had the caches meanwhile, so the first frames of a slice cost more. They
belong to the warm-up. The same cells take slices with warm-ups of several lengths, in shuffled
order, so that mostly another cell was before. CPU time per frame after each warm-up is set against
that after the longest, within the rounds: a ratio above 1 is what a window of that length is dearer
because it began cold. The warm-up that runs have must stay within 1 %.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from contextlib import ExitStack

from common import equal, heading, interval, open_cell, pin_beside_sender, table

from bench.analysis import intervals
from bench.base.values import Value
from bench.engines.core import OpenCell, SlicePlan
from bench.model.results import Estimate
from bench.plan.schedule import DRAIN_NS, WARMUP_NS
from bench.topology.kinds import up

WARM_UPS_MS = (WARMUP_NS / 1e6, 0.5, 1.0, 2.0, 5.0)
WITHIN = 0.01
SLOTS: Value = {"version": 2, "block_size": 65536, "block_nr": 32, "frame_size": 2048}
"""A ring of 2 MiB, each of whose frames lies in cache lines of its own."""

CELLS: dict[str, dict[str, Value]] = {
    "sendto": {"method": "sendto"},
    "sendmmsg": {"method": "sendmmsg"},
    "tx_ring": {"method": "tx_ring"},
    "tx_ring of 2 MiB": {"method": "tx_ring", "ring": SLOTS},
    "tx_ring of 2 MiB, prefilled": {"method": "tx_ring", "ring": SLOTS, "fill": "prefilled"},
}

Costs = dict[tuple[str, float], list[float]]
"""(Cell, warm-up in ms) -> CPU time per frame, in the order of the rounds."""


def measure(kind: str, frame_size: int, window_ns: int, rounds: int, cpu: int) -> Costs:
    order = random.Random(1)
    with up(kind) as topology, ExitStack() as stack:
        shared: dict[str, Value] = {"frame_size": frame_size, "burst": 64}
        cells: dict[str, OpenCell] = {
            name: stack.enter_context(open_cell(topology, cpu, **shared, **own))
            for name, own in CELLS.items()
        }
        turns = [(name, warm_up_ms) for name in cells for warm_up_ms in WARM_UPS_MS]
        costs: Costs = {turn: [] for turn in turns}
        for _ in range(rounds):
            for name, warm_up_ms in order.sample(turns, len(turns)):
                plan = SlicePlan(window_ns, round(warm_up_ms * 1e6), DRAIN_NS)
                (thread,) = cells[name].run_slice(plan).threads
                costs[name, warm_up_ms].append(thread.cpu_ns / thread.completed)
    return costs


def ratios(costs: Costs) -> dict[tuple[str, float], Estimate | None]:
    """To the cost after the longest warm-up."""
    turns = [(name, ms) for name in CELLS for ms in WARM_UPS_MS[:-1]]
    within_rounds = [
        [
            short / long
            for short, long in zip(costs[turn], costs[turn[0], WARM_UPS_MS[-1]], strict=True)
        ]
        for turn in turns
    ]
    return dict(zip(turns, intervals.estimates(within_rounds), strict=True))


def show(kinds: Sequence[str], args: argparse.Namespace) -> None:
    cpu = pin_beside_sender()
    rows = []
    for kind in kinds:
        window_ns = round(args.window_ms * 1e6)
        found = ratios(measure(kind, args.frame_size, window_ns, args.rounds, cpu))
        for name in CELLS:
            each = [found[name, ms] for ms in WARM_UPS_MS[:-1]]
            rows.append([kind, name, *map(interval, each), equal(each[0], WITHIN)])
    print(f"CPU time per frame in windows of {args.window_ms:g} ms, over that after 5 ms\n")
    warm_ups = [f"after {ms:g} ms" for ms in WARM_UPS_MS[:-1]]
    table(["", "", *warm_ups, f"the first within {WITHIN:.0%} of 1"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interfaces", nargs="+", default=["veth", "ifb", "lo"])
    parser.add_argument("--frame-size", type=int, default=64)
    parser.add_argument("--window-ms", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=100)
    args = parser.parse_args()
    heading("What a window is dearer because it began cold")
    show(args.interfaces, args)


if __name__ == "__main__":
    main()
