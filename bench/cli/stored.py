"""What commands that measure and store a run have in common."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from bench.base.errors import UsageError
from bench.base.stderr import say

if TYPE_CHECKING:
    from bench.measure.runner import Target
    from bench.plan.plan import Plan


def add_resume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--resume",
        metavar="RUN",
        nargs="?",
        type=Path,
        const=True,  # the latest: no name for it, as a file may have any
        help="go on with an unfinished run: that file, or the latest of this matrix",
    )


def add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait", action="store_true", help="wait while another run measures on the same CPUs"
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """The run to go on with, if that is asked for, and what chooses the cells: --filter, --set."""

    resumed: Path | None
    filters: Sequence[str]
    settings: Sequence[str]


def wanted(args: argparse.Namespace, below: str = "") -> Wanted:
    """What the command line asks for: a run that goes on without --filter takes over those that it
    began with, and so with --set.

    ``below`` is a folder in that of the matrix. Raises UsageError.
    """
    from bench.matrix import load
    from bench.model.header import options_text
    from bench.store import folders, reader

    if args.resume is None:
        return Wanted(None, args.filter, args.set)
    path = args.resume
    if path is True:
        path = _latest(_folder(args, load.name_in(args.matrix), below))
    if path.suffix != ".jsonl":
        why, write = "there is no such run file", "name a .jsonl file, or none for the latest run"
        if path.name.endswith(folders.ENDINGS) and path.is_file():
            why, write = "gzip packed it", f"unpack it: gunzip {quote(str(path))}"
        elif path.is_file():
            why = "its table could take its place"
        raise UsageError(f"--resume {path}: {why}; {write}")
    began = reader.header_of(path)
    filters = () if args.filter else began.filters
    settings = () if args.set else began.settings
    if filters or settings:
        say(f"{path} began with {options_text(settings, filters)}: so it goes on")
    return Wanted(path, args.filter or filters, args.set or settings)


def target(args: argparse.Namespace, name: str, of: Wanted, below: str = "") -> Target:
    """Where the run of a matrix is written, and what it is called with."""
    from bench.measure.runner import Target
    from bench.store import folders

    called: dict[str, Any] = {
        "machine": args.machine or "",
        "filters": tuple(of.filters),
        "settings": tuple(of.settings),
    }
    if of.resumed is None:
        return Target(folders.new_run_path(_folder(args, name, below)), **called)
    return Target(of.resumed, resume=True, seed=args.seed, **called)


def _folder(args: argparse.Namespace, name: str, below: str) -> Path:
    from bench.store import folders
    from bench.system import host

    return folders.results_folder(args.results, args.machine or host.machine_name(), name) / below


def _latest(folder: Path) -> Path:
    """The latest unfinished run of a folder; that there are others is said."""
    from bench.store import reader

    latest, *others = reader.unfinished(folder, datetime.now(UTC))
    if others:
        names = ", ".join(path.name for path in others)
        say(f"goes on with {latest}; unfinished, too: {names} (--resume RUN goes on with another)")
    return latest


def diagnosis(plan: Plan) -> Mapping[str, Any]:
    """What the doctor says of this machine before a plan is run."""
    from bench import doctor
    from bench.engines.config import memory_of
    from bench.plan.needs import needs_of

    needs = needs_of(plan, memory_of)
    return doctor.diagnosis(doctor.examine(doctor.ProcFs(), plan.cpus, needs))
