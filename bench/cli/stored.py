"""What commands that measure and store a run have in common."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base.errors import UsageError

if TYPE_CHECKING:
    from bench.measure.runner import Target
    from bench.model.matrix import Matrix
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


def target(args: argparse.Namespace, matrix: Matrix, below: str = "") -> Target:
    """Where the run is written; ``below`` is a folder in that of the matrix. Raises UsageError."""
    from bench.measure.runner import Target
    from bench.store import folders, reader
    from bench.system import host

    machine = args.machine or host.machine_name()
    folder = folders.results_folder(args.results, machine, matrix.name) / below
    if args.resume is None:
        return Target(folders.new_run_path(folder))
    path = reader.latest_unfinished(folder) if args.resume is True else args.resume
    if path.suffix != ".jsonl":
        raise UsageError(f"--resume {path}: its table could take its place; name a .jsonl file")
    return Target(path, resume=True, seed=args.seed)


def diagnosis(plan: Plan) -> Mapping[str, Any]:
    """What the doctor says of this machine before a plan is run."""
    from bench import doctor
    from bench.engines.config import memory_of
    from bench.plan.needs import needs_of

    needs = needs_of(plan, memory_of)
    return doctor.diagnosis(doctor.examine(doctor.ProcFs(), plan.cpus, needs))
