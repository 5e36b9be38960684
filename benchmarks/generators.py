"""Our tx_ring against trafgen, our send against tcpreplay: frames as the interface counts them.

All contenders send the same frame from the same CPU, one at a time: the other generators run on
from round to round and are stopped and continued by signals. A slice is some tenths of a second
between two readings of the interface's counters, taken after the sender has been going for a
moment; what a generator claims is not asked. Frames per second of the sender's CPU time, which
other processes disturb less, are of the whole slice, from standstill to standstill: the kernel
does not tell the CPU time of another process that runs more precisely than to a timer tick.

Each generator has an interface of its own, in a namespace of its own: tcpreplay keeps a capturing
socket open, which slows down everybody who sends on the same interface, and itself least (its own
frames are not handed to it).

First every geometry of ours and every setting of theirs is scouted, and the best of each side is
chosen; then those two are measured anew, in shuffled order, and compared within the round: figures
that won a choice are never the ones that are reported.

trafgen (netsniff-ng) is given its TX ring (its default: no -t, no -b) in several sizes, one
process, with and without its bypass of the qdisc. It tunes the sockets' memory limits through
/proc/sys, which is refused in a namespace and changes nothing here: neither interface queues.
tcpreplay is given --topspeed and --preload-pcap, with a file of many frames, so that starting over
costs nothing, and no flow statistics.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from common import at_least, heading, interval, open_cell, pin_beside_sender, table

from bench.analysis import intervals
from bench.base.values import value_text
from bench.engines.core import OpenCell, SlicePlan
from bench.measure.accounting import delivered, delivered_bytes, delta
from bench.measure.counters import CounterReader
from bench.measure.frames import expected_frame
from bench.topology import Topology, entered
from bench.topology.kinds import up

PACKAGES = {"trafgen": "netsniff-ng", "tcpreplay": "tcpreplay"}
GOAL = 1.0
PCAP_FRAMES = 1000
SETTLE_S = 0.02
"""A sender goes for so long before its slice begins."""
MARGIN_S = 0.03
"""How much longer than its slice a cell of ours goes on: the readings may come late."""
START_TIMEOUT_S = 5.0

RINGS: Mapping[int, Sequence[tuple[int, int, int]]] = {
    64: [(4096, 256, 2048), (16384, 32, 2048), (4096, 16, 128), (4096, 64, 128), (4096, 64, 256)],
    1514: [(4096, 256, 2048), (16384, 32, 2048), (65536, 4, 2048), (4096, 512, 2048)],
}
"""(block size, blocks, slot size) by frame size; the second is trafgen's own."""
BURSTS = (64, 256, 1024)
TRAFGEN = {
    "default": [],
    "ring 128 KiB": ["-S", "128KiB"],
    "ring 4 MiB": ["-S", "4096KiB"],
    "with qdisc": ["-q"],
}


class Contender(Protocol):
    @property
    def topology(self) -> Topology: ...

    def sending(self, seconds: float) -> AbstractContextManager[Callable[[], bool]]:
        """Send for so long and longer; the value tells whether it is still at it."""

    def cpu_ns(self) -> int:
        """The sender's CPU time so far."""


@dataclass(frozen=True)
class Ours:
    topology: Topology
    cell: OpenCell
    thread: ThreadPoolExecutor

    @contextmanager
    def sending(self, seconds: float) -> Iterator[Callable[[], bool]]:
        window_ns = int((SETTLE_S + seconds + MARGIN_S) * 1e9)
        running = self.thread.submit(self.cell.run_slice, SlicePlan(window_ns, 0, 1_000_000_000))
        try:
            yield lambda: not running.done()
        finally:
            running.result()

    def cpu_ns(self) -> int:
        return time.process_time_ns() - time.thread_time_ns()


@dataclass(frozen=True)
class Theirs:
    """A generator in a process group of its own, stopped but for its slices."""

    topology: Topology
    process: subprocess.Popen[str]
    cpu_clocks: list[int]

    @contextmanager
    def sending(self, _seconds: float) -> Iterator[Callable[[], bool]]:
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield self._is_alive
        finally:
            os.killpg(self.process.pid, signal.SIGSTOP)

    def cpu_ns(self) -> int:
        return sum(map(time.clock_gettime_ns, self.cpu_clocks))

    def _is_alive(self) -> bool:
        if self.process.poll() is not None:
            assert self.process.stderr
            raise SystemExit(f"{self.process.args!r} ended: {self.process.stderr.read()}")
        return True


RATE_HEADERS = ("kpps", "thousands per CPU second")


class Rate(NamedTuple):
    """Frames per second, and per second of the sender's CPU time."""

    pps: float
    per_cpu_s: float


@dataclass(frozen=True)
class Duel:
    """One of ours against one of theirs: what each reached, by round."""

    title: str
    slices: dict[str, list[Rate]]

    @property
    def rounds(self) -> list[tuple[Rate, Rate]]:
        ours, theirs = self.slices.values()
        return list(zip(ours, theirs, strict=True))


# The contenders


def install(program: str) -> None:
    """The program's Debian package, where it is missing."""
    if shutil.which(program):
        return
    command = ["apt-get", "install", "-y", PACKAGES[program]]
    if os.geteuid() or not shutil.which("apt-get"):
        raise SystemExit(f"{program} is missing: {' '.join(command)}")
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def generator(topology: Topology, cpu: int, command: Sequence[str]) -> Iterator[Theirs]:
    """Start a generator on a CPU in the topology's namespace, and stop it once it sends."""
    with entered(topology.tx.netns_fd):
        process = subprocess.Popen(
            ["taskset", "-c", str(cpu), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    theirs = Theirs(topology, process, [])
    with process, CounterReader(topology) as reader:
        try:
            with theirs.sending(0) as is_alive:
                first, deadline = reader.read(), time.monotonic() + START_TIMEOUT_S
                while is_alive() and reader.read().tx.tx_packets - first.tx.tx_packets < 1000:
                    if time.monotonic() > deadline:
                        raise SystemExit(f"{' '.join(command)}: sends nothing")
                    time.sleep(0.01)
            until_quiet(reader)
            theirs.cpu_clocks.extend(map(cpu_clock, members(process.pid)))
            yield theirs
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            while members(process.pid) - {process.pid}:
                time.sleep(0.001)


def members(group: int) -> set[int]:
    """The processes of a process group."""
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
    return {pid for pid in pids if group_of(pid) == group}


def group_of(pid: int) -> int | None:
    with suppress(ProcessLookupError):
        return os.getpgid(pid)
    return None


def cpu_clock(pid: int) -> int:
    """The clock of a process's CPU time (MAKE_PROCESS_CPUCLOCK, linux/posix-timers_types.h)."""
    return ~pid << 3 | 2


def our_rings(stack: ExitStack, interface: str, size: int, cpu: int) -> dict[str, Contender]:
    topology = stack.enter_context(up(interface))
    thread = stack.enter_context(ThreadPoolExecutor(max_workers=1))
    found: dict[str, Contender] = {}
    for shape, version, burst, dontwait, bypass, vnet_hdr in product(
        RINGS[size], (2, 3), BURSTS, (False, True), (False, True), (False, True)
    ):
        block_size, block_nr, slot_size = shape
        if burst > block_size // slot_size * block_nr or (version == 3 and burst != 256):
            continue
        if vnet_hdr and (dontwait or bypass):
            continue
        ring: dict[str, Any] = {
            "version": version,
            "block_size": block_size,
            "block_nr": block_nr,
            "frame_size": slot_size,
        }
        words = [value_text(ring), f"burst {burst}", "dontwait" * dontwait, "bypass" * bypass]
        words.append("vnet_hdr" * vnet_hdr)
        cell = open_cell(
            topology,
            cpu,
            method="tx_ring",
            frame_size=size,
            burst=burst,
            ring=ring,
            msg_dontwait=dontwait,
            qdisc_bypass=bypass,
            vnet_hdr=vnet_hdr,
        )
        found[" ".join(filter(None, words))] = Ours(topology, stack.enter_context(cell), thread)
    return found


def our_send(stack: ExitStack, interface: str, size: int, cpu: int) -> dict[str, Contender]:
    topology = stack.enter_context(up(interface))
    thread = stack.enter_context(ThreadPoolExecutor(max_workers=1))
    cell = stack.enter_context(open_cell(topology, cpu, method="send", frame_size=size))
    return {"send": Ours(topology, cell, thread)}


def trafgens(stack: ExitStack, interface: str, size: int, cpu: int) -> dict[str, Contender]:
    found: dict[str, Contender] = {}
    for name, options in TRAFGEN.items():
        topology = stack.enter_context(up(interface))
        frame = ", ".join(f"0x{byte:02x}" for byte in frame_of(topology, size))
        command = ["trafgen", "-o", topology.tx.ifname, "-Q", *options]
        command += ["-P", f"{cpu}-{cpu}"]  # it pins by itself: a process to each of these CPUs
        theirs = generator(topology, cpu, [*command, f"{{ {frame} }}"])
        found[f"trafgen {name}"] = stack.enter_context(theirs)
    return found


def tcpreplay(stack: ExitStack, interface: str, size: int, cpu: int) -> dict[str, Contender]:
    topology = stack.enter_context(up(interface))
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
    file = Path(folder, "frames.pcap")
    file.write_bytes(pcap(frame_of(topology, size)))
    command = ["tcpreplay", "-i", topology.tx.ifname, "--topspeed", "--preload-pcap"]
    command += ["--loop", "0", "--no-flow-stats", str(file)]
    return {"tcpreplay": stack.enter_context(generator(topology, cpu, command))}


def frame_of(topology: Topology, size: int) -> bytes:
    return expected_frame(size, topology.dst_mac, topology.src_mac, 0, 0)


def pcap(frame: bytes) -> bytes:
    """A capture of so many equal frames, a microsecond apart (pcap-savefile(5))."""
    header = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    length = len(frame)
    records = (struct.pack("<IIII", 0, i, length, length) + frame for i in range(PCAP_FRAMES))
    return header + b"".join(records)


# Measuring


def until_quiet(reader: CounterReader) -> None:
    """Until whoever was stopped has stopped, and nobody else sends."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        before = reader.read().tx.tx_packets
        time.sleep(0.002)
        if reader.read().tx.tx_packets == before:
            return
        if time.monotonic() > deadline:
            raise SystemExit("frames are sent though everybody was stopped")


def measure(contender: Contender, reader: CounterReader, size: int, seconds: float) -> Rate:
    """Frames of the right size that were delivered in a slice."""
    while True:
        rest, cpu_rest = reader.read(), contender.cpu_ns()
        with contender.sending(seconds) as is_sending:
            time.sleep(SETTLE_S)
            start, before = time.monotonic_ns(), reader.read()
            time.sleep(seconds)
            end, after = time.monotonic_ns(), reader.read()
            complete = is_sending()
        until_quiet(reader)
        if complete:
            break
    cpu_ns = contender.cpu_ns() - cpu_rest
    delivery = contender.topology.delivery
    whole, window = delta(rest, reader.read()), delta(before, after)
    frames = delivered(whole, delivery)
    if delivered_bytes(whole, delivery) != frames * size:
        raise SystemExit(f"{contender}: frames are not {size} bytes long")
    return Rate(delivered(window, delivery) * 1e9 / (end - start), frames * 1e9 / cpu_ns)


def rates(
    contenders: Mapping[str, Contender], size: int, rounds: int, slice_ms: int, seed: int
) -> dict[str, list[Rate]]:
    """What each contender reached, by round."""
    shuffler = random.Random(seed)
    found: dict[str, list[Rate]] = {name: [] for name in contenders}
    with ExitStack() as stack:
        readers = {
            name: stack.enter_context(CounterReader(contender.topology))
            for name, contender in contenders.items()
        }
        for _ in range(rounds):
            for name in shuffler.sample(list(contenders), len(contenders)):
                slice_ = measure(contenders[name], readers[name], size, slice_ms / 1e3)
                found[name].append(slice_)
    return found


def medians(slices: Sequence[Rate]) -> Rate:
    return Rate(*map(statistics.median, zip(*slices, strict=True)))


def best_first(scouted: Mapping[str, Rate], side: Mapping[str, Contender]) -> list[str]:
    """The names of one side, the cheapest first: CPU time is the steadier figure."""
    return sorted(side, key=lambda name: -scouted[name].per_cpu_s)


def duel(
    title: str,
    ours: Mapping[str, Contender],
    theirs: Mapping[str, Contender],
    size: int,
    args: argparse.Namespace,
) -> Duel:
    """Scout both sides, measure the best of each against the other."""
    everybody = {**ours, **theirs}
    leaders = [*everybody]
    if len(everybody) > 2:
        slices = rates(everybody, size, args.scout_rounds, args.scout_ms, args.seed)
        scouted = {name: medians(of) for name, of in slices.items()}
        sides = best_first(scouted, ours), best_first(scouted, theirs)
        print(f"{title}: scouted in {args.scout_rounds} slices of {args.scout_ms} ms")
        shown = [*sides[0][: args.show], *sides[1]]
        table(["", *RATE_HEADERS], [[name, *texts(scouted[name])] for name in shown])
        leaders = [side[0] for side in sides]
    pair = {name: everybody[name] for name in leaders}
    return Duel(title, rates(pair, size, args.rounds, args.slice_ms, args.seed))


def texts(rate: Rate) -> list[str]:
    return [f"{figure / 1e3:.0f}" for figure in rate]


def duels(interface: str, size: int, cpu: int, args: argparse.Namespace) -> Iterator[Duel]:
    sides = {"trafgen": (our_rings, trafgens), "tcpreplay": (our_send, tcpreplay)}
    for program in args.against:
        with ExitStack() as stack:
            ours, theirs = (side(stack, interface, size, cpu) for side in sides[program])
            yield duel(f"{interface} {size} bytes", ours, theirs, size, args)


def summary(results: Sequence[Duel]) -> None:
    ratios = intervals.estimates(
        [[our.pps / their.pps for our, their in duel.rounds] for duel in results]
    )
    by_cpu = intervals.estimates(
        [[our.per_cpu_s / their.per_cpu_s for our, their in duel.rounds] for duel in results]
    )
    rows = []
    for result, ratio, cpu in zip(results, ratios, by_cpu, strict=True):
        sides = [(name, texts(medians(slices))[0]) for name, slices in result.slices.items()]
        figures = [interval(ratio), at_least(GOAL, ratio), interval(cpu)]
        rows.append([result.title, *sides[0], *sides[1], *figures])
    headers = ["", "ours", "kpps", "theirs", "kpps", "ours / theirs", f"goal {GOAL:.1f}"]
    table([*headers, "by CPU time"], rows)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interfaces", nargs="+", default=["lo", "veth"], metavar="KIND")
    parser.add_argument("--frame-sizes", nargs="+", type=int, default=[*RINGS], choices=[*RINGS])
    parser.add_argument("--against", nargs="+", default=[*PACKAGES], choices=[*PACKAGES])
    parser.add_argument("--rounds", type=int, default=60, help="of the best against the best")
    parser.add_argument("--slice-ms", type=int, default=100, help="of such a round")
    parser.add_argument("--scout-rounds", type=int, default=3)
    parser.add_argument("--scout-ms", type=int, default=100)
    parser.add_argument("--show", type=int, default=5, help="how many of our rings to list")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leave no generator behind
    for program in args.against:
        install(program)
    heading("Our tx_ring against trafgen, our send against tcpreplay")
    cpu = pin_beside_sender()
    results: list[Duel] = []
    for interface, size in product(args.interfaces, args.frame_sizes):
        results += duels(interface, size, cpu, args)
    summary(results)


if __name__ == "__main__":
    main()
