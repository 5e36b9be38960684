"""A night: a run, the comparison with the nights before it, and a confirmation of what it found.

What a night has told stands in a file beside its run (``told``) from its beginning on. So a night
that was killed is gone on with, whether in its run or after it, and one that failed has a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base.errors import BenchError, UsageError, told_with_place
from bench.base.stderr import say
from bench.base.units import length_text
from bench.campaign import acknowledgements, budget, told
from bench.campaign.acknowledgements import Acknowledgement
from bench.campaign.task import Means, Task, measured
from bench.campaign.told import Told
from bench.measure import runner
from bench.model.leveled import LeveledRun
from bench.model.run import Run
from bench.store import folders, reader

if TYPE_CHECKING:  # at run time they load scipy: not before this process gave up its capabilities
    from bench.campaign.judging import Before, Judged
    from bench.campaign.nights import History


@dataclass(frozen=True)
class Outcome:
    """What became of a task. ``run`` is its file where there is one; ``judged`` has every series.

    ``missing`` maps cells without figures to their reasons, ``notes`` cells that have any to those
    of tonight's run, in short. ``marks`` are changes of the
    environment and of the matrix, ``remarks`` all else that must be said. ``plain`` is how many of
    the nights that it was compared with are runs of ``bench run``.
    """

    task: Task
    told: Told
    run: Path | None = None
    judged: tuple[Judged, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    marks: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    plain: int = 0
    is_interrupted: bool = False

    @property
    def has_shifts(self) -> bool:
        return any(of.cell is None for of in self.judged)

    @property
    def files(self) -> list[Path]:
        """Those that the night has written, tables apart."""
        folder = self.task.folder
        runs = [self.run] if self.run else []
        confirmed = [folder / name for name in self.told.confirmations]
        return [*runs, *confirmed, told.path_for(folder / self.told.run)]


def night(task: Task, left: Sequence[Task], means: Means) -> Outcome:
    """The night of a matrix; ``left`` are those that come after it, which want time, too.

    Fails only where nothing can be written: whatever else goes wrong is the outcome.
    """
    begun, resumed = _begun(task, means.now())
    told.write(task.folder, begun)
    remarks: list[str] = []
    try:
        if resumed is not None and resumed.end == "done":
            run = resumed
            remarks.append(f"{run.path} was measured before; its comparison is made up for")
        else:
            run = _run_of(task, left, means, begun, resumed, remarks)
    except (BenchError, OSError) as error:
        reason = told_with_place(error) if isinstance(error, OSError) else str(error)
        return _failed(task, begun, reason)
    if run.end != "done":
        return Outcome(task, begun, Path(run.path), is_interrupted=True)
    try:
        return _compared(task, means, begun, run, remarks)
    except KeyboardInterrupt:
        return Outcome(task, begun, Path(run.path), is_interrupted=True)


# The run


def _begun(task: Task, now: datetime) -> tuple[Told, Run | None]:
    """Tonight, and its run where it began before and was killed."""
    from bench.campaign.nights import SAME_NIGHT

    known, _ = told.all_of(task.folder)
    for earlier in [night for night in known if not night.ended]:
        if abs(now - earlier.started) >= SAME_NIGHT:
            _give_up(task, earlier, "it was killed, and not gone on with for 12 hours")
            continue
        try:
            return earlier, reader.read(task.folder / earlier.run)
        except UsageError:
            _give_up(task, earlier, "it was killed before anything was measured")
    name = folders.new_run_path(task.folder, now).name
    return Told(run=name, started=now.replace(microsecond=0)), None


def _give_up(task: Task, night: Told, reason: str) -> None:
    told.write(task.folder, replace(night, ended=True, failed=reason))


def _run_of(
    task: Task,
    left: Sequence[Task],
    means: Means,
    begun: Told,
    resumed: Run | None,
    remarks: list[str],
) -> Run:
    """The run of the night, with as many rounds as the budget allows, or those it began with."""
    path, is_resumed = task.folder / begun.run, resumed is not None
    target = runner.Target(path, resume=is_resumed, machine=task.machine)
    if resumed is not None:
        measure = replace(task.matrix.measure, rounds=resumed.header.measure.rounds)
        remarks.append(f"{resumed.path} was killed, and is gone on with")
        return measured(task.plan, replace(task.matrix, measure=measure), target, means)
    wanted = [(each.matrix, each.plan) for each in (task, *left)]
    matrix = means.budget.for_runs(wanted)
    if matrix is None:
        needed = length_text(budget.least_ns(wanted))
        raise BenchError(f"the fewest rounds take {needed}, and the budget has less left")
    if shrunk := budget.shrunk(matrix, task.matrix):
        remarks.append(shrunk)
    return measured(task.plan, matrix, target, means)


def _failed(task: Task, begun: Told, reason: str) -> Outcome:
    ended = replace(begun, ended=True, failed=reason)
    path = task.folder / begun.run
    unkept = tuple(_kept(task, ended))
    return Outcome(task, ended, path if path.exists() else None, remarks=unkept)


# The comparison


def _compared(task: Task, means: Means, begun: Told, run: Run, remarks: Sequence[str]) -> Outcome:
    from bench.analysis.levels import MIN_NIGHTS
    from bench.campaign import confirmation, judging, marks
    from bench.campaign.leveled import read_leveled
    from bench.campaign.nights import nights

    path = Path(run.path)
    history, tonight = nights(task.folder, means.now()), read_leveled(path)
    earlier, problems = told.all_of(task.folder)
    known, unread = _known(task.folder)
    before = judging.Before.of(history.nights, tonight.header, earlier, known)
    judged = judging.judge(before, tonight)
    said = [*remarks, *_oddities(history, path), *problems, *unread, *_failures(earlier, before)]
    confirmations: list[Path] = []
    if suspects := judging.suspects(judging.condensed(judged)):
        judged, confirmations, words = confirmation.confirmed(
            task, means, before, tonight, judged, suspects
        )
        said += words
    compared = {of.series for of in judged if of.cell and of.decision.nights >= MIN_NIGHTS}
    ended = replace(
        begun,
        ended=True,
        cells=len(compared),
        nights=len(before.nights),
        changes=tuple(of.change() for of in judged if of.decision.stands_out),
        confirmations=tuple(str(p.relative_to(task.folder)) for p in confirmations),
    )
    _pack([path, *confirmations])
    said += _kept(task, ended)
    return Outcome(
        task=task,
        told=ended,
        run=path,
        judged=tuple(judged),
        missing=_missing(tonight),
        notes={cell.id: of for cell in tonight.cells if (of := tonight.marks(cell.id))},
        marks=marks.of(history.nights, before, tonight),
        remarks=tuple(said),
        plain=before.plain,
    )


def _kept(task: Task, night: Told) -> list[str]:
    """Write what was told. Where that fails it can still be said."""
    try:
        told.write(task.folder, night)
    except BenchError as error:
        return [f"{error}; the next call tells it again"]
    return []


def _known(folder: Path) -> tuple[tuple[Acknowledgement, ...], list[str]]:
    try:
        return acknowledgements.read(folder), []
    except UsageError as error:
        return (), [f"{error}; no change is taken for a known one"]


def _oddities(history: History, tonight: Path) -> list[str]:
    """What is odd about files; that a night had two runs, on that night only."""
    from bench.campaign.nights import Kind

    return [
        odd.text
        for odd in history.oddities
        if odd.kind is not Kind.SAME_NIGHT or odd.path.name == tonight.name
    ]


def _failures(earlier: Sequence[Told], before: Before) -> list[str]:
    """Nights since the last one of the series that have no run."""
    last = before.nights[-1].started if before.nights else None
    return [
        f"the night of {of.started:%Y-%m-%d %H:%M} failed: {of.failed}"
        for of in earlier
        if of.failed and (last is None or of.started > last)
    ]


def _missing(tonight: LeveledRun) -> dict[str, str]:
    return {
        cell.id: tonight.failures.get(cell.id, "no valid sample")
        for cell in tonight.cells
        if cell.id not in tonight.ids or cell.id in tonight.failures
    }


def _pack(paths: Sequence[Path]) -> None:
    """Where that fails nothing is lost: the runs are whole."""
    from bench.store.packed import pack

    for path in paths:
        try:
            pack(path)
        except BenchError as error:
            say(f"{error}; the run is complete, and larger than it might be")
