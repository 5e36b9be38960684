"""What is said of a change, and of a cell by its changes.

A cell's change is a t statistic; the false discovery rate over all cells and figures is controlled
by Benjamini and Hochberg's procedure (J. R. Stat. Soc. B 57, 1995). A change is told (regressed,
improved) if it is discovered and may be as large as the minimum effect; unchanged is a claim, too:
the whole interval is smaller than the minimum effect.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from bench.analysis.evidence import NO_EVIDENCE, doubt, is_noted, told
from bench.analysis.intervals import MIN_ROUNDS
from bench.analysis.panel import Figure
from bench.analysis.shifts import Estimated
from bench.base.values import key_of
from bench.model.cells import Cell
from bench.model.results import mark_of
from bench.model.summaries import RunSummary

FIGURES: Mapping[Figure, int] = {"pps": 1, "ns_per_frame": -1}
"""Each figure that verdicts rest on: 1 where higher is better, -1 where lower is."""


MIN_EFFECT = 0.03


FALSE_DISCOVERY_RATE = 0.01


MOST_MORE = 999
"""More openings or runs than these are no advice."""


class Verdict(Enum):
    """What can be said of a cell; the order is the order of rows, worst first."""

    REGRESSED = "regressed"
    MISSING = "missing"
    INCONCLUSIVE = "inconclusive"
    IMPROVED = "improved"
    NEW = "new"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Change:
    """B over A minus 1, with its 95 % interval and the p-value of no change."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Shift:
    """What cells changed in common; ``scope`` is the key of an interface, or empty for all cells.

    That of an interface is what it did beyond the one that moved least. ``more_runs`` on each side
    would settle an inconclusive one.
    """

    scope: str
    figure: Figure
    change: Change
    verdict: Verdict
    assumed: bool
    more_runs: int | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One cell of the comparison: its changes beyond the shift of its place.

    It has none where a side lacks it or has too few rounds, and none of pps where that is no
    evidence. ``ratio`` is the change of the ratio
    to the baseline; no verdict rests on it, as it may be the baseline's. ``reasons`` says why it is
    inconclusive, or has no figures; ``more_openings`` of each run would settle it, if that is all.
    ``notes`` are those of the cell in the runs of each side, in short, by the side's name.
    """

    cell: Cell
    verdict: Verdict
    changes: Mapping[Figure, Change]
    threshold: float
    ratio: Change | None = None
    reasons: tuple[str, ...] = ()
    more_openings: int = 0
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Rows with the worst first, and how many runs spoke for what.

    ``openings`` is the smallest number of openings of a run of either side. ``calibration`` is the
    change of the calibration cells' ns/frame, None where a run has none.
    """

    rows: tuple[Row, ...]
    shifts: tuple[Shift, ...]
    runs_a: int
    runs_b: int
    history: int
    openings: int
    calibration: float | None


def interface_of(cell: Cell) -> str:
    """The key of the interface that a cell sends on."""
    return key_of(cell.values["interface"])


# Changes


@dataclass(frozen=True, slots=True)
class Found:
    """A change with how it was estimated."""

    change: Change
    estimated: Estimated


def change_of(of: Estimated) -> Change:
    from scipy import special

    reach = float(special.stdtrit(of.freedom, 0.975)) * of.error
    if of.error:
        p = 2 * float(special.stdtr(of.freedom, -abs(of.value) / of.error))
    else:
        p = float(of.value == 0)
    return Change(
        value=math.expm1(of.value),
        low=math.expm1(of.value - reach),
        high=math.expm1(of.value + reach),
        p=p,
    )


def discoveries(
    changes: Mapping[tuple[Figure, str], Change], rate: float
) -> set[tuple[Figure, str]]:
    """Of these the ones that differ from nothing, at a false discovery rate over all of them."""
    if not changes:
        return set()
    ordered = sorted(changes, key=lambda key: changes[key].p)
    number = len(ordered)
    passed = [i for i, key in enumerate(ordered, 1) if changes[key].p <= rate * i / number]
    return set(ordered[: max(passed, default=0)])


TOLD = (Verdict.REGRESSED, Verdict.IMPROVED)

Sides = Mapping[str, Sequence[RunSummary]]
"""The runs of both by the names of these, A's first."""


def row_of(
    cell: Cell,
    found: Mapping[Figure, Found],
    flagged: Collection[Figure],
    threshold: float,
    ratio: Change | None,
    sides: Sides,
    openings: int,
) -> Row:
    changes = {figure: of.change for figure, of in found.items()}
    verdict, notes = _absence(cell.id, *sides.values()), notes_of(cell.id, sides)
    row = Row(cell, verdict, changes, threshold, ratio, notes=notes)
    if not changes:
        few = _too_few(cell.id, sides) if verdict is Verdict.INCONCLUSIVE else ()
        return replace(row, reasons=(*few, *failures_of(cell.id, sides)))
    reasons = doubts_of(cell.id, sides)
    verdicts = {Verdict.INCONCLUSIVE} if reasons else set()
    more = 0
    for figure, of in found.items():
        verdict = verdict_of(of.change, FIGURES[figure], figure in flagged, threshold)
        if of.estimated.assumed:
            verdict = Verdict.INCONCLUSIVE
            reasons.append(NOTHING_SHOWS)
        elif verdict is Verdict.INCONCLUSIVE:
            reasons.append(TOO_WIDE)
            more = max(more, _openings_to_tell(of.estimated, threshold, openings))
        verdicts.add(verdict)
    worst = next(v for v in (*TOLD, Verdict.INCONCLUSIVE, Verdict.UNCHANGED) if v in verdicts)
    if worst is not Verdict.INCONCLUSIVE:
        return replace(row, verdict=worst)
    why = tuple(dict.fromkeys(reasons))
    return replace(row, verdict=worst, reasons=why, more_openings=more)


def notes_of(cell: str, sides: Sides) -> dict[str, tuple[str, ...]]:
    """The notes of a cell on each side that has any; counts are sums over its runs."""
    found = {}
    for name, side in sides.items():
        counts: Counter[str] = Counter()
        for run in side:
            if cell in run.summaries:
                counts.update(run.summaries[cell].notes)
        if counts:
            found[name] = tuple(mark_of(code, count) for code, count in counts.items())
    return found


NOTHING_SHOWS = (
    "nothing shows how far runs of so few cells differ; give more runs of each side, or keep other "
    "runs of the matrix beside them"
)


TOO_WIDE = "the interval reaches the minimum effect and does not show a change"


def verdict_of(change: Change, better: int, is_told: bool, threshold: float) -> Verdict:
    """Of one figure: told if it may reach the threshold, unchanged if no end of it does."""
    farthest = change.high if change.value > 0 else change.low
    if is_told and abs(farthest) >= threshold:
        return Verdict.IMPROVED if change.value * better > 0 else Verdict.REGRESSED
    if -threshold < change.low and change.high < threshold:
        return Verdict.UNCHANGED
    return Verdict.INCONCLUSIVE


def _openings_to_tell(of: Estimated, threshold: float, openings: int) -> int:
    """How many openings more of each run give an interval smaller than the threshold."""
    from scipy import special

    reach = (float(special.stdtrit(of.freedom, 0.975)) + 1) * of.error
    now = max(1, openings)
    return min(MOST_MORE, max(1, math.ceil(now * (reach / threshold) ** 2) - now))


def doubts_of(cell: str, sides: Sides) -> list[str]:
    """Why the pps of a cell is no evidence: what others did to it, and on which side."""
    found = []
    for code in NO_EVIDENCE:
        where: dict[str, list[str]] = {}
        for name, side in sides.items():
            for why in dict.fromkeys(_doubts(side, cell, code)):
                where.setdefault(told(why), []).append(name)
        found += [f"pps is no evidence: {why} in {' and '.join(of)}" for why, of in where.items()]
    return found


def _doubts(side: Sequence[RunSummary], cell: str, code: str) -> list[str]:
    summaries = [run.summaries[cell] for run in side if cell in run.summaries]
    return [doubt(each.notes, code) for each in summaries if is_noted(each, code)]


def _absence(cell: str, a: Sequence[RunSummary], b: Sequence[RunSummary]) -> Verdict:
    """Why there is nothing to compare: too few rounds, or B lacks what A has, or A what B has."""
    in_a, in_b = (any(cell in run.summaries for run in side) for side in (a, b))
    if in_a and in_b:
        return Verdict.INCONCLUSIVE
    return Verdict.NEW if in_b else Verdict.MISSING


def failures_of(cell: str, sides: Sides) -> tuple[str, ...]:
    """Why a cell failed, or has no usable sample, and on which side."""
    found = {
        f"failed in {name}: {run.failures[cell]}": None
        for name, side in sides.items()
        for run in side
        if cell in run.failures
    }
    return tuple(found)


def _too_few(cell: str, sides: Sides) -> tuple[str, ...]:
    counts = [
        max((r.summaries[cell].rounds for r in side if cell in r.summaries), default=0)
        for side in sides.values()
    ]
    few = [f"{n} in {name}" for n, name in zip(counts, sides, strict=True) if n < MIN_ROUNDS]
    return (f"valid rounds: {', '.join(few)}; {MIN_ROUNDS} are the least",)


def badness(row: Row) -> tuple[int, float]:
    worst = max(
        (-change.value * FIGURES[figure] for figure, change in row.changes.items()), default=0.0
    )
    return list(Verdict).index(row.verdict), -worst
