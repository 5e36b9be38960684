"""hyperfine, pyperf, a careful loop and bench on the same question, with the same time for each.

The question is how much slower one veth is than another: the same one (A against A), and one whose
egress hook has u32 filters, as many as cost 2 % beside the hook (the truth, hook included, is
measured apart, for longer, with the bare loop of bare_loop.py). One thread sends frames of 64 bytes
with send().

The peers measure a program (sends.c) that sends so many frames and ends. hyperfine runs all of A
and then all of B; its rule is Welch's test of its own scripts. pyperf starts processes that run A
some times each, then the same with B; its rule is that of ``pyperf compare_to``. The loop, as
somebody careful writes it, times A and B in turn, after a run of each that does not count, and
tests the differences of neighbours (Student's test, 5 %). bench says that two cells differ if the
95 % interval of their ratio excludes 1.

Each gets some seconds for an answer, and gives several, in turn with the others, so that all see
the same machine. Resolution is the standard deviation of the ratio over these.

Prints the table of README.md. A peer that is not there is left out, with the reason: hyperfine is a
package of Debian; ``pip install --target DIR pyperf``, then ``PYTHONPATH=DIR``.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from a_against_a import Silent
from bare_loop import Bare, Programs, bare_loop
from common import compiled, heading, interval, pin_beside_sender
from scipy import stats
from tabulate import tabulate

from bench.analysis import intervals
from bench.analysis.summary import summarise
from bench.matrix.load import parse
from bench.measure import runner
from bench.measure.frames import expected_frame
from bench.measure.measuring import Seen
from bench.measure.prepare import vocabulary
from bench.model.results import Estimate
from bench.plan import plan
from bench.system import host
from bench.topology import Topology
from bench.topology.kinds import up

FRAME_SIZE = 64
COST = 0.02
PROBE = 100
"""Filters whose cost says how many cost COST."""
SLICE_NS = 10_000_000
RUN_S = 0.1
"""A run of the peers' program, about."""
BENCH_WINDOW_MS = 5
BENCH_START_S = 1.0
BENCH_SLICE_S = 0.0065
"""With what surrounds its window."""
LEVEL = 0.05


@dataclass(frozen=True)
class Answer:
    """B's time for a frame over A's, whether the instrument's own rule says that they differ, and
    how long it took."""

    ratio: float
    differs: bool
    seconds: float


@dataclass(frozen=True)
class Place:
    """An interface to send on: how bench names it, and the command that sends on it."""

    name: dict[str, Any]
    topology: Topology
    command: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    a: Place
    b: Place
    seconds: float
    folder: Path


@dataclass(frozen=True)
class Instrument:
    """``why_not`` says why it cannot be asked here, or nothing."""

    name: str
    ask: Callable[[Question], tuple[float, bool]]
    has: str
    lacks: str
    why_not: Callable[[], str] = lambda: ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)

    def answer(self, of: str, question: Question) -> None:
        began = time.monotonic()
        ratio, differs = self.ask(question)
        answer = Answer(ratio, differs, time.monotonic() - began)
        self.answers.setdefault(of, []).append(answer)


# The instruments


def ask_bench(question: Question) -> tuple[float, bool]:
    rounds = max(20, int((question.seconds - BENCH_START_S) / (2 * BENCH_SLICE_S)))
    same = question.a is question.b
    names = [question.a.name] if same else [question.a.name, question.b.name]
    matrix = {
        "name": "peers",
        "axes": {
            "interface": names,
            "method": "send",
            "frame_size": FRAME_SIZE,
            "fill": "prefilled",
            "replica": [1, 2] if same else 1,
        },
        "measure": {"window": f"{BENCH_WINDOW_MS}ms", "rounds": rounds},
        "baseline": {"replica": 1} if same else {"interface": names[0]},
    }
    words = vocabulary()
    read = parse(json.dumps(matrix), "peers", words)
    target = runner.Target(question.folder / f"{time.monotonic_ns()}.jsonl")
    seen: Seen[Mapping[str, Any]] = Seen(host.fingerprint(), {})
    run = runner.run(read, plan.make_plan(read, words), target, Silent(), seen)
    (ratio,) = [
        row.figures.ratio for row in summarise(run, read.measure.precision) if not row.is_baseline
    ]
    if ratio is None or ratio.low is None or ratio.high is None:
        raise SystemExit(f"bench gave no interval from {rounds} rounds: give --seconds more")
    return 1 / ratio.value, not ratio.low <= 1 <= ratio.high


def ask_loop(question: Question) -> tuple[float, bool]:
    """A and B in turn, one or the other first."""
    end = time.monotonic() + question.seconds
    for place in (question.a, question.b):
        _timed(place)
    pairs: list[tuple[float, float]] = []
    while time.monotonic() < end:
        a_first = len(pairs) % 2 == 0
        one, other = (
            _timed(place) for place in ((question.a, question.b)[:: 1 if a_first else -1])
        )
        pairs.append((one, other) if a_first else (other, one))
    a, b = zip(*pairs, strict=True)
    return statistics.fmean(b) / statistics.fmean(a), float(stats.ttest_rel(a, b).pvalue) < LEVEL


def _timed(place: Place) -> float:
    began = time.perf_counter()
    subprocess.run(place.command, check=True)
    return time.perf_counter() - began


def ask_hyperfine(question: Question) -> tuple[float, bool]:
    """With its own rule of scripts/welch_ttest.py."""
    told = question.folder / "hyperfine.json"
    runs = max(2, round(question.seconds / 2 / RUN_S) - 1)
    commands = [" ".join(place.command) for place in (question.a, question.b)]
    options = ["-N", "--style", "none", "--warmup", "1", "--runs", str(runs)]
    _quietly(["hyperfine", *options, "--export-json", str(told), *commands])
    a, b = (result["times"] for result in json.loads(told.read_text())["results"])
    ratio = statistics.fmean(b) / statistics.fmean(a)
    return ratio, float(stats.ttest_ind(a, b, equal_var=False).pvalue) < LEVEL


def ask_pyperf(question: Question) -> tuple[float, bool]:
    """Each process has a run that does not count, and three that do."""
    processes = max(2, round(question.seconds / 2 / (RUN_S * 4 + 0.2)))
    means, files = [], []
    for name, place in (("a", question.a), ("b", question.b)):
        told = question.folder / f"{name}.json"
        told.unlink(missing_ok=True)
        options = ["--processes", str(processes), "--warmups", "1", "--values", "3", "--loops", "1"]
        whole = [*options, "--quiet", "--name", "x", "-o", str(told), "--", *place.command]
        _quietly([sys.executable, "-m", "pyperf", "command", *whole])
        files.append(str(told))
        runs = json.loads(told.read_text())["benchmarks"][0]["runs"]
        means.append(statistics.fmean(value for run in runs for value in run.get("values", ())))
    said = _quietly([sys.executable, "-m", "pyperf", "compare_to", *files])
    return means[1] / means[0], "not significant" not in said.lower()


def _quietly(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _is_missing(program: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(program) else f"{program} is not installed (apt)"


def _no_pyperf() -> str:
    return "" if importlib.util.find_spec("pyperf") else "pyperf is not installed (pip)"


INSTRUMENTS = (
    Instrument(
        "bench",
        ask_bench,
        "windows of milliseconds in turn, ratios within rounds, an interval, frames counted",
        "any command: it measures ways to transmit",
    ),
    Instrument(
        "a careful loop",
        ask_loop,
        "A and B in turn; nothing to install",
        "start of the process left out, counters, disturbed runs left out",
    ),
    Instrument(
        "hyperfine",
        ask_hyperfine,
        "any command, outliers named, warm-up",
        "A and B in turn, an interval of the ratio, counters",
        _is_missing("hyperfine"),
    ),
    Instrument(
        "pyperf",
        ask_pyperf,
        "any command, several processes, a test of significance",
        "A and B in turn, an interval of the ratio, counters",
        _no_pyperf,
    ),
)


# The question


@contextmanager
def place(filters: int, program: Path, frames: int) -> Iterator[Place]:
    name = {"kind": "veth", **({"filters": filters} if filters else {})}
    with up(name) as topology:
        frame = expected_frame(FRAME_SIZE, topology.dst_mac, topology.src_mac, 0, 0)
        inside = f"--net=/proc/{os.getpid()}/fd/{topology.tx.netns_fd}"
        sends = (str(program), str(topology.tx.ifindex), str(frames), frame.hex())
        yield Place(name, topology, ("nsenter", inside, *sends))


def costs(
    bare: Path, a: Topology, b: Topology, cpu: int, rounds: int
) -> tuple[float, Estimate | None]:
    """CPU nanoseconds for a frame on A, and B's over A's, of slices in turn."""
    programs = Programs(calls=bare, bpf=bare)  # send() is one of the calls
    with bare_loop(programs, "send", a, cpu) as on_a, bare_loop(programs, "send", b, cpu) as on_b:
        pairs = [_pair(on_a, on_b, number) for number in range(rounds)]
    (ratio,) = intervals.estimates([[slow / fast for fast, slow in pairs]])
    return statistics.median(fast for fast, _ in pairs), ratio


def _pair(a: Bare, b: Bare, number: int) -> tuple[float, float]:
    order = ((0, a), (1, b))
    taken = {}
    for which, sender in random.Random(number).sample(order, 2):
        taken[which] = 1 / sender.slice(SLICE_NS).per_cpu_ns
    return taken[0], taken[1]


def filters_for(bare: Path, cpu: int, rounds: int) -> tuple[int, int]:
    """How many filters cost COST, and how many frames take RUN_S."""
    with up({"kind": "veth"}) as a, up({"kind": "veth", "filters": PROBE}) as b:
        ns, ratio = costs(bare, a, b, cpu, rounds)
    if ratio is None or ratio.value <= 1:
        raise SystemExit(f"{PROBE} filters cost nothing here: {interval(ratio, 4)}")
    return max(1, round(PROBE * COST / (ratio.value - 1))), int(RUN_S * 1e9 / ns)


# The answers


def row(of: Instrument, tries: int, truth: Estimate) -> list[str]:
    same, slower = of.answers["same"], of.answers["slower"]
    spread = (
        statistics.fmean(statistics.variance(a.ratio for a in s) for s in (same, slower)) ** 0.5
    )
    told = statistics.median(answer.ratio for answer in slower)
    return [
        of.name,
        f"{statistics.fmean(answer.seconds for answer in (*same, *slower)):.0f} s",
        f"{spread:.2%}",
        f"{sum(answer.differs for answer in same)} of {tries}",
        f"{sum(answer.differs and answer.ratio > 1 for answer in slower)} of {tries}",
        f"{told - 1:+.1%} ({truth.value - 1:+.1%})",
        of.has,
        of.lacks,
    ]


HEADERS = (
    *("", "for an answer", "resolution (sd)", "A against A: differs", "B slower: found"),
    *("B: median told (truth)", "has", "lacks"),
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=7, help="answers to each question")
    parser.add_argument("--seconds", type=float, default=8, help="for an answer")
    parser.add_argument("--rounds", type=int, default=600, help="for the truth")
    args = parser.parse_args()
    if args.tries < 2:
        parser.error("--tries: two at least, or nothing has a spread")
    return args


def main() -> None:
    args = parse_args()
    heading("A loop, hyperfine, pyperf and bench on the same question")
    asked = [of for of in INSTRUMENTS if not (why := of.why_not()) or print(f"{of.name}: {why}\n")]
    allowed = os.sched_getaffinity(0)
    cpu = pin_beside_sender()
    source = Path(__file__).with_name("sends.c")
    with (
        compiled(Path(__file__).with_name("bare.c")) as bare,
        compiled(source) as program,
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
    ):
        filters, frames = filters_for(bare, cpu, args.rounds // 3)
        with place(0, program, frames) as a, place(filters, program, frames) as b:
            _, truth = costs(bare, a.topology, b.topology, cpu, args.rounds)
            assert truth is not None
            print(f"{filters} filters cost {interval(truth, 4)}; a run is {frames} frames\n")
            os.sched_setaffinity(0, allowed)
            for number in range(args.tries):
                for what, other in (("same", a), ("slower", b)):
                    question = Question(a, other, args.seconds, Path(folder))
                    for of in random.Random(number).sample(asked, len(asked)):
                        os.sched_setaffinity(0, allowed if of.ask is ask_bench else {cpu})
                        of.answer(what, question)
            os.sched_setaffinity(0, allowed)
    rows = [row(of, args.tries, truth) for of in asked]
    print(tabulate(rows, headers=HEADERS, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
