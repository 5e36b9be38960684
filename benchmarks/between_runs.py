"""What does `bench compare` tell from one pair of runs, and does it cry wolf?

alike           matrices/nightly.yaml again and again: each run against the one before, without a
                history. Goals: 95 % of cells unchanged at 3 %, exit code 0 in 95 % of pairs, at
                most 1 false alarm in 960 cells.
costs           in turn: a matrix like it; the same with a cost of 3 % on some cells and of 2 % on
                others, which is compared with the first, without a history. Goals: 3 % is told in
                95 % of the cells, 2 % (at --min-effect 2%) in 80 %.
all             in turn: such a matrix; the same with a cost of 5 % on all cells, which is compared
                with the last five nights. Goal: told as a shift in 90 %, and no cell is blamed.
within          two cells of one run that differ by a per-frame cost. Goal: 3 % is told (the
                interval of the ratio of ns/frame excludes 1) in at least 95 % of tries.

The cost is real: u32 filters on the egress hook of the interface, which each frame passes (`{kind:
veth, filters: N}`). What one costs each cell is measured first, and hangs on what else the host has
in its caches: from one minute to the next it may halve or double. So a run with costs has each of
these cells without its cost, too: the ratio within rounds is what the cost was in that run. A cell
(or all of them) is asked about where that was at least what was meant, and the next turn has as
many filters more or less. What compare sees has no cell without its cost. The run without costs has
as many cells on as many interfaces, which differ in the length of a queue that nothing uses: beside
more interfaces sendmmsg was 0.5 to 1 % cheaper, set against sendto. A filter costs ten times as
much for a frame of a ring, whose pages are not in the skb's head: 3 % would be less than one
filter, so no cell with a cost is a ring.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, median

from common import heading

from bench.analysis import cell_summaries, figures, summary
from bench.analysis.compared import compare
from bench.analysis.verdicts import MIN_EFFECT, Comparison, Row, Verdict
from bench.model.results import CellResult
from bench.model.samples import Sample
from bench.model.summaries import RunSummary
from bench.store import reader
from bench.store.run_summaries import read_summary

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


def summary_of(path: Path) -> RunSummary:
    return read_summary(path, cell_summaries.summary_of)


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

SOME, OTHERS, ALL = 0.03, 0.02, 0.05
"""The costs: of some cells, of others in the same run, and of all cells."""

AIM = 1.1
"""What filters are to cost, of what is asked about: a little more."""

NIGHTS = 5
"""Runs of history that a shift is judged by."""

COSTLY = {("send", "copy"): SOME, ("sendmmsg", "prefilled"): OTHERS}
"""Two sets of four cells each: on two interfaces, of two sizes."""


@dataclass(frozen=True)
class Kind:
    """What cells of both interfaces and both sizes have in common is their cost; each has a number
    of filters that makes it."""

    interface: str
    method: str
    frame_size: int
    fill: str

    @property
    def group(self) -> tuple[str, str]:
        return self.interface, self.method

    @property
    def cost(self) -> float | None:
        return COSTLY.get((self.method, self.fill))


KINDS = [
    Kind(interface, method, frame_size, fill)
    for interface in ("veth", "ifb")
    for method in ("sendto", "send", "sendmmsg")
    for frame_size in (64, 1514)
    for fill in ("copy", "prefilled")
]
"""24 cells, as matrices/nightly.yaml has them, but without a ring."""

WANTED = {of: of.cost for of in KINDS if of.cost}
"""The cells that have a cost in the run where some have one."""


def with_cost(kind: str, filters: int) -> str:
    return f"{{kind: {kind}, filters: {BASE + filters}}}"


def without_cost(kind: str, filters: int) -> str:
    """Another interface for each number of filters, which it does not have."""
    return f"{{kind: {kind}, filters: {BASE}, txqueuelen: {1000 + filters}}}"


def nightly(
    folder: Path,
    name: str,
    filters: Sequence[Mapping[Kind, int]],
    rounds: int,
    openings: int,
    kinds: Collection[Kind] = KINDS,
    interface: Callable[[str, int], str] = with_cost,
) -> Path:
    """The nightly matrix once for each mapping, which says how many filters more than BASE a cell
    has."""
    rows = [
        f"{{interface: {interface(of.interface, more.get(of, 0))}, "
        f"method: {of.method}, frame_size: {of.frame_size}, fill: {of.fill}, burst: 64}}"
        for more in filters
        for of in kinds
    ]
    first, *others = rows
    text = [f"name: {name}", f"axes: {first}", "include:", *(f"  - {row}" for row in others)]
    text.append(f"measure: {{window: 3ms, rounds: {rounds}, openings: {openings}}}")
    path = folder / f"{name}.yaml"
    path.write_text("\n".join(text) + "\n")
    return path


def filters_of_cells(
    folder: Path, costs: Mapping[Kind, float], calibrations: Sequence[int]
) -> dict[Kind, int]:
    """How many filters more cost each of these cells that share of its CPU time.

    What one costs is taken of the cells of an interface and a method that shall have the same cost
    together. A filter costs more the more of them there are, so each cost has filters of its own,
    and a second run begins with what the first found; ``calibrations`` are the rounds of each.
    """
    steps = {of: round(cost * 600) for of, cost in costs.items()}
    for rounds in calibrations:
        made = reader.read(run(nightly(folder, "calibrate", [{}, steps], rounds, 4, costs), folder))
        samples = figures.usable_by_cell(made)
        plain, more = {}, {}
        for of, cell, costly in zip(costs, made.cells, made.cells[len(costs) :], strict=False):
            plain[of] = median(map(figures.ns_per_frame, samples[cell.id]))
            more[of] = plain[of] * (_ratio(samples[costly.id], samples[cell.id]) - 1)
        group_of = {of: (*of.group, f"{cost:.0%}") for of, cost in costs.items()}
        filter_ns = {
            group: sum(more[of] for of in costs if group_of[of] == group)
            / sum(steps[of] for of in costs if group_of[of] == group)
            for group in dict.fromkeys(group_of.values())
        }
        told = (f"{' '.join(group)} {cost:.2f}" for group, cost in filter_ns.items())
        print("ns of a filter:", ", ".join(told))
        steps = {
            of: max(1, round(cost * plain[of] / max(filter_ns[group_of[of]], 0.1)))
            for of, cost in costs.items()
        }
    print("filters:", ", ".join(map(str, steps.values())))
    return steps


def _ratio(samples: Sequence[Sample], base: Sequence[Sample]) -> float:
    """Of ns/frame within the rounds."""
    ratios = figures.within_round_ratios(samples, base, "ns_per_frame")
    return median([ratio for opening in ratios.values() for ratio in opening])


@dataclass
class Told:
    """Verdicts on cells, and exit codes of pairs, over all turns of one kind."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    false: int = 0

    def add(
        self,
        result: Comparison,
        asked: Collection[str] | None = None,
        costly: Collection[str] = (),
    ) -> None:
        """Verdicts count of the cells that are ``asked`` about (None: of all), false alarms of
        those that are not ``costly``."""
        found = {row.cell.id: row.verdict for row in result.rows}
        self.verdicts.update(v for cell, v in found.items() if asked is None or cell in asked)
        told = [v for cell, v in found.items() if cell not in costly and v in FLAGGED]
        self.false += len(told)
        all_of = {*found.values()} | {shift.verdict for shift in result.shifts}
        unsure = {Verdict.INCONCLUSIVE, Verdict.MISSING} & {*found.values()}
        self.codes["3" if Verdict.REGRESSED in all_of else "4" if unsure else "0"] += 1

    def share(self, verdict: Verdict) -> float:
        return self.verdicts[verdict] / max(1, self.verdicts.total())

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {verdict.value}" for verdict, n in self.verdicts.most_common())
        return f"{counts}; exit codes {dict(self.codes)}"


FLAGGED = (Verdict.REGRESSED, Verdict.IMPROVED)


def alike(folder: Path, runs: int) -> None:
    told, before = Told(), summary_of(run(NIGHTLY, folder))
    for number in range(1, runs):
        now = summary_of(run(NIGHTLY, folder))
        result = compare([before], [now], [], {})
        told.add(result)
        widest = max(abs(c.value) for row in result.rows for c in row.changes.values())
        print(f"pair {number:2}: {told}; largest change {widest:.1%}")
        before = now
    pairs, cells = told.codes.total(), told.verdicts.total()
    print()
    unchanged = told.share(Verdict.UNCHANGED)
    verdict_line(f"unchanged at 3 %: {unchanged:.1%} of cells (goal 95 %)", unchanged >= 0.95)
    zero = told.codes["0"] / max(1, pairs)
    verdict_line(f"exit code 0: {zero:.0%} of {pairs} pairs (goal 95 %)", zero >= 0.95)
    verdict_line(f"false alarms: {told.false} of {cells} cells (goal 1 of 960)", told.false <= 1)


def costs(folder: Path, size: argparse.Namespace) -> None:
    some = filters_of_cells(folder, WANTED, (300, 900))
    plain: list[RunSummary] = []
    at_3, at_2 = Told(), Told()
    for number in range(size.runs):
        print(f"turn {number + 1} of {size.runs}", file=sys.stderr)
        made = {
            name: run(
                nightly(folder, name, filters, size.rounds, size.openings, interface=interface),
                folder,
            )
            for name, filters, interface in (
                ("plain", [some, {}], without_cost),
                ("some", [some, {}], with_cost),
            )
        }
        now = summary_of(made["plain"])
        now = relabelled(now, plain[0] if plain else now)
        plain.append(now)
        b, was = relabelled(summary_of(made["some"]), now), true_costs(made["some"])
        ids = dict(zip(KINDS, (cell.id for cell in now.cells), strict=True))
        costly = [ids[of] for of in WANTED]
        for told, cost in ((at_3, SOME), (at_2, OTHERS)):
            asked = [ids[of] for of in WANTED if of.cost == cost and was[of] >= cost]
            result = compare([now], [b], [], {}, default=min(cost, MIN_EFFECT))
            told.add(result, asked, costly)
            _show(cost, was, {row.cell.id: row for row in result.rows}, ids)
        some = {of: _corrected(n, was[of] / WANTED[of]) for of, n in some.items()}
    _report(at_3, at_2)


def of_all(folder: Path, size: argparse.Namespace) -> None:
    every = filters_of_cells(folder, dict.fromkeys(KINDS, AIM * ALL), (100, 200))
    nights: list[RunSummary] = []
    shifts, blamed = Counter[str](), 0
    for number in range(size.runs):
        print(f"turn {number + 1} of {size.runs}", file=sys.stderr)
        made = {
            name: run(
                nightly(folder, name, [every, {}], size.rounds, size.openings, interface=interface),
                folder,
            )
            for name, interface in (("quiet", without_cost), ("all", with_cost))
        }
        night = summary_of(made["quiet"])
        nights.append(relabelled(night, nights[0] if nights else night))
        cost = mean(true_costs(made["all"], KINDS).values())
        every = {of: _corrected(n, cost / ALL) for of, n in every.items()}
        if len(nights) < NIGHTS:
            continue
        b = relabelled(summary_of(made["all"]), nights[0])
        result = compare(nights[-NIGHTS:], [b], [], {})
        (shift,) = (s for s in result.shifts if not s.scope and s.figure == "ns_per_frame")
        change, verdict = shift.change, shift.verdict.value
        print(
            f"{cost:+.1%} of all cells seen as {change.value:+.1%} [{change.low:+.1%}, "
            f"{change.high:+.1%}] {verdict}",
            flush=True,
        )
        blamed += sum(row.verdict in FLAGGED for row in result.rows)
        if cost >= ALL:
            shifts[verdict] += 1
    total = shifts.total()
    share = shifts[Verdict.REGRESSED.value] / max(1, total)
    shown = f"5 % of all cells, {NIGHTS} nights: told in {share:.0%} of {total} (goal 90 %)"
    verdict_line(shown, share >= 0.90)
    verdict_line(f"cells blamed for it: {blamed} (goal 0)", blamed == 0)


def true_costs(path: Path, costly: Collection[Kind] = WANTED) -> dict[Kind, float]:
    """What each cost was in a run in which these cells come again behind all others, without it."""
    made = reader.read(path)
    samples = figures.usable_by_cell(made)
    cell_of = dict(zip(KINDS, made.cells, strict=False))
    without = dict(zip(costly, made.cells[len(KINDS) :], strict=True))
    return {of: _ratio(samples[cell_of[of].id], samples[without[of].id]) - 1 for of in costly}


def _corrected(filters: int, off: float) -> int:
    """Towards a cost that is a little more than what is asked about, and by no more than half."""
    return max(1, round(filters * min(1.5, max(0.67, AIM / max(off, 0.1)))))


def _show(
    cost: float, was: Mapping[Kind, float], rows: Mapping[str, Row], ids: Mapping[Kind, str]
) -> None:
    told = [
        f"{was[of]:+.1%} seen as {rows[ids[of]].changes['ns_per_frame'].value:+.1%} "
        f"{rows[ids[of]].verdict.value}"
        for of in WANTED
        if of.cost == cost
    ]
    print(f"{cost:.0%} of some cells:", ", ".join(told))


def _report(some: Told, others: Told) -> None:
    print()
    for told, what, goal in ((some, "3 %", 0.95), (others, "2 % (at --min-effect 2%)", 0.80)):
        share, asked = told.share(Verdict.REGRESSED), told.verdicts.total()
        words = f"at least {what} of some cells told: {share:.0%} of {asked} (goal {goal:.0%})"
        verdict_line(words, share >= goal)
    print(f"cells without a cost that were flagged beside these: {some.false}")


def relabelled(b: RunSummary, a: RunSummary) -> RunSummary:
    """B's cells of KINDS under the ids of A's: they differ in the interface alone, in the same
    order. More may be behind them, which are left out. The calibration cells stay."""
    cells = a.cells[: len(KINDS)]
    names = {of_b.id: of_a.id for of_b, of_a in zip(b.cells[: len(KINDS)], cells, strict=True)}
    names |= {cell.id: cell.id for cell in b.calibration}
    summaries = {names[cell]: of for cell, of in b.summaries.items() if cell in names}
    return replace(b, cells=cells, summaries=summaries)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("what", choices=("alike", "costs", "all", "within"))
    parser.add_argument("--results", type=Path, help="a folder where the runs are kept")
    parser.add_argument("--runs", type=int, default=20, help="runs, turns or tries (20)")
    parser.add_argument("--rounds", type=int, default=360, help="of a run with costs (360)")
    parser.add_argument("--openings", type=int, default=5, help="of a run with costs (5)")
    args = parser.parse_args()
    heading(parser.description or "")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.results or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        match args.what:
            case "alike":
                alike(folder, args.runs)
            case "costs":
                costs(folder, args)
            case "all":
                of_all(folder, args)
            case _:
                within(folder, args.runs, args.rounds)


if __name__ == "__main__":
    main()
