"""``bench run``: plan, build the core if stale, set up, measure, store, print the table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.base.errors import UsageError
from bench.base.exit_codes import ExitCode
from bench.base.stderr import say
from bench.cli import options, progress, tables

HELP = "run a matrix: set up, measure, store, print the table"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_matrix(parser)
    options.add_devices(parser)
    options.add_normalise(parser)
    options.add_format(parser)
    options.add_results(parser)
    parser.add_argument(
        "--resume",
        metavar="RUN",
        nargs="?",
        type=Path,
        const=True,  # the latest: no name for it, as a file may have any
        help="go on with an unfinished run: that file, or the latest of this matrix",
    )


def execute(args: argparse.Namespace) -> int:
    from bench import doctor
    from bench.analysis import calibration
    from bench.engines.config import memory_of
    from bench.measure import prepare, runner
    from bench.measure.measuring import measuring
    from bench.plan.needs import needs_of
    from bench.render import report, table
    from bench.store import folders, reader
    from bench.system import host

    matrix, plan = prepare.planned(args.matrix, args.filter, args.seed)
    folder = folders.results_folder(args.results, args.machine or host.machine_name(), matrix.name)
    if args.resume is None:
        target = runner.Target(folders.new_run_path(folder))
    else:
        path = reader.latest_unfinished(folder) if args.resume is True else args.resume
        if path.suffix != ".jsonl":
            raise UsageError(f"--resume {path}: its table could take its place; name a .jsonl file")
        target = runner.Target(path, resume=True, seed=args.seed)

    def look() -> Mapping[str, Any]:
        needs = needs_of(plan, memory_of)
        return doctor.diagnosis(doctor.examine(doctor.ProcFs(), plan.cpus, needs))

    ready = measuring(plan.topologies, look, lambda: options.check_output(args))
    with ready as seen, progress.shown(sys.stderr) as bar:
        bar.stage(seen.found["verdict"])
        if target.resume:  # what cannot be shown is known before it is measured
            # Not before ``ready``: scipy starts threads, which keep what this one gives up there.
            report.make_report(reader.read(target.path))
        run = runner.run(matrix, plan, target, bar, seen, options.allowed(args))
    say(f"stored in {target.path}")
    made = report.make_report(run)
    tables.keep(made, target.path, ["markdown"])
    shown = report.make_report(calibration.normalised(run)) if args.normalise else made
    options.write(table.document_of(shown), args)
    if run.end == "interrupted":
        return ExitCode.INTERRUPTED
    return ExitCode.FINE if report.is_complete(made, run) else ExitCode.INCONCLUSIVE
