"""One call of ``run``: which cells are left, in which order, what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Protocol

from bench.base import signals
from bench.measure import stop
from bench.measure.messages import Failure
from bench.measure.opening import MakeOpening, Opening, Setting
from bench.model.cells import Cell
from bench.model.matrix import Matrix
from bench.model.run import Run
from bench.model.samples import Sample
from bench.plan import calibration, schedule
from bench.plan.plan import Plan
from bench.store.writer import RunWriter

PRECISION_CHECK_ROUNDS = 10
"""Rounds between checks of precision, once the minimum is reached; also at the start of a resumed
run."""


class Progress(Protocol):
    """Is told what happens; the command line draws a bar of it."""

    def stage(self, text: str) -> None: ...

    def rounds(self, slices: int) -> None:
        """So many slices are still to come, at most."""

    def slice(self, cell: Cell, sample: Sample | None) -> None: ...


class Session:
    """One call of ``run``: which cells are left, in which order, what was measured."""

    def __init__(
        self,
        matrix: Matrix,
        planned: Plan,
        writer: RunWriter,
        progress: Progress,
        earlier: Run | None,
    ) -> None:
        self._matrix, self._plan, self._writer, self._progress = matrix, planned, writer, progress
        self._cells = {cell.id: cell for cell in (*planned.cells, *calibration.CALIBRATION)}
        self._samples: dict[str, list[Sample]] = {cell: [] for cell in self._cells}
        for sample in earlier.samples if earlier else ():
            self._samples.setdefault(sample.cell, []).append(sample)
        self._failures: dict[str, str] = dict(earlier.failures) if earlier else {}
        self.windows_s = 0.0

    def run(self, setting: Setting, make_opening: MakeOpening) -> None:
        """Measure what is left. Raises BenchError if nothing of the plan can be measured."""
        self._progress.stage("setting up")
        known = self._failures.keys() | self._plan.unfit.keys()
        left = [cell for cell in self._cells.values() if cell.id not in known]
        with closing(make_opening(setting, left)) as opening:
            self._set_up(opening)
            self._open_cells(opening, left)
            self._rounds(opening)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing yet that would be lost."""
        return not any(self._samples.values())

    def _set_up(self, opening: Opening) -> None:
        refused = opening.open()
        reasons = {**self._plan.unfit, **{cell: str(error) for cell, error in refused.items()}}
        if refused and (reasons | self._failures).keys() >= {cell.id for cell in self._plan.cells}:
            # Before it is written: a run that is resumed keeps its cells.
            raise [*refused.values()][-1]
        for cell, reason in reasons.items():
            if cell not in self._failures:
                self._fail(cell, reason)

    def _fail(self, cell: str, reason: str) -> None:
        self._failures[cell] = reason
        self._writer.failure(cell, reason)

    def _open_cells(self, opening: Opening, cells: Sequence[Cell]) -> None:
        """Open every cell once, in the order of the plan, and check its frames."""
        for number, cell in enumerate(cells, 1):
            self._progress.stage(f"opening cell {number} of {len(cells)}")
            if cell.id in self._failures:
                continue
            match opening.open_cell(cell.id):
                case Failure(reason):
                    self._fail(cell.id, reason)
                case facts:
                    self._writer.cell(cell.id, facts)

    def _rounds(self, opening: Opening) -> None:
        rounds, seed = self._matrix.measure.rounds, self._matrix.measure.seed
        rounds_so_far = [s.round for samples in self._samples.values() for s in samples]
        first = max(rounds_so_far, default=-1) + 1
        wanted = list(self._cells)
        for round_ in range(first, rounds.max):
            is_due = round_ == first or (round_ - rounds.min) % PRECISION_CHECK_ROUNDS == 0
            if round_ >= rounds.min and is_due:
                wanted = self._still_wanted(wanted)
            cells = [cell for cell in wanted if cell not in self._failures]
            if not set(cells) - {cell.id for cell in calibration.CALIBRATION}:
                break
            self._progress.rounds(len(cells) * ((max(rounds.min, round_ + 1)) - round_))
            order = schedule.round_order(cells, seed, round_)
            following = schedule.round_order(cells, seed, round_ + 1)
            for position, cell in enumerate(order):
                if cell not in self._failures:
                    self._slice(opening, cell, round_, [*order[position + 1 :], *following])

    def _slice(self, opening: Opening, cell: str, round_: int, upcoming: Sequence[str]) -> None:
        signals.check()
        answer = opening.run(cell, round_, upcoming)
        if isinstance(answer, Failure):
            self._fail(cell, answer.reason)
            self._progress.slice(self._cells[cell], None)
            return
        self._writer.sample(answer)
        self._samples[cell].append(answer)
        self.windows_s += answer.wall_ns / 1e9
        self._progress.slice(self._cells[cell], answer)

    def _still_wanted(self, cells: Sequence[str]) -> list[str]:
        """Of the present cells those that need more rounds, and what is measured along with them:
        the baselines that they are compared with, and the calibration."""
        plan = self._plan
        samples = {cell.id: self._samples[cell.id] for cell in plan.cells}
        wanted = stop.wanted(samples, plan.baselines, self._failures, self._matrix.measure)
        wanted &= set(cells)
        wanted |= {plan.baselines[cell] for cell in wanted if cell in plan.baselines}
        wanted |= {cell.id for cell in calibration.CALIBRATION}
        return [cell for cell in self._cells if cell in wanted]
