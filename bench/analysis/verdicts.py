"""Two sides of runs -> a verdict per cell.

The unit is the run: two runs of the same thing differ by more than their rounds show (memory
layout, placement, the neighbours of the day). Of every run and cell the median over rounds is
taken, as a logarithm, so that changes are ratios. How far such medians spread between runs is
estimated from runs that should agree: those of one side, and the history (other runs of the same
matrix in the same environment). Each cell's own variance is drawn towards that of all cells
(Smyth, Stat. Appl. Genet. Mol. Biol. 3(1), 2004; the degrees of freedom stay those of the runs,
as the cells of a run share its fate). A change is a t statistic, and the false discovery rate over
all cells and figures is controlled by Benjamini and Hochberg's procedure (J. R. Stat. Soc. B 57,
1995), which holds under the positive dependence that a shared fate is.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from bench.analysis.intervals import MIN_ROUNDS
from bench.model.cells import Cell
from bench.model.header import RunHeader
from bench.model.run import Rates

FIGURES = {"pps": 1, "ns_per_frame": -1}
"""Each compared figure: 1 where higher is better, -1 where lower is."""


MIN_EFFECT = 0.03


FALSE_DISCOVERY_RATE = 0.01


ASSUMED_SPREAD, ASSUMED_RUNS = 0.02, 4
"""Standard deviation (relative) between runs where there is no history, and how sure that is."""


class Verdict(Enum):
    """What can be said of a cell; the order is the order of rows, worst first."""

    REGRESSED = "regressed"
    MISSING = "missing"
    INCONCLUSIVE = "inconclusive"
    IMPROVED = "improved"
    NEW = "new"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class CellFigures:
    """A cell in one run: medians over rounds, frames per second and CPU ns per frame."""

    pps: float
    ns_per_frame: float
    rounds: int


@dataclass(frozen=True)
class RunFigures:
    """A run, as far as comparing needs it: its header, its cells, and figures by cell."""

    path: str
    header: RunHeader
    cells: Mapping[str, Cell]
    figures: Mapping[str, CellFigures]


def figures_of(rates: Rates, normalise: bool = False) -> RunFigures:
    """The medians of a stored run; ``normalise`` divides by the speed of its calibration cells."""
    speed = _speed(rates) if normalise else 1.0
    return RunFigures(
        path=rates.path,
        header=rates.header,
        cells={cell.id: cell for cell in rates.cells},
        figures={
            cell.id: CellFigures(
                pps=statistics.median(rates.series.pps[cell.id]) / speed,
                ns_per_frame=statistics.median(rates.series.ns_per_frame[cell.id]) * speed,
                rounds=len(rates.series.pps[cell.id]),
            )
            for cell in rates.cells
            if rates.series.pps.get(cell.id)
        },
    )


def _speed(rates: Rates) -> float:
    """Calibration frames per second of CPU time: only its ratio between runs matters.

    The geometric mean over the calibration cells, which must be the same in all runs (see
    ``uncalibrated``); of CPU time, as what others took of the CPU is no matter of the machine's
    speed.
    """
    costs = [statistics.median(rates.series.ns_per_frame[cell.id]) for cell in rates.calibration]
    return statistics.geometric_mean([1e9 / cost for cost in costs])


def why_not_normalise(runs: Sequence[Rates]) -> str:
    """Why the calibration cells do not say how fast the machine was, and nothing of what is
    compared; empty where they do.

    Of all runs the kernel must be the same: one that enters system calls more slowly slows down
    the calibration too, and must not be forgiven for it.
    """
    kernels = [
        (host.kernel, host.kernel_version, host.cmdline, host.mitigations)
        for host in (run.header.host for run in runs)
    ]
    differ = any(kernel != kernels[0] for kernel in kernels)
    return "the kernels differ" if differ else uncalibrated(runs)


def uncalibrated(runs: Sequence[Rates]) -> str:
    """Which run lacks figures of a calibration cell that it or another has; empty if none does.

    Divided by the mean of fewer cells it would be faster or slower than it was.
    """
    cells = {cell.id: cell.method for run in runs for cell in run.calibration}
    for run in runs:
        if not run.calibration:
            return f"{run.path} has no calibration cells"
        for cell, method in cells.items():
            if len(run.series.ns_per_frame.get(cell, ())) < MIN_ROUNDS:
                return f"{run.path} has too few valid samples of the calibration cell {method}"
    return ""


# The comparison


@dataclass(frozen=True, slots=True)
class Change:
    """B over A minus 1, with its 95 % interval and the p-value of no change."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Row:
    """One cell of the comparison; no changes where a side lacks it or has too few rounds."""

    cell: Cell
    verdict: Verdict
    changes: Mapping[str, Change]
    threshold: float


@dataclass(frozen=True)
class Comparison:
    """Rows with the worst first, and how many runs spoke for what."""

    rows: tuple[Row, ...]
    runs_a: int
    runs_b: int
    history: int
    spread: Mapping[str, float]
    """Relative standard deviation between runs, by figure, over all cells."""
    assumed: bool
    """Whether the spread is assumed, for want of runs that should agree."""
    normalised: bool = False
    why_not_normalised: str = ""
    """Empty also where it is not wanted."""


def compare(
    a: Sequence[RunFigures],
    b: Sequence[RunFigures],
    history: Sequence[RunFigures],
    thresholds: Mapping[str, float],
    rate: float = FALSE_DISCOVERY_RATE,
) -> Comparison:
    """The verdict on every cell of either side.

    ``history`` are runs like those of A, of neither side. ``thresholds`` maps cells to their
    minimum effect (a fraction).
    """
    cells = {id_: cell for run in (*a, *b) for id_, cell in run.cells.items()}
    common = [id_ for id_ in cells if _logs(a, id_, "pps") and _logs(b, id_, "pps")]
    spreads = {figure: _Spread.of([[*a, *history], b], common, figure) for figure in FIGURES}
    changes = {
        id_: {
            figure: _change(_logs(a, id_, figure), _logs(b, id_, figure), spread, id_)
            for figure, spread in spreads.items()
        }
        for id_ in common
    }
    flagged = _discoveries(changes, rate)
    rows = [
        _row(cells[id_], changes.get(id_, {}), flagged, thresholds.get(id_, MIN_EFFECT), a, b)
        for id_ in cells
    ]
    return Comparison(
        rows=tuple(sorted(rows, key=_badness)),
        runs_a=len(a),
        runs_b=len(b),
        history=len(history),
        spread={figure: math.sqrt(spread.common) for figure, spread in spreads.items()},
        assumed=any(spread.assumed for spread in spreads.values()),
    )


def _logs(runs: Sequence[RunFigures], cell: str, figure: str) -> list[float]:
    """Of the runs that measured the cell in enough rounds: a median of few is another thing, and
    the spread of such medians between runs is not that of others."""
    known = [run.figures[cell] for run in runs if cell in run.figures]
    return [math.log(getattr(of, figure)) for of in known if of.rounds >= MIN_ROUNDS]


# The spread between runs


@dataclass(frozen=True)
class _Spread:
    """Variance of run medians: each cell's own, and over all cells; degrees of freedom."""

    own: Mapping[str, float]
    own_freedom: Mapping[str, int]
    common: float
    freedom: int
    assumed: bool

    @classmethod
    def of(
        cls, groups: Sequence[Sequence[RunFigures]], cells: Sequence[str], figure: str
    ) -> _Spread:
        """From groups of runs that should agree within each."""
        own, freedom = {}, {}
        for cell in cells:
            series = [logs for group in groups if len(logs := _logs(group, cell, figure)) > 1]
            freedom[cell] = sum(len(logs) - 1 for logs in series)
            squares = sum(statistics.variance(logs) * (len(logs) - 1) for logs in series)
            own[cell] = squares / freedom[cell] if freedom[cell] else 0.0
        known = max(freedom.values(), default=0)
        if known == 0:
            return cls({}, {}, ASSUMED_SPREAD**2, ASSUMED_RUNS, True)
        common = statistics.mean(own[cell] for cell in cells if freedom[cell])
        return cls(own, freedom, common, known, False)

    def variance(self, cell: str) -> tuple[float, int]:
        """A cell's variance, drawn towards the common one, and its degrees of freedom."""
        d = self.own_freedom.get(cell, 0)
        drawn = (self.freedom * self.common + d * self.own.get(cell, 0.0)) / (self.freedom + d)
        return drawn, max(self.freedom, d)


def _change(a: Sequence[float], b: Sequence[float], spread: _Spread, cell: str) -> Change:
    from scipy import stats

    variance, freedom = spread.variance(cell)
    difference = statistics.mean(b) - statistics.mean(a)
    error = math.sqrt(variance * (1 / len(a) + 1 / len(b)))
    reach = float(stats.t.ppf(0.975, freedom)) * error
    p = 2 * float(stats.t.sf(abs(difference) / error, freedom)) if error else float(difference == 0)
    return Change(
        value=math.expm1(difference),
        low=math.expm1(difference - reach),
        high=math.expm1(difference + reach),
        p=p,
    )


# Verdicts


def _discoveries(changes: Mapping[str, Mapping[str, Change]], rate: float) -> set[tuple[str, str]]:
    """(cell, figure) pairs that differ, at a false discovery rate over all of them."""
    from scipy import stats

    pairs = [(cell, figure) for cell, of in changes.items() for figure in of]
    if not pairs:
        return set()
    adjusted = stats.false_discovery_control([changes[c][f].p for c, f in pairs])
    return {pair for pair, p in zip(pairs, adjusted, strict=True) if p <= rate}


def _row(
    cell: Cell,
    changes: Mapping[str, Change],
    flagged: set[tuple[str, str]],
    threshold: float,
    a: Sequence[RunFigures],
    b: Sequence[RunFigures],
) -> Row:
    if not changes:
        return Row(cell, _absence(cell.id, a, b), {}, threshold)
    verdicts = {
        _verdict(change, FIGURES[figure], (cell.id, figure) in flagged, threshold)
        for figure, change in changes.items()
    }
    for verdict in (Verdict.REGRESSED, Verdict.IMPROVED, Verdict.INCONCLUSIVE):
        if verdict in verdicts:
            return Row(cell, verdict, changes, threshold)
    return Row(cell, Verdict.UNCHANGED, changes, threshold)


def _absence(cell: str, a: Sequence[RunFigures], b: Sequence[RunFigures]) -> Verdict:
    """Why there is nothing to compare: too few rounds, or B lacks what A has, or A what B has."""
    in_a, in_b = (any(cell in run.figures for run in side) for side in (a, b))
    if in_a and in_b:
        return Verdict.INCONCLUSIVE
    return Verdict.NEW if in_b else Verdict.MISSING


def _verdict(change: Change, better: int, flagged: bool, threshold: float) -> Verdict:
    """Of one figure. Unchanged is a claim: the whole interval lies within the threshold."""
    if flagged and abs(change.value) >= threshold:
        return Verdict.IMPROVED if change.value * better > 0 else Verdict.REGRESSED
    if -threshold < change.low and change.high < threshold:
        return Verdict.UNCHANGED
    return Verdict.INCONCLUSIVE


def _badness(row: Row) -> tuple[int, float]:
    worst = max(
        (-change.value * FIGURES[figure] for figure, change in row.changes.items()), default=0.0
    )
    return list(Verdict).index(row.verdict), -worst
