"""Which cells are measured again when some are suspect."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from bench.analysis.shared import MIN_SHARED
from bench.analysis.verdicts import interface_of
from bench.campaign.judging import Judged
from bench.model.cells import Cell
from bench.plan.plan import Plan, with_cells

CALM, CALM_PER_SUSPECT = 2 * MIN_SHARED, 2
"""Cells of an interface, beside its suspects, that show its shift: at least so many, and so many
for each suspect, as long as there are some."""


def plan_of(plan: Plan, suspects: Sequence[Judged], seed: int) -> Plan:
    """The suspects, their baselines, and others that show the shift of each interface."""
    known = {cell.id: cell for cell in plan.runnable}
    suspected = {of.series for of in suspects if of.cell is not None and of.series in known}
    wanted = suspected | {plan.baselines[cell] for cell in suspected if cell in plan.baselines}
    generator = random.Random(seed)
    for cells in _by_interface(plan.runnable).values():
        calm = [cell.id for cell in cells if cell.id not in suspected]
        number = max(CALM, CALM_PER_SUSPECT * _count(cells, suspected))
        wanted |= set(generator.sample(calm, min(number, len(calm))))
    return with_cells(plan, [cell for cell in plan.runnable if cell.id in wanted])


def _by_interface(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(interface_of(cell), []).append(cell)
    return found


def _count(cells: Sequence[Cell], among: Collection[str]) -> int:
    return sum(cell.id in among for cell in cells)
