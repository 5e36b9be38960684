"""Which cells won the races of a run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from bench.analysis.figures import pps, within_round_ratios
from bench.analysis.intervals import quantile
from bench.analysis.openings import estimates
from bench.base.values import Value, distinct, key_of
from bench.model.answer import Contest, Rival
from bench.model.axes import AXES, Role, with_role
from bench.model.cells import Cell
from bench.model.run import Run
from bench.model.samples import Sample

SENDS_NOTHING = "null"
"""A method that competes with none."""


def contests(
    run: Run, usable: Mapping[str, Sequence[Sample]], cells: Sequence[Cell]
) -> list[Contest]:
    """Of each group of rivals among some cells who leads, and by how much.

    The leader has the highest median pps, of those that lose no frames where there are any. None
    in a run with replicas: there a cell also races against itself, to show the noise.
    """
    if any(len(distinct(c.values.get(a) for c in run.cells)) > 1 for a in with_role(Role.REPLICA)):
        return []
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        if usable[cell.id] and cell.method != SENDS_NOTHING:
            groups.setdefault(contest_of(cell), []).append(cell)
    orders = [_in_order(group, usable) for group in groups.values()]
    pairs = [
        (first, rival) for first, *rivals in (order for order, _ in orders) for rival in rivals
    ]
    ratios = [within_round_ratios(usable[a], usable[b], "pps") for a, b in pairs]
    z = quantile(run.header.measure.rounds.by_precision)
    leads = dict(zip(pairs, estimates(ratios, z), strict=True))
    found = []
    for group, (order, lossy) in zip(groups.values(), orders, strict=True):
        first, *rivals = order
        place, workload = _place_and_workload(group[0])
        beaten = tuple(Rival(rival, leads[first, rival]) for rival in rivals)
        found.append(Contest(_known(place), _known(workload), first, beaten, lossy))
    return found


def fastest(contests: Sequence[Contest]) -> set[str]:
    """The leaders that were faster than every rival."""
    return {contest.leader for contest in contests if contest.is_decided}


def _in_order(
    group: Sequence[Cell], usable: Mapping[str, Sequence[Sample]]
) -> tuple[list[str], tuple[str, ...]]:
    """Those that compete, the fastest first, and those that lose frames while others do not."""
    medians = {cell.id: statistics.median(map(pps, usable[cell.id])) for cell in group}
    order = sorted(medians, key=medians.__getitem__, reverse=True)
    lossy = tuple(cell for cell in order if any(sample.lost for sample in usable[cell]))
    if len(lossy) == len(order):
        return order, ()
    return [cell for cell in order if cell not in lossy], lossy


def contest_of(cell: Cell) -> str:
    """Equal for cells that compete: they send on the same place, and have the same to do."""
    return key_of(_place_and_workload(cell))


Values = dict[str, Value | None]


def _place_and_workload(cell: Cell) -> tuple[Values, Values]:
    """What a method has no axis for it does as the axis' default says: one that knows no flows
    sends one."""
    place = {axis: cell.values.get(axis) for axis in with_role(Role.PLACE)}
    workload = {axis: cell.values.get(axis) for axis in with_role(Role.WORKLOAD)}
    return place, {a: AXES[a].default if v is None else v for a, v in workload.items()}


def _known(values: Values) -> dict[str, Value]:
    return {axis: value for axis, value in values.items() if value is not None}
