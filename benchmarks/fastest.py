"""Does any program that can be installed send faster than the best method of bench?

`matrices/generators.yaml` is run as it is, with --allow-exec, or a run of it is read. On each
interface and frame size the fastest of our cells is set against the fastest program, within the
rounds: frames per second, and frames per second of CPU time, which other processes disturb less.
The goal is at least 1. Programs that failed or are not installed are named.

xdp-trafficgen (xdp-tools, 1.6.3 or later on Linux 6.18) can be no row: stopped in the midst of its
call it takes EINTR for a failure and ends. It runs by hand, started anew each time, in turn with
xdp_live; both send from CPU 0, which it chooses by itself.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from common import at_least, heading, interval, open_cell, table

from bench.analysis import figures, intervals
from bench.base.values import Value, key_of
from bench.engines.core import SlicePlan
from bench.measure.accounting import delta
from bench.measure.counters import CounterReader
from bench.model.cells import Cell
from bench.model.programs import EXEC
from bench.model.run import Run
from bench.model.samples import Sample
from bench.store import reader as runs
from bench.topology import Topology, entered
from bench.topology.kinds import up

MATRIX = Path(__file__).resolve().parents[1] / "matrices" / "generators.yaml"
FIRST_FRAME_S, START_S, ARRIVAL_S, SLICE_NS = 10, 0.1, 0.01, 50_000_000
THEIR_CPU = 0
RINGS = ("tx_ring", "trafgen_qdisc")
"""A TX ring through the qdisc, ours and a program's: a second pair."""
Group = tuple[str, int]
"""An interface, and a frame size."""


def measured(options: Sequence[str]) -> Run:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [sys.executable, "-m", "bench", "run", str(MATRIX), "--allow-exec"]
        done = subprocess.run(
            [*command, "--results", folder, *options], check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode not in (0, 4):
            raise SystemExit(done.returncode)
        (path,) = Path(folder).rglob("*.jsonl")
        return runs.read(path)


def groups(cells: Sequence[Cell]) -> dict[Group, list[Cell]]:
    found: dict[Group, list[Cell]] = {}
    for cell in cells:
        interface: Value | None = cell.values["interface"]
        assert interface is not None
        found.setdefault((key_of(interface), cell.frame_size), []).append(cell)
    return found


def best(cells: Sequence[Cell], samples: Mapping[str, Sequence[Sample]]) -> Cell | None:
    there = [cell for cell in cells if samples[cell.id]]
    return max(there, key=lambda c: median(map(figures.pps, samples[c.id])), default=None)


def _interface(cell: Cell) -> str:
    interface = cell.values["interface"]
    assert isinstance(interface, dict)
    return str(interface["kind"])


def named(cell: Cell) -> str:
    return f"{cell.method} vnet_hdr" if cell.values["vnet_hdr"] else cell.method


# xdp-trafficgen, by hand


def by_hand(topology: Topology, reader: CounterReader, size: int, seconds: float) -> float:
    """Frames per second that arrive while it sends. Its frame size has the FCS."""
    command = ["xdp-trafficgen", "udp", "-m", topology.dst_mac.hex(":"), "-I", "3600"]
    with entered(topology.tx.netns_fd):
        process = subprocess.Popen(
            [*command, "-s", str(size + 4), topology.tx.ifname],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    with process:
        try:
            await_frames(reader, process)
            start, before = time.monotonic(), reader.read()
            time.sleep(seconds)
            end, after = time.monotonic(), reader.read()
        finally:
            process.kill()
    change = delta(before, after)
    frames, arrived = (getattr(change.sinks[0], name) for name in ("rx_packets", "rx_bytes"))
    if not frames or round(arrived / frames) + topology.delivery.header_left_out < size:
        raise SystemExit(f"xdp-trafficgen: {frames} frames of {arrived} bytes arrived")
    return float(frames / (end - start))


def await_frames(reader: CounterReader, process: subprocess.Popen[bytes]) -> None:
    """Its program is checked by the kernel first, which takes longer where others use the CPU."""
    first, deadline = reader.read(), time.monotonic() + FIRST_FRAME_S
    while not delta(first, reader.read()).sinks[0].rx_packets:
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("xdp-trafficgen: no frame arrived; run it by hand to see why")
        time.sleep(ARRIVAL_S)
    time.sleep(START_S)


def live(size: int, rounds: int, seconds: float, seed: int) -> list[float]:
    """Of each round: frames per second of xdp_live, in those of xdp-trafficgen."""
    chance, ratios = random.Random(seed), []
    plan = SlicePlan(SLICE_NS, 1_000_000, 2_000_000_000)
    axes: dict[str, Value] = {"method": "xdp_live", "frame_size": size, "burst": 256}
    with ExitStack() as stack:
        own, its = (stack.enter_context(up({"kind": "veth", "gro": True})) for _ in range(2))
        counted, reader = (stack.enter_context(CounterReader(of)) for of in (own, its))
        cell = stack.enter_context(open_cell(own, THEIR_CPU, fill="prefilled", **axes))

        def ours() -> float:
            before = counted.read()
            slices = [cell.run_slice(plan) for _ in range(round(seconds * 1e9 / SLICE_NS))]
            sent = sum(of.slice_completed for of in slices)
            time.sleep(ARRIVAL_S)
            arrived = delta(before, counted.read()).sinks[0].rx_packets
            frames = sum(of.threads[0].completed for of in slices)
            return frames * 1e9 / sum(of.wall_ns for of in slices) * arrived / sent

        sides = (ours, lambda: by_hand(its, reader, size, seconds))
        for _ in range(rounds):
            found = {i: sides[i]() for i in chance.sample((0, 1), 2)}
            ratios.append(found[0] / found[1])
    return ratios


def compare_live(args: argparse.Namespace) -> None:
    if not shutil.which("xdp-trafficgen"):
        print("xdp-trafficgen is not on the PATH")
        return
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {THEIR_CPU} or {THEIR_CPU})
    ratios = [live(size, args.rounds, args.seconds, args.seed) for size in args.frame_sizes]
    table(
        ["", "bytes", "xdp_live / xdp-trafficgen: pps", "at least 1"],
        [
            ["veth", str(size), interval(ratio), at_least(1, ratio)]
            for size, ratio in zip(args.frame_sizes, intervals.estimates(ratios), strict=True)
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--read", type=Path, metavar="RUN", help="a run of the matrix, as a file")
    parser.add_argument("--rounds", type=int, default=40, help="of xdp-trafficgen")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each side in such a round")
    parser.add_argument("--frame-sizes", type=int, nargs="+", default=[64, 1514])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("options", nargs="*", help="of `bench run`, behind --")
    args = parser.parse_args()
    heading("Our fastest method, and the fastest program")
    compare_live(args)
    run = runs.read(args.read) if args.read else measured(args.options)
    samples = figures.usable_by_cell(run)
    pairs = []
    for cells in groups(run.cells).values():
        ours = best([cell for cell in cells if cell.engine != EXEC], samples)
        theirs = best([cell for cell in cells if cell.engine == EXEC], samples)
        ring, trafgen = (
            next((cell for cell in cells if named(cell) == name and samples[cell.id]), None)
            for name in RINGS
        )
        pairs += [(a, b) for a, b in ((ours, theirs), (ring, trafgen)) if a and b]
    pps, per_cpu = (
        intervals.estimates([_ratios(samples, a, b, figure) for a, b in pairs])
        for figure in figures.FIGURES
    )
    table(
        ["", "bytes", "ours", "program", "pps", "frames per CPU second", "pps at least 1"],
        [
            [
                _interface(ours),
                str(ours.frame_size),
                named(ours),
                named(theirs),
                interval(by_wall),
                interval(by_cpu),
                at_least(1, by_wall),
            ]
            for (ours, theirs), by_wall, by_cpu in zip(pairs, pps, per_cpu, strict=True)
        ],
    )
    for cell in run.cells:
        if cell.engine == EXEC and not samples[cell.id]:
            why = run.failures.get(cell.id, "no usable sample")
            print(f"{_interface(cell)}, {cell.frame_size}, {cell.method}: {why}")


def _ratios(
    samples: Mapping[str, Sequence[Sample]], ours: Cell, theirs: Cell, figure: str
) -> list[float]:
    """Of frames per second, or per second of CPU time: above 1 ours is faster."""
    ratios = figures.within_round_ratios(samples[ours.id], samples[theirs.id], figure)
    found = [ratio for opening in ratios.values() for ratio in opening]
    return [1 / ratio for ratio in found] if figure == "ns_per_frame" else found


if __name__ == "__main__":
    main()
