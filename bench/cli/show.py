"""``bench show``: print a stored run again."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bench.base.exit_codes import ExitCode
from bench.base.stderr import say
from bench.cli import options

if TYPE_CHECKING:
    from bench.model.run import Run

HELP = "print a stored run again, in any format"
EXAMPLES = (
    "bench show latest",
    "bench show latest --filter method=tx_ring --format json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    options.add_filter(parser)
    options.add_normalise(parser)
    options.add_whole(parser)
    parser.add_argument(
        "--effects", action="store_true", help="what each axis is worth, instead of the cells"
    )
    options.add_format(parser)


def execute(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from bench.analysis import calibration
    from bench.base.errors import UsageError
    from bench.model.cells import axes_of
    from bench.plan import selection
    from bench.render import answer, effects, report
    from bench.store import reader

    options.check_output(args)
    run = reader.read(args.run)
    filters = selection.parse_filters(args.filter, axes_of(run.cells))
    for warning in run.warnings:
        say(warning)
    if run.header.sides:
        return _show_sides(run, filters, args)
    if args.normalise:
        run = calibration.normalised(run)
    made = report.make_report(run)
    kept = selection.passing([row.cell for row in made.rows], filters)
    rows = tuple(row for row in made.rows if row.cell.id in kept)
    if not rows and args.filter:
        raise UsageError(f"--filter {' '.join(args.filter)}: no cell of {args.run} has that")
    kept_rows = replace(made, rows=rows)
    if args.effects:
        document = effects.document_of(run, kept_rows)
    else:
        document = answer.answered(run, kept_rows, options.whole(args))
    options.write(document, args)
    return ExitCode.FINE


def _show_sides(run: Run, filters: Mapping[str, Sequence[str]], args: argparse.Namespace) -> int:
    """As `bench ab` did; its ratios are within rounds, which nothing need normalise."""
    from bench.base.errors import UsageError
    from bench.plan import selection
    from bench.render import sides

    if args.normalise:
        raise UsageError(f"--normalise: {args.run} has two sides, of which ratios are shown")
    if args.effects:
        raise UsageError(f"--effects: {args.run} has two sides, of which one change is shown")
    result = sides.compared(run)
    kept = selection.passing([row.cell for row in result.rows], filters)
    if not kept:
        raise UsageError(f"--filter {' '.join(args.filter)}: no cell of {args.run} has that")
    options.write(sides.document_of(run, result, options.every(args), kept), args)
    return ExitCode.FINE
