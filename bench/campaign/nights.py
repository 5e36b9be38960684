"""The history of a matrix on a machine: the runs of its folder, in the order they began."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from bench.base.errors import UsageError
from bench.base.garbage import no_collection
from bench.campaign.leveled import read_leveled
from bench.model.leveled import LeveledRun
from bench.store.cache import Cache
from bench.store.content import bytes_of, merge_mark
from bench.store.folders import run_files
from bench.store.reader import NewerFormat

SAME_NIGHT = timedelta(hours=12)
"""Runs that began within it are of one night."""


class Kind(StrEnum):
    """What is odd about a file of a history."""

    MERGE = "merge"
    """It has the marks of a merge: left out."""
    FORMAT = "format"
    """A later version wrote it: left out."""
    UNREADABLE = "unreadable"
    """Left out."""
    UNDATED = "undated"
    """It does not say when it began: left out."""
    COPY = "copy"
    """Another file has the same run, and got as far: left out."""
    CUT_OFF = "cut_off"
    """Its last line is."""
    FUTURE = "future"
    """It began later than now: a clock was or is wrong."""
    SAME_NIGHT = "same_night"
    """It is not the first run of its night."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """What must be said of a file; ``text`` names it."""

    kind: Kind
    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class Night:
    """A run that says when it began, with its levels; unfinished ones, too."""

    started: datetime
    run: LeveledRun


@dataclass(frozen=True, slots=True)
class History:
    """Every distinct run of a folder once, by when it began, and what is odd about its files."""

    nights: tuple[Night, ...]
    oddities: tuple[Oddity, ...]


def nights(folder: Path, now: datetime | None = None) -> History:
    """The runs of ``<results>/<machine>/<matrix>``, whatever its files are called.

    Reads no samples but of runs that have no summaries, and what it has read before from a cache.
    """
    with no_collection():
        runs, unread = _read(run_files(folder), Cache(folder))
    dated, undated = _dated(runs)
    distinct, copies = _distinct(dated)
    in_order = sorted(distinct, key=lambda night: (night.started, night.run.path))
    return History(
        nights=tuple(in_order),
        oddities=(*unread, *undated, *copies, *_cut_off(in_order), *_times(in_order, now)),
    )


def _read(paths: Sequence[Path], cache: Cache) -> tuple[list[LeveledRun], list[Oddity]]:
    runs: list[LeveledRun] = []
    unread: list[Oddity] = []
    for path in paths:
        try:
            stat = path.stat()
            if (run := cache.get(path, stat)) is None:
                run = read_leveled(path)
                cache.put(path, stat, run)
            runs.append(run)
        except (UsageError, OSError) as error:
            unread.append(_unread(path, error))
    cache.save(path.name for path in paths)
    return runs, unread


def _unread(path: Path, error: UsageError | OSError) -> Oddity:
    if isinstance(error, OSError):
        return Oddity(Kind.UNREADABLE, path, f"{path}: {error.strerror}; left out")
    if isinstance(error, NewerFormat):
        return Oddity(Kind.FORMAT, path, f"{error}; left out")
    if line := _merging(path):
        text = f"{path}:{line}: the mark of a merge; keep one side of it; left out"
        return Oddity(Kind.MERGE, path, text)
    return Oddity(Kind.UNREADABLE, path, f"{error}; left out")


def _merging(path: Path) -> int:
    try:
        return merge_mark(bytes_of(path))
    except UsageError:
        return 0


def _dated(runs: Iterable[LeveledRun]) -> tuple[list[Night], list[Oddity]]:
    dated: list[Night] = []
    undated: list[Oddity] = []
    for run in runs:
        if started := run.header.started:
            dated.append(Night(started, run))
        else:
            text = f"{run.path}: does not say when it began; left out"
            undated.append(Oddity(Kind.UNDATED, Path(run.path), text))
    return dated, undated


def _distinct(nights: Iterable[Night]) -> tuple[list[Night], list[Oddity]]:
    """Each run once, and of its copies the one that got farthest."""
    kept: dict[object, Night] = {}
    copies: list[Oddity] = []
    for night in nights:
        identity = night.run.header.identity
        known = kept.setdefault(identity, night)
        if known is night:
            continue
        best, other = sorted((known, night), key=lambda of: of.run.rounds, reverse=True)
        kept[identity] = best
        text = f"{other.run.path} is the same run as {best.run.path}: it counts once"
        copies.append(Oddity(Kind.COPY, Path(other.run.path), text))
    return [*kept.values()], copies


def _cut_off(nights: Iterable[Night]) -> list[Oddity]:
    return [
        Oddity(Kind.CUT_OFF, Path(night.run.path), warning)
        for night in nights
        for warning in night.run.warnings
    ]


def _times(nights: Sequence[Night], now: datetime | None) -> list[Oddity]:
    """Where the clock was wrong, or is, and which runs are not the first of their night."""
    latest = now or datetime.now(UTC)
    future = [
        Oddity(
            Kind.FUTURE,
            Path(night.run.path),
            f"{night.run.path}: began {_at(night.started)}, and it is {_at(latest)} now: "
            "a clock was or is wrong",
        )
        for night in nights
        if night.started > latest
    ]
    again = [
        Oddity(
            Kind.SAME_NIGHT,
            Path(night.run.path),
            f"{night.run.path}: the night has another run, {before.run.path}",
        )
        for before, night in pairwise(nights)
        if night.started - before.started < SAME_NIGHT
    ]
    return [*future, *again]


def _at(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
