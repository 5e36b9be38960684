"""One call of ``run``: which cells are left, in which order, what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import Protocol

from bench.base import signals
from bench.base.errors import BenchError, UsageError
from bench.measure import stop
from bench.measure.messages import Failure
from bench.measure.opening import MakeOpening, Opening, Setting, Turn
from bench.model.cells import Cell
from bench.model.matrix import Matrix, Rounds
from bench.model.run import Run
from bench.model.samples import Sample
from bench.plan import calibration, schedule
from bench.plan.plan import Plan
from bench.store.writer import RunWriter

PRECISION_CHECK_ROUNDS = 10
"""Rounds between checks of precision, once an opening has its least; also before one is opened."""


class Progress(Protocol):
    """Is told what happens; the command line draws a bar of it."""

    def stage(self, text: str) -> None: ...

    def rounds(self, slices: int, number: int, of: Rounds) -> None:
        """A round begins, the first is 1; so many slices are still to come, at the least."""

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
        self._facts = dict(earlier.facts) if earlier else {}
        self._failures: dict[str, str] = dict(earlier.failures) if earlier else {}
        measure = matrix.measure
        self._interval = calibration.interval(
            len(planned.runnable), measure.rounds.min, measure.openings
        )
        self.windows_s = 0.0

    def run(self, setting: Setting, make_opening: MakeOpening) -> None:
        """Measure what is left.

        Where nothing of the plan can be set up, it is failed rows like any other failure; but it
        raises UsageError where whoever called can mend it (a privilege, a device that is down), and
        BenchError in a run that has samples already.
        """
        rounds, openings = self._matrix.measure.rounds, self._matrix.measure.openings
        so_far = [sample for samples in self._samples.values() for sample in samples]
        done = max((sample.opening for sample in so_far), default=-1) + 1
        self._round = max((sample.round for sample in so_far), default=-1) + 1
        for share in schedule.shares(rounds, openings, done, self._round):
            self._share = share
            self._least = min(self._round + share.least, share.most)
            if cells := self._to_open():
                seed = self._matrix.measure.seed
                order = schedule.opening_order(cells, seed, share.opening)
                in_order = [self._cells[cell] for cell in order]
                with closing(make_opening(setting, in_order)) as opening:
                    self._open(opening, order)
                    self._rounds(opening, cells)
                    if share.opening + 1 == share.openings:
                        self._make_up(opening, cells)

    def _to_open(self) -> list[str]:
        """Cells that the present opening is to measure; none where it is not needed."""
        known = self._failures.keys() | self._plan.unfit.keys()
        left = [cell for cell in self._cells if cell not in known]
        if self._round >= self._least:
            left = self._still_wanted(left)
        is_needed = self._round < self._share.most and _has_cells_of_the_plan(left)
        return left if is_needed else []

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing yet that would be lost."""
        return not any(self._samples.values())

    def _open(self, opening: Opening, cells: Sequence[str]) -> None:
        self._stage("setting up")
        self._set_up(opening)
        for number, cell in enumerate(cells, 1):
            self._stage(f"checking cell {number} of {len(cells)}")
            if cell not in self._failures:
                self._open_cell(opening, cell)

    def _stage(self, text: str) -> None:
        number, openings = self._share.opening + 1, self._share.openings
        which = f"opening {number} of {openings}: " if openings > 1 else ""
        self._progress.stage(f"{which}{text}")

    def _set_up(self, opening: Opening) -> None:
        refused = opening.open()
        reasons = {**self._plan.unfit, **{cell: str(error) for cell, error in refused.items()}}
        left = {cell.id for cell in self._plan.cells} - reasons.keys() - self._failures.keys()
        is_asked_wrong = all(isinstance(error, UsageError) for error in refused.values())
        if refused and not left and (is_asked_wrong or not self.is_empty):
            # Before it is written: a run that is resumed keeps its cells.
            raise refused[[cell for cell in self._cells if cell in refused][-1]]
        for cell, reason in reasons.items():
            if cell not in self._failures:
                self._fail(cell, reason)

    def _failed(self, cell: str, failure: Failure) -> None:
        """Raises BenchError where no cell would fare better: the run ends unfinished, and goes on
        with all of them when it is resumed."""
        if failure.ends_run:
            raise BenchError(failure.reason)
        self._fail(cell, failure.reason)

    def _fail(self, cell: str, reason: str) -> None:
        self._failures[cell] = reason
        self._writer.failure(cell, reason)

    def _open_cell(self, opening: Opening, cell: str) -> None:
        match opening.open_cell(cell):
            case Failure() as failure:
                self._failed(cell, failure)
            case facts if facts != self._facts.get(cell):
                self._facts[cell] = facts
                self._writer.cell(cell, facts)

    def _rounds(self, opening: Opening, wanted: list[str]) -> None:
        self._stage("measuring")
        first = self._round
        for round_ in range(first, self._share.most):
            if round_ > first and self._is_check_due(round_):
                wanted = self._still_wanted(wanted)
            cells = [cell for cell in wanted if cell not in self._failures]
            if not _has_cells_of_the_plan(cells):
                break
            to_come = self._slices_to_come(len(cells))
            self._progress.rounds(to_come, round_ + 1, self._matrix.measure.rounds)
            is_certain = round_ + 1 < self._share.most and not self._is_check_due(round_ + 1)
            self._round_of(opening, cells, round_, first, round_ + is_certain)

    def _is_check_due(self, round_: int) -> bool:
        least = self._least
        return round_ >= least and (round_ - least) % PRECISION_CHECK_ROUNDS == 0

    def _make_up(self, opening: Opening, opened: Sequence[str]) -> None:
        """Measure cells further that have fewer usable samples than rounds were asked for."""
        plan, rounds = self._plan, self._matrix.measure.rounds
        for round_ in range(self._round, self._round + stop.spare(rounds)):
            samples = {cell.id: self._samples[cell.id] for cell in plan.cells}
            short = stop.short(samples, plan.baselines, self._failures, rounds) & set(opened)
            if not short:
                break
            cells = [cell for cell in self._along_with(short) if cell not in self._failures]
            self._progress.rounds(len(cells), round_ + 1, Rounds(round_ + 1, round_ + 1))
            self._round_of(opening, cells, round_, self._round, round_)

    def _round_of(
        self, opening: Opening, cells: Sequence[str], round_: int, first: int, certain: int
    ) -> None:
        """A round of an opening that began with round ``first``; ``certain`` is the last one that
        is sure to come."""
        turns = [
            (cell, number)
            for number in (round_, round_ + 1)
            for cell in schedule.round_order(
                self._due(cells, number - first),
                self._matrix.measure.seed,
                number,
                self._plan.twins,
            )
        ]
        for position, (cell, number) in enumerate(turns, 1):
            if number == round_ and cell not in self._failures:
                self._slice(opening, (cell, round_), turns[position:], certain)
        self._round = round_ + 1

    def _due(self, cells: Sequence[str], number: int) -> list[str]:
        """Of these cells those of an opening's round of this number, 0 being the first."""
        calibrates = number % self._interval == 0
        return [cell for cell in cells if calibrates or cell not in _CALIBRATING]

    def _slices_to_come(self, cells: int) -> int:
        """At the least: of these cells in this opening, and of all that are left in later ones.

        The calibration is among them with its share of the rounds.
        """
        here = max(self._least - self._round, 1)
        left = len(self._cells) - len(self._failures)
        seldom = len(_CALIBRATING) * (1 - 1 / self._interval)
        return math.ceil((cells - seldom) * here + (left - seldom) * self._share.later)

    def _slice(self, opening: Opening, turn: Turn, left: Sequence[Turn], certain: int) -> None:
        signals.check()
        cell, round_ = turn
        upcoming = [other for other, _ in left]
        follows = left and left[0][0] not in self._failures and left[0][1] <= certain
        answer = opening.run_slice(cell, round_, upcoming, left[0] if follows else None)
        if isinstance(answer, Failure):
            self._failed(cell, answer)
            self._progress.slice(self._cells[cell], None)
            return
        sample = replace(answer, opening=self._share.opening)
        self._writer.sample(sample)
        self._samples[cell].append(sample)
        self.windows_s += sample.wall_ns / 1e9
        self._progress.slice(self._cells[cell], sample)

    def _still_wanted(self, cells: Sequence[str]) -> list[str]:
        """Of the present cells those that need more rounds, and what is measured along with them:
        the baselines that they are compared with, and the calibration."""
        plan, measure = self._plan, self._matrix.measure
        measure = replace(measure, precision=measure.precision * self._share.looseness)
        samples = {cell.id: self._samples[cell.id] for cell in plan.cells}
        wanted = stop.wanted(samples, plan.baselines, self._failures, measure)
        return self._along_with(wanted & set(cells))

    def _along_with(self, wanted: set[str]) -> list[str]:
        """These cells, their baselines, and the calibration."""
        baselines = {self._plan.baselines.get(cell, cell) for cell in wanted}
        every = wanted | baselines | _CALIBRATING
        return [cell for cell in self._cells if cell in every]


_CALIBRATING = frozenset(cell.id for cell in calibration.CALIBRATION)


def _has_cells_of_the_plan(cells: Sequence[str]) -> bool:
    return not _CALIBRATING.issuperset(cells)
