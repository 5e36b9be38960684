"""Suspects are measured again: which cells with them, and what is judged of it."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from bench.analysis.nightly import Finding
from bench.analysis.shared import MIN_SHARED
from bench.analysis.verdicts import interface_of
from bench.campaign import judging
from bench.campaign.judging import Before, Judged
from bench.campaign.leveled import read_leveled
from bench.campaign.sources import CONFIRM
from bench.campaign.task import Means, Task, measured
from bench.measure import runner
from bench.model.cells import Cell
from bench.model.leveled import LeveledRun
from bench.plan.plan import Plan, with_cells

CALM, CALM_PER_SUSPECT = 2 * MIN_SHARED, 2
"""Cells of an interface, beside its suspects, that show its shift: at least so many, and so many
for each suspect, as long as there are some."""


def confirmed(
    task: Task,
    means: Means,
    before: Before,
    tonight: LeveledRun,
    judged: list[Judged],
    suspects: Sequence[Judged],
) -> tuple[list[Judged], list[Path], list[str]]:
    """The judgement after suspects were measured again, the runs of that, and what to say."""
    first = _session(task, means, tonight, suspects, 1)
    if first is None:
        return judged, [], ["the budget has no time to measure the suspects again"]
    again = read_leveled(first)
    judged = judging.judge(before, tonight, [again])
    left = [of for of in judged if of.decision.finding is Finding.SUSPECTED]
    if not (means.at_once and left):
        return judged, [first], []
    other = _session(task, means, tonight, left, 2)
    if other is None:
        return judged, [first], ["the budget has no time for a second session"]
    judged = judging.judge(before, tonight, [again], read_leveled(other), judged)
    return judged, [first, other], []


def _session(
    task: Task, means: Means, tonight: LeveledRun, suspects: Sequence[Judged], number: int
) -> Path | None:
    """Measure suspects again, in a run of its own; None where there is no time for it."""
    seed = tonight.header.measure.seed or 0
    plan = plan_of(task.plan, suspects, seed + number)
    shuffled = replace(task.matrix, measure=replace(task.matrix.measure, seed=seed + number))
    matrix = means.budget.for_confirmation((shuffled, plan))
    if matrix is None:
        return None
    stem = Path(tonight.path).name.removesuffix(".jsonl")
    path = task.folder / CONFIRM / f"{stem}-{number}.jsonl"
    if path.exists():  # of this night, when it was killed
        path.unlink()
    run = measured(plan, matrix, runner.Target(path, machine=task.machine), means)
    if run.end != "done":
        raise KeyboardInterrupt
    return path


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
