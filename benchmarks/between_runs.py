"""Does `bench compare` cry wolf, and does it see one? Real runs, some with a real cost added.

false-alarms    a matrix of 24 cells, run again and again; every consecutive pair is compared, the
                other runs being its history. Goal: at most 1 % of cells flagged, and at most one
                pair in nineteen with any.
within          two cells of one run that differ by a per-frame cost. Goal: 3 % is told (the
                interval of the ratio of ns/frame excludes 1) in at least 95 % of tries.
between         runs with and without that cost, in turn, compared one by one. Goal: 10 % is told
                (regressed) in at least 95 % of cells, 5 % in at least 80 %.

The cost is real: u32 filters on the egress hook of the interface, which each frame passes
(`{kind: veth, filters: N}`). What one filter costs is measured first.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from common import heading

from bench.analysis import summary, verdicts
from bench.analysis.figures import series
from bench.analysis.verdicts import RunFigures, Verdict
from bench.model.results import CellResult
from bench.store import rates, reader

ROOT = Path(__file__).resolve().parents[1]
NIGHTLY = ROOT / "matrices" / "nightly.yaml"
BASE = 1
"""Filters of both sides: the hook itself costs more than a filter, and is no part of the step."""

MATRIX = """
name: {name}
axes:
  interface: [{interfaces}]
  method: [{methods}]
  frame_size: [64, 1514]
  burst: 64
  fill: [{fills}]
measure: {{window: 10ms, rounds: {rounds}, seed: {seed}}}
"""


def veth(filters: int) -> str:
    return f"{{kind: veth, filters: {filters}}}"


def matrix(
    folder: Path,
    name: str,
    filters: Sequence[int],
    rounds: int,
    methods: str = "sendto, sendmmsg, tx_ring",
    fills: str = "copy, prefilled",
    seed: int = 1,
) -> Path:
    """A matrix file; with several numbers of filters the first is the baseline."""
    text = MATRIX.format(
        name=name,
        interfaces=", ".join(map(veth, filters)),
        methods=methods,
        fills=fills,
        rounds=rounds,
        seed=seed,
    )
    if len(filters) > 1:
        text += f"baseline: {{interface: {veth(filters[0])}}}\n"
    path = folder / f"{name}-{'-'.join(map(str, filters))}.yaml"
    path.write_text(text)
    return path


def run(path: Path, results: Path) -> Path:
    """Run a matrix: the file of the run."""
    before = set(results.rglob("*.jsonl"))
    command = [sys.executable, "-m", "bench", "run", str(path), "--results", str(results)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (made,) = set(results.rglob("*.jsonl")) - before
    return made


def rows(path: Path) -> list[CellResult]:
    return summary.summarise(reader.read(path), 0.01)


def figures(path: Path) -> RunFigures:
    """As `bench compare` takes them where both sides have the same kernel."""
    return verdicts.figures_of(rates.read_rates(path, series), normalise=True)


def flagged(result: verdicts.Comparison) -> int:
    return sum(row.verdict in (Verdict.REGRESSED, Verdict.IMPROVED) for row in result.rows)


def verdict_line(what: str, met: bool) -> None:
    print(f"{what}: {'met' if met else 'missed'}")


# What a filter costs


def filters_for(folder: Path, shares: Sequence[float]) -> list[int]:
    """How many filters more cost these shares of a frame's CPU time.

    Found in a few short runs, as a filter costs more the more of them there are (cache misses).
    """
    steps = [round(share * 600) for share in shares]
    for _ in range(4):
        filters = (BASE, *(BASE + step for step in steps))
        seen = step_costs(run(matrix(folder, "calibrate", filters, 60, "sendto", "copy"), folder))
        print(", ".join(f"{n} filters cost {x:.1%}" for n, x in zip(steps, seen, strict=True)))
        if all(abs(x / share - 1) < 0.1 for x, share in zip(seen, shares, strict=True)):
            break
        steps = [
            round(n * min(3.0, max(0.3, share / max(x, 0.001))))
            for n, x, share in zip(steps, seen, shares, strict=True)
        ]
    print()
    return steps


def step_costs(path: Path) -> list[float]:
    """Of each number of filters but the first: the change of ns/frame against the first."""
    ratios: dict[int, list[float]] = {}
    for row in rows(path):
        interface = row.cell.values["interface"]
        assert isinstance(interface, dict)
        if row.figures.ratio_ns is not None:
            ratios.setdefault(interface["filters"], []).append(row.figures.ratio_ns.value - 1)
    return [sum(values) / len(values) for values in ratios.values()]


# The experiments


def false_alarms(results: Path, runs: int) -> None:
    there = sorted(results.rglob("*.jsonl"))
    for number in range(len(there), runs):
        print(f"run {number + 1} of {runs}", file=sys.stderr)
        there.append(run(NIGHTLY, results))
    read = [figures(path) for path in there[:runs]]
    cells = alarms = pairs_with = 0
    for number, (a, b) in enumerate(itertools.pairwise(read), 1):
        history = [other for other in read if other is not a and other is not b]
        result = verdicts.compare([a], [b], history, {})
        count = flagged(result)
        spread = ", ".join(f"{sd:.1%}" for sd in result.spread.values())
        widest = max(abs(c.value) for row in result.rows for c in row.changes.values())
        print(f"pair {number:2}: {count} flagged, largest change {widest:.1%}, spread {spread}")
        cells, alarms, pairs_with = (
            cells + len(result.rows),
            alarms + count,
            pairs_with + (count > 0),
        )
    print()
    pairs = len(read) - 1
    verdict_line(
        f"{alarms} of {cells} cells flagged ({alarms / cells:.2%}, goal 1 %)",
        alarms <= 0.01 * cells,
    )
    verdict_line(f"{pairs_with} of {pairs} pairs with any (goal 1 in 19)", pairs_with * 19 <= pairs)


def within(folder: Path, tries: int, rounds: int) -> None:
    (filters,) = filters_for(folder, (0.03,))
    told = total = 0
    for seed in range(1, tries + 1):
        path = run(
            matrix(folder, "within", (BASE, BASE + filters), rounds, "sendto", "copy", seed), folder
        )
        for row in rows(path):
            ratio = row.figures.ratio_ns
            if ratio is None or row.is_baseline:
                continue
            total += 1
            low, high = ratio.low, ratio.high
            told += low is not None and high is not None and not low <= 1 <= high
            print(f"try {seed:2}: {row.cell.frame_size:5} bytes: {ratio.value - 1:+.2%}")
    verdict_line(f"\n3 % told in {told} of {total} tries (goal 95 %)", told >= 0.95 * total)


def relabelled(b: RunFigures, a: RunFigures) -> RunFigures:
    """B's cells under the ids of A's: they differ in the filters alone, in the same order."""
    names = dict(zip(b.cells, a.cells, strict=True))
    return replace(b, cells=a.cells, figures={names[cell]: of for cell, of in b.figures.items()})


def between(folder: Path, pairs: int, rounds: int) -> None:
    shares = (0.05, 0.10)
    steps = filters_for(folder, shares)
    sides: list[list[RunFigures]] = [[] for _ in (0, *steps)]
    for number in range(pairs):
        print(f"turn {number + 1} of {pairs}", file=sys.stderr)
        for side, step in zip(sides, (0, *steps), strict=True):
            side.append(figures(run(matrix(folder, "between", (BASE + step,), rounds), folder)))
    for share, goal, side in zip(shares, (0.80, 0.95), sides[1:], strict=True):
        told = total = 0
        changes = []
        for a, b, history in turns(sides[0], side):
            result = verdicts.compare([a], [b], history, {})
            told += sum(row.verdict is Verdict.REGRESSED for row in result.rows)
            total += len(result.rows)
            changes += [row.changes["ns_per_frame"].value for row in result.rows]
        middle = sorted(changes)[len(changes) // 2]
        verdict_line(
            f"{share:.0%} (seen as {middle:+.1%}): regressed in {told} of {total} cells "
            f"({told / total:.0%}, goal {goal:.0%})",
            told >= goal * total,
        )


def turns(
    a: Sequence[RunFigures], b: Sequence[RunFigures]
) -> Iterator[tuple[RunFigures, RunFigures, list[RunFigures]]]:
    """A run, its neighbour with the cost, and the other runs without it as history."""
    for one, other in zip(a, b, strict=True):
        yield one, relabelled(other, one), [run for run in a if run is not one]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("false-alarms", "within", "between"))
    parser.add_argument("--results", type=Path, help="a folder of runs to go on with, and to keep")
    parser.add_argument("--runs", type=int, help="runs, tries or turns (20, 20, 10)")
    parser.add_argument("--rounds", type=int, default=100)
    args = parser.parse_args()
    heading(parser.description or "")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.results or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        match args.what:
            case "false-alarms":
                false_alarms(folder, args.runs or 20)
            case "within":
                within(folder, args.runs or 20, args.rounds)
            case _:
                between(folder, args.runs or 10, args.rounds)


if __name__ == "__main__":
    main()
