"""Two sides of runs -> what changed: everything, an interface, a cell; a verdict on each.

A change is taken apart into the shift of all cells, the shift of an interface, and what each cell
did beyond it (``shifts``). ``verdicts`` says what is told of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from bench.analysis.environments import kernel_of
from bench.analysis.panel import Array, Figure, calibration_of, panel_of
from bench.analysis.shifts import Parts, parts
from bench.analysis.verdicts import (
    FALSE_DISCOVERY_RATE,
    FIGURES,
    MIN_EFFECT,
    MOST_MORE,
    TOLD,
    Comparison,
    Found,
    Shift,
    Verdict,
    badness,
    change_of,
    discoveries,
    doubts_of,
    interface_of,
    row_of,
    verdict_of,
)
from bench.model.cells import Cell
from bench.model.summaries import RunSummary


def compare(
    a: Sequence[RunSummary],
    b: Sequence[RunSummary],
    history: Sequence[RunSummary],
    thresholds: Mapping[str, float],
    rate: float = FALSE_DISCOVERY_RATE,
    default: float = MIN_EFFECT,
    name: str = "B",
) -> Comparison:
    """The verdict on all cells, on each interface, and on every cell of either side.

    ``history`` are runs like those of A, of neither side. ``thresholds`` maps cells to their
    minimum effect (a fraction), which is ``default`` for others and for shifts. ``name`` is what
    reasons call side B.
    """
    cells = {cell.id: cell for run in (*a, *b) for cell in run.cells}
    taken = {figure: _parts(a, b, history, [*cells.values()], figure) for figure in FIGURES}
    ratios = _parts(a, b, history, [*cells.values()], "ratio").cells
    found = _found(taken)
    flagged = discoveries({key: of.change for key, of in found.items()}, rate)
    openings = min((len(s.openings) for r in (*a, *b) for s in r.summaries.values()), default=0)
    rows = [
        row_of(
            cell,
            {figure: found[figure, id_] for figure in FIGURES if (figure, id_) in found},
            {figure for figure in FIGURES if (figure, id_) in flagged},
            thresholds.get(id_, default),
            change_of(ratios[id_]) if id_ in ratios else None,
            {"A": a, name: b},
            openings,
        )
        for id_, cell in cells.items()
    ]
    return Comparison(
        rows=tuple(sorted(rows, key=badness)),
        shifts=tuple(_shifts(taken, flagged, default, len(a), len(b))),
        runs_a=len(a),
        runs_b=len(b),
        history=len(history),
        openings=openings,
        calibration=_calibration_change(a, b),
    )


def _parts(
    a: Sequence[RunSummary],
    b: Sequence[RunSummary],
    history: Sequence[RunSummary],
    cells: Sequence[Cell],
    figure: Figure,
) -> Parts:
    ids = [cell.id for cell in cells]
    groups = [[*a, *history], b]
    first = len(a) + len(history)
    is_ratio = figure == "ratio"
    sides = {"A": a, "B": b}
    doubtful = [figure != "ns_per_frame" and bool(doubts_of(id_, sides)) for id_ in ids]
    return parts(
        panel_of(groups, ids, figure).without(doubtful),
        ids,
        None if is_ratio else [interface_of(cell) for cell in cells],
        slice(0, len(a)),
        slice(first, first + len(b)),
        None if is_ratio else _calibration([*a, *history, *b], figure),
    )


def _calibration(runs: Sequence[RunSummary], figure: Figure) -> Array | None:
    """How fast the machine was in each run; None where the calibration cells do not say.

    A kernel that enters system calls more slowly slows down the calibration, too, and must not be
    forgiven for it: so it says nothing of runs with different kernels.
    """
    kernels = [kernel_of(run.header) for run in runs]
    is_same = all(kernel == kernels[0] for kernel in kernels)
    return calibration_of(runs, figure) if is_same else None


def _calibration_change(a: Sequence[RunSummary], b: Sequence[RunSummary]) -> float | None:
    logs = calibration_of([*a, *b], "ns_per_frame")
    if logs is None:
        return None
    return math.expm1(float(logs[len(a) :].mean() - logs[: len(a)].mean()))


def _found(taken: Mapping[Figure, Parts]) -> dict[tuple[Figure, str], Found]:
    """The change of each figure of each cell, and of each interface beyond the others."""
    return {
        (figure, name): Found(change_of(estimated), estimated)
        for figure, of in taken.items()
        for name, estimated in (*of.cells.items(), *of.beyond.items())
    }


def _shifts(
    taken: Mapping[Figure, Parts],
    flagged: Collection[tuple[Figure, str]],
    threshold: float,
    runs_a: int,
    runs_b: int,
) -> list[Shift]:
    """The shift of all cells, and of each interface beyond it, figure by figure."""
    found = []
    for figure, of in taken.items():
        if of.shift is None:
            continue
        for scope, estimated in (("", of.shift), *of.beyond.items()):
            change = change_of(estimated)
            is_told = (figure, scope) in flagged if scope else change.low > 0 or change.high < 0
            verdict = verdict_of(change, FIGURES[figure], is_told, threshold)
            if not scope and verdict in TOLD and abs(change.value) < threshold:
                verdict = Verdict.INCONCLUSIVE  # one that strays this far must be large itself
            if estimated.assumed:
                verdict = Verdict.INCONCLUSIVE
            more = None
            if verdict is Verdict.INCONCLUSIVE and not scope:
                more = _runs_to_tell(of.between_runs, threshold, min(runs_a, runs_b))
            found.append(Shift(scope, figure, change, verdict, estimated.assumed, more))
    return found


def _runs_to_tell(deviation: float, threshold: float, now: int) -> int | None:
    """How many more runs a side give the shift an interval smaller than the threshold."""
    from scipy import special

    for runs in range(2, MOST_MORE):
        reach = float(special.stdtrit(2 * runs - 2, 0.975)) * deviation * math.sqrt(2 / runs)
        if reach <= threshold:
            return max(1, runs - now)
    return None
