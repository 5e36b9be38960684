"""What a night has told, in a file beside its run: the next nights go on from there.

It is written when the night begins, so that one that was killed is known, and again at its end. A
night that failed before it had a run has this file alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import msgspec

from bench.base import files
from bench.base.errors import BenchError, UsageError, told
from bench.store.content import merge_mark
from bench.store.folders import run_name
from bench.store.misfits import misfit

FORMAT = 1
ENDING = ".told.json"

Key = tuple[str, str]
"""The name of a series (a cell's id, an interface, ``all``) and its figure."""


@dataclass(frozen=True, slots=True)
class Change:
    """A series that was not as before; ``level`` is when the level began that it is relative to,
    None where that is as old as the series.

    ``since`` is when the first night began of those that agree; ``stands_out``: the night is not of
    the level.
    """

    series: str
    figure: str
    finding: str
    change: float
    low: float
    high: float
    since: datetime
    level: datetime | None
    stands_out: bool

    @property
    def key(self) -> Key:
        return self.series, self.figure


@dataclass(frozen=True, slots=True)
class Told:
    """A night: ``run`` is the name of its file; ``failed`` says why it has no whole run.

    A night that has not ``ended`` is going on, or was killed. ``cells`` were compared with
    ``nights``.
    """

    run: str
    started: datetime
    ended: bool = False
    failed: str = ""
    cells: int = 0
    nights: int = 0
    changes: tuple[Change, ...] = ()
    confirmations: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def by_key(self) -> Mapping[Key, Change]:
        return {change.key: change for change in self.changes}


def path_for(run: Path) -> Path:
    return run.with_name(run_name(run) + ENDING)


def write(folder: Path, night: Told) -> Path:
    """The folder is made if it is not there. Raises BenchError."""
    path = path_for(folder / night.run)
    try:
        files.make_folders(folder)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {told(error)}") from error
    text = msgspec.json.format(msgspec.json.encode(night), indent=1)
    files.write_text(path, f"{text.decode()}\n")
    return path


def read(path: Path) -> Told:
    """Raises UsageError for a file that is none, or of a later version."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {told(error)}") from error
    try:
        night = msgspec.json.decode(content, type=Told)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors, too
        raise _refused(path, content) from None
    if night.format > FORMAT:
        raise UsageError(f"{path}: format {night.format} is newer than this bench reads ({FORMAT})")
    return night if night.started.tzinfo else replace(night, started=night.started.astimezone())


def _refused(path: Path, content: bytes) -> UsageError:
    if line := merge_mark(content):
        return UsageError(f"{path}:{line}: the mark of a merge; keep one side of it")
    try:
        why = misfit(msgspec.json.decode(content), Told) or "it has text that is not Unicode"
    except (ValueError, RecursionError):
        why = "it is no JSON, or cut off"
    return UsageError(f"{path}: not what a night has told: {why}")


def all_of(folder: Path) -> tuple[list[Told], list[str]]:
    """The nights of a folder by when they began, and what is wrong with files."""
    problems: list[str] = []
    found = sorted(_readable(folder, problems), key=lambda night: night.started)
    return found, problems


def _readable(folder: Path, problems: list[str]) -> Iterator[Told]:
    for path in sorted(folder.glob(f"*{ENDING}")):
        try:
            yield read(path)
        except UsageError as error:
            problems.append(f"{error}; left out")
