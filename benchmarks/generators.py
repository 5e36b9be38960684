"""Does a program that bench measures (`method: {kind: exec, ...}`) show what it does by itself?

trafgen runs twice on interfaces of its own: by hand, for seconds at a time, counted by
/proc/net/dev before and after, with CPU time from /proc/PID/stat; and by exec, in many short
windows that take as much time. Both take turns, in shuffled order, so that the machine's drift is
in both; each is stopped while the other runs. The ratio should be 1 within 2 %.
(`matrices/generators.yaml` has trafgen and others beside the methods of bench.)
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from common import equal, heading, interval, pin_beside_sender, table

from bench.analysis import intervals
from bench.engines.core import SlicePlan
from bench.measure.counters import CounterReader
from bench.measure.program import OpenProgram
from bench.model.axes import AXES, defaults
from bench.model.cells import Cell
from bench.topology import Topology, entered
from bench.topology.kinds import up

GOAL = 0.02
START_S, SETTLE_S, REST_S = 1.0, 0.1, 0.05
COUNTED = {"veth": 9, "lo": 1, "ifb": 1}
"""The column of /proc/net/dev behind the name that counts what is sent: packets sent, or taken."""
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Rate(NamedTuple):
    pps: float
    per_cpu_s: float


def command(interface: str, cpu: int, size: int) -> list[str]:
    frame = f"{{ eth(type=0x88b5), fill(0x42, {size - 14}) }}"
    return ["trafgen", "--dev", interface, "--no-sock-mem", "--cpus", f"{cpu}-{cpu}", frame]


@dataclass(frozen=True)
class ByHand:
    """A program in a process group of its own, stopped but for its seconds."""

    kind: str
    group: int
    seconds: float

    def measure(self) -> Rate:
        rest, spent = self._frames(), self._cpu_s()
        os.killpg(self.group, signal.SIGCONT)
        time.sleep(SETTLE_S)
        start, before = time.monotonic(), self._frames()
        time.sleep(self.seconds)
        end, after = time.monotonic(), self._frames()
        os.killpg(self.group, signal.SIGSTOP)
        time.sleep(REST_S)
        used = self._cpu_s() - spent
        return Rate((after - before) / (end - start), (self._frames() - rest) / used)

    def _frames(self) -> int:
        """Of the only interface but lo, or of lo."""
        lines = Path(f"/proc/{self.group}/net/dev").read_text().splitlines()[2:]
        counters = {line.split(":")[0].strip(): line.split(":")[1].split() for line in lines}
        (name,) = [n for n in counters if (n == "lo") == (self.kind == "lo")]
        return int(counters[name][COUNTED[self.kind]])

    def _cpu_s(self) -> float:
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15])) if int(fields[2]) == self.group else 0
        return ticks * TICK_S


@contextmanager
def by_hand(
    topology: Topology, kind: str, words: Sequence[str], seconds: float
) -> Iterator[ByHand]:
    with entered(topology.tx.netns_fd):
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    with process:
        try:
            time.sleep(START_S)
            os.killpg(process.pid, signal.SIGSTOP)
            time.sleep(REST_S)
            yield ByHand(kind, process.pid, seconds)
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class ByExec:
    program: OpenProgram
    plan: SlicePlan
    slices: int

    def measure(self) -> Rate:
        done = [self.program.run_slice(self.plan) for _ in range(self.slices)]
        threads = [thread for slice_ in done for thread in slice_.threads]
        frames = sum(thread.completed for thread in threads)
        wall_ns, cpu_ns = (
            sum(getattr(thread, name) for thread in threads) for name in ("wall_ns", "cpu_ns")
        )
        return Rate(frames * 1e9 / wall_ns, frames * 1e9 / cpu_ns)


def compared(kind: str, size: int, cpu: int, args: argparse.Namespace) -> list[tuple[Rate, Rate]]:
    """By exec and by hand, in each round."""
    with ExitStack() as stack:
        own, its = (stack.enter_context(up(kind)) for _ in range(2))
        hand = stack.enter_context(
            by_hand(own, kind, command(own.tx.ifname, cpu, size), args.seconds)
        )
        method = {
            "kind": "exec",
            "name": "trafgen",
            "command": command("{interface}", cpu, size),
            "content": "",
        }
        cell = Cell("c", defaults(AXES) | {"method": method, "frame_size": size})
        reader = stack.enter_context(CounterReader(its))
        program = OpenProgram(cell, its, [cpu], reader)
        stack.callback(program.close)
        window_ns = round(args.window_ms * 1e6)
        slices = math.ceil(args.seconds * 1e9 / window_ns)
        sides = (ByExec(program, SlicePlan(window_ns, 0, 2_000_000_000), slices), hand)
        chance, rounds = random.Random(args.seed), []
        for _ in range(args.rounds):
            found = {i: sides[i].measure() for i in chance.sample((0, 1), 2)}
            rounds.append((found[0], found[1]))
        return rounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interfaces", nargs="+", default=[*COUNTED], choices=[*COUNTED])
    parser.add_argument("--frame-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each in a round")
    parser.add_argument("--window-ms", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave no program behind
    if shutil.which("trafgen") is None:
        raise SystemExit("trafgen is missing: apt-get install netsniff-ng")
    heading("trafgen by exec, and by hand")
    cpu = pin_beside_sender()
    found = {kind: compared(kind, args.frame_size, cpu, args) for kind in args.interfaces}
    figures = [
        intervals.estimates(
            [
                [getattr(one, name) / getattr(other, name) for one, other in rounds]
                for rounds in found.values()
            ]
        )
        for name in Rate._fields
    ]
    table(
        ["", "by exec / by hand: pps", "frames per CPU second", f"1 within {GOAL:.0%}"],
        [
            [kind, interval(pps), interval(per_cpu), equal(per_cpu, GOAL)]
            for kind, pps, per_cpu in zip(found, *figures, strict=True)
        ],
    )


if __name__ == "__main__":
    main()
