"""Which cells won the races of a run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from bench.analysis.figures import pps, within_round_ratios
from bench.analysis.intervals import quantile
from bench.analysis.openings import estimates
from bench.base.values import distinct, key_of
from bench.model.axes import AXES, Role, with_role
from bench.model.cells import Cell
from bench.model.run import Run
from bench.model.samples import Sample

_SENDS_NOTHING = "null"


def fastest(run: Run, usable: Mapping[str, Sequence[Sample]]) -> set[str]:
    """Of each group of rivals the cell that was faster than every other, where there is one.

    That is the one with the highest median pps, if all its ratios to the others, taken within
    rounds, have intervals above 1. None in a run with replicas: there a cell also races against
    itself, to show the noise.
    """
    if any(len(distinct(c.values.get(a) for c in run.cells)) > 1 for a in with_role(Role.REPLICA)):
        return set()
    groups: dict[str, dict[str, float]] = {}
    for cell in run.cells:
        if usable[cell.id] and cell.method != _SENDS_NOTHING:
            medians = groups.setdefault(contest_of(cell), {})
            medians[cell.id] = statistics.median(map(pps, usable[cell.id]))
    pairs = []
    for medians in groups.values():
        first, *others = sorted(medians, key=medians.__getitem__, reverse=True)
        pairs += [(first, other) for other in others]
    ratios = [within_round_ratios(usable[a], usable[b], "pps") for a, b in pairs]
    z = quantile(run.header.measure.rounds.by_precision)
    found = zip(pairs, estimates(ratios, z), strict=True)
    leads = {pair: ratio is not None and (ratio.low or 0.0) > 1.0 for pair, ratio in found}
    return {first for first, _ in pairs} - {
        first for (first, _), ahead in leads.items() if not ahead
    }


def contest_of(cell: Cell) -> str:
    """Equal for cells that compete: they send on the same place, and have the same to do.

    What a method has no axis for it does as the axis' default says: one that knows no flows sends
    one.
    """
    place = [cell.values.get(axis) for axis in with_role(Role.PLACE)]
    workload = [cell.values.get(axis) for axis in with_role(Role.WORKLOAD)]
    usual = [AXES[axis].default for axis in with_role(Role.WORKLOAD)]
    done = [u if w is None else w for w, u in zip(workload, usual, strict=True)]
    return key_of([place, done])
