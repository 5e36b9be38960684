"""``bench show``: print a stored run again."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.base.exit_codes import ExitCode
from bench.base.stderr import say
from bench.cli import options

HELP = "print a stored run again, in any format"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="a run file (.jsonl)")
    options.add_filter(parser)
    options.add_normalise(parser)
    options.add_format(parser)


def execute(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from bench.analysis import calibration
    from bench.base.errors import UsageError
    from bench.model.cells import axes_of
    from bench.plan import selection
    from bench.render import report, table
    from bench.store import reader

    options.check_output(args)
    run = reader.read(args.run)
    filters = selection.parse_filters(args.filter, axes_of(run.cells))
    for warning in run.warnings:
        say(warning)
    made = report.make_report(calibration.normalised(run) if args.normalise else run)
    kept = selection.passing([row.cell for row in made.rows], filters)
    rows = tuple(row for row in made.rows if row.cell.id in kept)
    if not rows and args.filter:
        raise UsageError(f"--filter {' '.join(args.filter)}: no cell of {args.run} has that")
    options.write(table.document_of(replace(made, rows=rows)), args)
    return ExitCode.FINE
