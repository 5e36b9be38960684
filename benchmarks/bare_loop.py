"""The core against a bare loop of the same system call, and how much of its time is its own.

bare.c and bare_programs.c are what somebody would write who wants nothing but to send. They run in
the same namespace, on the same interface (of AF_XDP: on one made alike, as a queue has one socket)
and CPU as the core, in slices of the same length with the same warm-up, one after the other in an
order shuffled anew each round. Frames per second of core and bare loop are compared within the
round, for every slice the interface's counters must have as many frames as were claimed, and
everything is opened several times: memory is laid out anew each time.

User time is what getrusage() says, which on most kernels is sampled by the timer tick: it takes
thousands of ticks to know a share to within half a percent, hence slices of their own, each many
ticks long. A tick that falls into the last instructions of a system call, which run with
interrupts off, is counted as user time: the bare loop shows how much that is.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from common import (
    at_least,
    compiled,
    heading,
    interval,
    met,
    open_cell,
    pin_beside_sender,
    table,
)

from bench.analysis import intervals
from bench.base.values import Value
from bench.engines import core
from bench.engines.core import OpenCell, SlicePlan
from bench.measure.accounting import account, delta
from bench.measure.counters import CounterReader
from bench.measure.frames import FLOW_HEADERS, HEADER, expected_frame
from bench.topology import Topology, entered
from bench.topology.kinds import up

PACKET = ("sendto", "send", "sendmsg", "sendmmsg", "tx_ring", "dgram", "af_xdp", "io_uring")
OF_UDP = ("udp", "udp_segment", "gso")
"""What sends frames of UDP, the last two as one super-frame for each burst."""
PROGRAMS = ("tc_clone", "xdp_live")
"""Of these the bare loop is bare_programs.c."""
METHODS = (*PACKET, *OF_UDP, *PROGRAMS)
INTERFACES: dict[str, Value] = {
    "lo": "lo",
    "ifb": "ifb",
    "veth": "veth",
    "veth-gro": {"kind": "veth", "gro": True},
}
TAKE_XDP = ("veth-gro",)
"""What xdp_live sends by; the others take no XDP frames."""
FRAME_SIZE = 64
BURST = 64
CELLS: dict[str, dict[str, Value]] = {
    "udp_segment": {"method": "udp", "segments": BURST},
    "gso": {"method": "gso", "segments": BURST},
}
"""The core's cells of those that are a method with options."""
WARMUP_NS = 2_000_000  # the core passes a ring once; so has the bare loop, by then
DRAIN_NS = 1_000_000_000
RATIO_GOAL = 0.98
USER_GOAL = 0.03
CLOCK_MONOTONIC_COARSE = 6
"""linux/time.h; its resolution is the kernel's tick."""


@dataclass(frozen=True)
class Measured:
    """One slice: frames of the window and of all of it, times of the window in nanoseconds."""

    frames: int
    slice_frames: int
    wall_ns: int
    cpu_ns: int
    user_ns: int
    system_ns: int

    @property
    def pps(self) -> float:
        return self.frames * 1e9 / self.wall_ns

    @property
    def per_cpu_ns(self) -> float:
        return self.frames / self.cpu_ns


class Sender(Protocol):
    @property
    def on(self) -> Topology: ...

    def slice(self, window_ns: int) -> Measured: ...


@dataclass(frozen=True)
class Core:
    on: Topology
    cell: OpenCell

    def slice(self, window_ns: int) -> Measured:
        measured = self.cell.run_slice(SlicePlan(window_ns, WARMUP_NS, DRAIN_NS))
        (thread,) = measured.threads
        return Measured(
            thread.completed,
            measured.slice_completed,
            thread.wall_ns,
            thread.cpu_ns,
            thread.user_ns,
            thread.system_ns,
        )


@dataclass(frozen=True)
class Bare:
    on: Topology
    process: subprocess.Popen[str]

    def slice(self, window_ns: int) -> Measured:
        assert self.process.stdin
        assert self.process.stdout
        print(WARMUP_NS, window_ns, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.process.args!r} ended in the middle of a slice")
        return Measured(*map(int, answer.split()))


@dataclass(frozen=True)
class Programs:
    """The compiled bare loops."""

    calls: Path
    bpf: Path

    def of(self, method: str) -> Path:
        return self.bpf if method in PROGRAMS else self.calls


@contextmanager
def bare_loop(programs: Programs, method: str, topology: Topology, cpu: int) -> Iterator[Bare]:
    headers = FLOW_HEADERS if method in OF_UDP else HEADER
    ends = topology.dst_mac, topology.src_mac
    frame = expected_frame(FRAME_SIZE, *ends, 0, 0, headers=headers)
    with (
        entered(topology.tx.netns_fd),
        subprocess.Popen(
            [programs.of(method), method, str(topology.tx.ifindex), str(BURST), frame.hex()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        os.sched_setaffinity(process.pid, {cpu})
        yield Bare(topology, process)


@contextmanager
def senders(
    programs: Programs, methods: Sequence[str], alike: tuple[Topology, Topology], cpu: int
) -> Iterator[dict[tuple[str, str], Sender]]:
    """The core and the bare loop of each method, opened side by side.

    Both send on the first of two interfaces, unless the core's cell has that for itself.
    """
    topology, apart = alike
    known = core.methods()
    with ExitStack() as stack:
        found: dict[tuple[str, str], Sender] = {}
        for method in methods:
            axes = CELLS.get(method, {"method": method})
            cell = open_cell(topology, cpu, frame_size=FRAME_SIZE, burst=BURST, **axes)
            found[method, "core"] = Core(topology, stack.enter_context(cell))
            alone = known[str(axes["method"])].alone
            bare = bare_loop(programs, method, apart if alone else topology, cpu)
            found[method, "bare"] = stack.enter_context(bare)
        yield found


def checked_slice(sender: Sender, window_ns: int, reader: CounterReader) -> Measured:
    """A slice whose frames the kernel has counted too."""
    before = reader.read()
    measured = sender.slice(window_ns)
    change = delta(before, reader.read())
    accounting = account(
        change, sender.on.delivery, frame_size=FRAME_SIZE, completed=measured.slice_frames
    )
    if accounting.problem:
        raise SystemExit(f"{sender}: {accounting.problem}")
    return measured


def measure(
    interface: Value,
    args: argparse.Namespace,
    methods: Sequence[str],
    programs: Programs,
    cpu: int,
    window_ns: int,
    rounds: int,
) -> dict[tuple[str, str], list[Measured]]:
    """Samples of each sender by round, over all openings."""
    samples: dict[tuple[str, str], list[Measured]] = {}
    shuffler = random.Random(args.seed)
    with ExitStack() as stack:
        alike = stack.enter_context(up(interface)), stack.enter_context(up(interface))
        readers = {id(on): stack.enter_context(CounterReader(on)) for on in alike}
        for _ in range(args.openings):
            with senders(programs, methods, alike, cpu) as opened:
                for _ in range(math.ceil(rounds / args.openings)):
                    for key in shuffler.sample(list(opened), len(opened)):
                        sender = opened[key]
                        measured = checked_slice(sender, window_ns, readers[id(sender.on)])
                        samples.setdefault(key, []).append(measured)
    return samples


def possible(interface: str, methods: Sequence[str]) -> list[str]:
    return [m for m in methods if m != "xdp_live" or interface in TAKE_XDP]


def compare(interface: str, args: argparse.Namespace, programs: Programs, cpu: int) -> None:
    methods = possible(interface, args.methods)
    window_ns = args.window_ms * 1_000_000
    samples = measure(INTERFACES[interface], args, methods, programs, cpu, window_ns, args.rounds)
    pairs = [list(zip(samples[m, "core"], samples[m, "bare"], strict=True)) for m in methods]
    rates = [[bare.pps / 1e3 for _, bare in rounds] for rounds in pairs]
    ratios = intervals.estimates(
        [[core.pps / bare.pps for core, bare in rounds] for rounds in pairs]
    )
    by_cpu = intervals.estimates(
        [[core.per_cpu_ns / bare.per_cpu_ns for core, bare in rounds] for rounds in pairs]
    )
    print(f"{interface}: {FRAME_SIZE} bytes, 1 thread, prefilled, burst {BURST}")
    table(
        ["method", "bare kpps", "core / bare", f"goal {RATIO_GOAL}", "by CPU time"],
        [
            [
                method,
                f"{statistics.median(rate):.0f}",
                interval(ratio),
                at_least(RATIO_GOAL, ratio),
                interval(cpu),
            ]
            for method, rate, ratio, cpu in zip(methods, rates, ratios, by_cpu, strict=True)
        ],
    )


def user_time(args: argparse.Namespace, programs: Programs, cpu: int) -> None:
    methods = possible("lo", args.methods)
    tick_s = time.clock_getres(CLOCK_MONOTONIC_COARSE)
    rounds = math.ceil(args.user_seconds * 1000 / args.user_window_ms)
    window_ns = args.user_window_ms * 1_000_000
    samples = measure("lo", args, methods, programs, cpu, window_ns, rounds)
    rows = []
    for method in methods:
        row: list[object] = [method]
        for who in ("core", "bare"):
            cpu_ns = sum(sample.cpu_ns for sample in samples[method, who])
            ticks = cpu_ns / 1e9 / tick_s
            share = sum(sample.user_ns for sample in samples[method, who]) / cpu_ns
            margin = intervals.Z95 * math.sqrt(max(share, 1 / ticks) / ticks)
            row += [f"{share:.2%} ± {margin:.2%}", f"{ticks:.0f}"]
            if who == "core":
                row.append(met(share <= USER_GOAL))
        rows.append(row)
    print(f"lo: user time of the sender, of its CPU time; a tick is {tick_s * 1000:g} ms")
    table(["method", "core", "ticks", f"goal {USER_GOAL:.0%}", "bare loop", "ticks"], rows)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    interfaces = ["lo", "ifb", "veth-gro"]
    parser.add_argument("--interfaces", nargs="+", default=interfaces, choices=INTERFACES)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--rounds", type=int, default=400, help="of one slice of each sender")
    parser.add_argument("--window-ms", type=int, default=10, help="of such a slice")
    parser.add_argument("--openings", type=int, default=5, help="times that all is opened anew")
    parser.add_argument(
        "--user-seconds", type=float, default=20, help="per sender for its user time; 0: skip"
    )
    parser.add_argument("--user-window-ms", type=int, default=500, help="of a slice for user time")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    heading("The core against a bare loop of the same system call")
    cpu = pin_beside_sender()
    here = Path(__file__)
    with (
        compiled(here.with_name("bare.c")) as calls,
        compiled(here.with_name("bare_programs.c")) as bpf,
    ):
        programs = Programs(calls, bpf)
        for interface in args.interfaces:
            compare(interface, args, programs, cpu)
        if args.user_seconds and possible("lo", args.methods):
            user_time(args, programs, cpu)


if __name__ == "__main__":
    main()
