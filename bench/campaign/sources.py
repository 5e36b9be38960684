"""The run files that an argument names, and what they hold."""

from __future__ import annotations

import glob
import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from bench.analysis.cell_summaries import summary_of
from bench.base.errors import UsageError
from bench.base.stderr import say
from bench.model.summaries import RunSummary
from bench.store.folders import ENDINGS, run_files
from bench.store.reader import header_of
from bench.store.run_summaries import read_summary

Source = tuple[Path, bytes | None]
"""A run file, and its content where that is not what the file has now."""


LATEST = "latest"
"""Names the run below RESULTS that was started last, unless a file has that name."""

RESULTS = Path("results")

CONFIRM = "confirm"
"""The folder of runs that confirm others."""


def sources(text: str) -> list[Source]:
    """The run files that a path, a folder, a glob, GIT-REVISION:FILE or ``latest`` names.

    Raises UsageError if none.
    """
    if text == LATEST and not Path(text).exists():
        return [(latest(), None)]
    revision = _at_revision(text)
    found: list[Source] = [(path, None) for path in _paths(text)] if not revision else [revision]
    if not found:
        raise UsageError(f"{text}: no run file there; name a .jsonl file, a folder or a glob")
    return found


def read(found: Iterable[Source]) -> list[RunSummary]:
    """Each run once. Says what is wrong with a file that can be read. Raises UsageError, also for a
    run of two sides."""
    runs = [read_summary(path, summary_of, content) for path, content in found]
    for run in runs:
        if run.header.sides:
            raise UsageError(
                f"{run.path} is a run of two sides, compared in itself: `bench show` shows it"
            )
        for warning in run.warnings:
            say(warning)
    return _distinct(runs)


def latest(results: Path = RESULTS, now: datetime | None = None) -> Path:
    """The run file below a folder whose run was started last, by its content. Raises UsageError."""
    started: dict[Path, datetime] = {}
    for path in sorted(_below(results)):
        with suppress(UsageError):
            if (time := header_of(path).started) and path.parent.name != CONFIRM:
                started[path] = time
    if not started:
        raise UsageError(f"{LATEST}: no run below {results}/; name a run file")
    return max(started, key=lambda path: in_time(started[path], now))


def _below(folder: Path) -> Iterator[Path]:
    """The run files in a folder and in those below it, each of which is entered once, also by a
    link."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = [name for name in folders if os.path.realpath(Path(place, name)) not in seen]
        yield from (Path(place, name) for name in names if name.endswith(ENDINGS))


def in_order(runs: Iterable[RunSummary], now: datetime | None = None) -> list[RunSummary]:
    """By the time that they were started; runs without one come first, and then those that a wrong
    clock has put after now."""
    return sorted(runs, key=lambda run: (*in_time(run.header.started, now), run.path))


def in_time(started: datetime | None, now: datetime | None = None) -> tuple[bool, datetime]:
    """What sorts runs by when they were started."""
    known = started or datetime.min.replace(tzinfo=UTC)
    return started is not None and known <= (now or datetime.now(UTC)), known


def beside(path: Path) -> list[Path]:
    """The run files of its folder, the latest first."""
    return run_files(path.parent)[::-1]


def _distinct(runs: Sequence[RunSummary]) -> list[RunSummary]:
    """Each run once, and of its copies the one that got farthest: copies agree, which would be
    taken for how little runs differ."""
    found: dict[object, RunSummary] = {}
    for run in runs:
        kept = found.setdefault(run.header.identity, run)
        if kept is not run:
            say(f"{run.path} is the same run as {kept.path}: it counts once")
            found[run.header.identity] = max(kept, run, key=_slices)
    return [*found.values()]


def _slices(run: RunSummary) -> int:
    return sum(summary.rounds for summary in run.summaries.values())


def _paths(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir():
        return run_files(path)
    if glob.has_magic(text) and not path.exists():
        names = sorted(glob.glob(text))  # noqa: PTH207 - Path.glob takes no absolute pattern
        return [Path(name) for name in names if name.endswith(ENDINGS)]
    return [path]


def _at_revision(text: str) -> Source | None:
    """``HEAD~1:results/x.jsonl`` as git has it; None where the argument is not of that form."""
    revision, colon, name = text.partition(":")
    if not colon or not revision or Path(text).exists():
        return None
    try:
        command = ["git", "show", "--end-of-options", text]
        shown = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise UsageError(f"{text}: git does not run here: {error.strerror}") from error
    if shown.returncode != 0:
        said = " ".join(shown.stderr.decode(errors="replace").split())
        raise UsageError(f"{text}: {said or 'git does not know it'}")
    if shown.stdout.startswith(f"tree {text}\n".encode()):
        raise UsageError(f"{text}: is a folder; name a file in it")
    return Path(name), shown.stdout
