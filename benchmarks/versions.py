"""Do the figures of another version of bench agree with those of this one?

Both run the same matrix, as whole processes in turns, now the one first, now the other: each run
has new processes, namespaces, sockets and rings, and lasts seconds. The ratio of two runs in a row
is one value of each cell, and of a method the geometric mean of its cells. Samples of both are
summarised by this version. Goal: the ratio of ns per frame is 1.00 +- 0.005. It takes root.

    git worktree add ../other REVISION && ../other/tools/setup.sh
    python benchmarks/versions.py ../other --turns 150
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from common import equal, heading, interval, table

from bench.analysis import intervals
from bench.analysis.cell_summaries import summary_of
from bench.model.results import Estimate
from bench.store.reader import read

ROOT = Path(__file__).resolve().parents[1]
METHODS = ("sendto", "send", "sendmsg", "sendmmsg", "tx_ring")
WITHIN = 0.005
FIGURES = ("ns_per_frame", "pps")
MATRIX = """
name: versions
axes:
  interface: [{interfaces}]
  method: [{methods}]
  frame_size: 64
  burst: 64
measure: {{window: 10ms, rounds: {rounds}}}
"""

Figures = Mapping[tuple[str, str], Mapping[str, float]]
"""What a run says of each interface and method: FIGURES by name."""


def kind(value: object) -> str:
    """A value without its options, of which a version may have more than another."""
    return str(value["kind"] if isinstance(value, dict) else value)


def measured(checkout: Path, matrix: Path, folder: Path) -> Figures:
    """A run of a checkout's bench."""
    results = Path(tempfile.mkdtemp(dir=folder))
    command = [checkout / ".venv/bin/python", "-m", "bench", "run", matrix, "--results", results]
    done = subprocess.run([*map(str, command)], cwd=checkout, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{checkout}: bench run ended with {done.returncode}\n{done.stderr}")
    (path,) = results.rglob("*.jsonl")
    run = summary_of(read(path))
    found = {}
    for cell in run.cells:
        summary = run.summaries[cell.id]
        known = [getattr(summary, figure) for figure in FIGURES]
        key = kind(cell.values["interface"]), kind(cell.values["method"])
        found[key] = dict(zip(FIGURES, (estimate.value for estimate in known), strict=True))
    return found


def turn(number: int, other: Path, matrix: Path, folder: Path) -> tuple[Figures, Figures]:
    """This version's run and the other's."""
    sides = [ROOT, other] if number % 2 else [other, ROOT]
    runs = {side: measured(side, matrix, folder) for side in sides}
    return runs[ROOT], runs[other]


def ratio(ours: Figures, theirs: Figures, figure: str, method: str | None) -> float:
    """Ours over theirs: the geometric mean over the interfaces of a method, or over everything."""
    logs = [
        math.log(ours[key][figure] / theirs[key][figure])
        for key in ours
        if method in (None, key[1])
    ]
    return math.exp(math.fsum(logs) / len(logs))


def estimates(
    turns: Sequence[tuple[Figures, Figures]], figure: str, methods: Sequence[str | None]
) -> list[Estimate | None]:
    return intervals.estimates(
        [[ratio(ours, theirs, figure, method) for ours, theirs in turns] for method in methods]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="a checkout of bench with its .venv")
    parser.add_argument("--turns", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--interfaces", nargs="+", default=["lo", "veth"])
    parser.add_argument("--methods", nargs="+", default=METHODS)
    args = parser.parse_args()
    heading("Do the figures of another version of bench agree with this one's?")
    text = MATRIX.format(
        interfaces=", ".join(args.interfaces), methods=", ".join(args.methods), rounds=args.rounds
    )
    turns = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        matrix = Path(folder, "versions.yaml")
        matrix.write_text(text)
        for number in range(args.turns):
            turns.append(turn(number, args.other.resolve(), matrix, Path(folder)))
    methods = [*args.methods, None]
    by_cpu, by_pps = (estimates(turns, figure, methods) for figure in FIGURES)
    table(
        ["method", "ns/frame, this / other", f"goal 1 +- {WITHIN}", "pps"],
        [
            [method or "all", interval(cpu, 4), equal(cpu, WITHIN), interval(pps, 4)]
            for method, cpu, pps in zip(methods, by_cpu, by_pps, strict=True)
        ],
    )


if __name__ == "__main__":
    main()
