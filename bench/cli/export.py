"""``bench export``: a stored run as a file for another tool."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base.exit_codes import ExitCode
from bench.base.stderr import say
from bench.cli import options
from bench.render.export import EXPORTS

if TYPE_CHECKING:
    from bench.render.export.measured import Measured

HELP = "write a stored run as a file for another tool"
EXAMPLES = (
    "bench export latest --format go -o new.txt",
    "bench export latest --format prometheus -o bench.prom",
)
MOST_NAMED = 3
"""Cells without figures: of more of them only the number is said."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    width = max(map(len, EXPORTS))
    formats = (f"  {name:{width}}  {export.readers}" for name, export in EXPORTS.items())
    parser.description = "\n".join([HELP, "", *formats])
    options.add_run(parser)
    parser.add_argument(
        "--format",
        choices=EXPORTS,
        required=True,
        metavar="FORMAT",
        help="one of these",
    )
    options.add_output(parser)
    options.add_filter(parser)


def execute(args: argparse.Namespace) -> int:
    from bench.base.errors import UsageError
    from bench.model.cells import axes_of
    from bench.plan import selection
    from bench.render.export.measured import measured
    from bench.store import reader

    options.check_output(args)
    export = EXPORTS[args.format]
    if not export.is_text and args.output is None and sys.stdout.isatty():
        raise UsageError(f"--format {args.format} is no text for a terminal; name --output FILE")
    run = reader.read(args.run)
    filters = selection.parse_filters(args.filter, axes_of(run.cells))
    for warning in run.warnings:
        say(warning)
    kept = selection.passing(run.cells, filters)
    if not kept and args.filter:
        raise UsageError(f"--filter {' '.join(args.filter)}: no cell of {args.run} has that")
    of = measured(run, kept)
    options.write_bytes(export.make(of), args)
    return _told(of, args.run)


def _told(of: Measured, path: Path) -> ExitCode:
    """What the file lacks is said: its reader may take what is not there for what is fine."""
    lacking = [cell for cell in of.cells if not cell.result.is_measured]
    if len(lacking) == len(of.cells):
        say(f"{path}: no cell has figures")
        return ExitCode.INCONCLUSIVE
    for cell in lacking[:MOST_NAMED]:
        say(f"{cell.name}: no figures: {cell.result.failure or 'no valid round'}")
    if len(lacking) > MOST_NAMED:
        say(f"and {len(lacking) - MOST_NAMED} other cells without figures")
    return ExitCode.FINE
