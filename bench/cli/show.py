"""``bench show``: print a stored run again."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.cli import options
from bench.stderr import say

HELP = "print a stored run again, in any format"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", type=Path, help="a run file (.jsonl)")
    options.add_filter(parser)
    options.add_format(parser)


def execute(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from bench import plan, report, stats, store
    from bench.errors import UsageError

    options.check_output(args)
    filters = plan.parse_filters(args.filter)
    run = store.read(args.run)
    for warning in run.warnings:
        say(warning)
    made = report.make_report(stats.normalised(run) if args.normalise else run)
    rows = tuple(row for row in made.rows if plan.passes(row.cell, filters))
    if not rows and args.filter:
        raise UsageError(f"--filter {' '.join(args.filter)}: no cell of {args.run} has that")
    options.write_report(replace(made, rows=rows), args)
    return 0
