"""What changed around a series since the night before: its machine, its kernel, its matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.analysis.environments import differences
from bench.analysis.levels import MIN_NIGHTS
from bench.campaign.judging import Before
from bench.campaign.nights import Night
from bench.model.leveled import LeveledRun
from bench.store.folders import run_files


def of(nights: Sequence[Night], before: Before, tonight: LeveledRun) -> tuple[str, ...]:
    """Each change since the last whole night, and what it means for the series."""
    last = next((n.run for n in reversed(nights) if _is_earlier(n, tonight)), None)
    if last is None:
        return (*_other_machines(Path(tonight.path).parent),)
    return (*_environment(last, before, tonight), *_matrix(last, tonight))


def _other_machines(folder: Path) -> Iterator[str]:
    """Nights of the same matrix under other names: the machine may have been renamed."""
    for path in sorted(folder.parent.parent.glob(f"*/{folder.name}")):
        if path != folder and (number := len(run_files(path))):
            name = path.parent.name
            yield (
                f"the series begin with tonight; {path} has {number} run{'s' * (number != 1)} of a "
                f"machine {name}: if it is this one, --machine {name} goes on with them"
            )


def _is_earlier(night: Night, tonight: LeveledRun) -> bool:
    return night.run.end == "done" and night.run.header.identity != tonight.header.identity


def _environment(last: LeveledRun, before: Before, tonight: LeveledRun) -> Iterator[str]:
    found = differences([last.header], [tonight.header])
    for change in found:
        meaning = ""
        if change.incomparable or change.what == "measure privileges":
            meaning = "; the series end here, and new ones begin"
        elif change.what == "host kernel_version":
            meaning = (
                f"; a new series begins, and is compared across it until it has {MIN_NIGHTS} nights"
            )
        yield f"{change.what} was {change.a} and is {change.b}{meaning}"
    if not before.nights and not found:
        yield "no earlier night can be compared with tonight"


def _matrix(last: LeveledRun, tonight: LeveledRun) -> Iterator[str]:
    if last.header.matrix.text == tonight.header.matrix.text:
        return
    then, now = ({cell.id for cell in run.cells} for run in (last, tonight))
    yield (
        f"the matrix was edited: {len(now - then)} series begin, {len(then - now)} end, "
        f"{len(then & now)} go on"
    )
