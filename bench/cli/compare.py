"""``bench compare``: two sides of runs, what changed, and a verdict per cell."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from bench.base.exit_codes import ExitCode
from bench.cli import options

if TYPE_CHECKING:
    from bench.analysis.verdicts import Comparison

HELP = "compare two runs, or two sets of runs: what changed, and a verdict per cell"
EXAMPLES = (
    "bench compare before.jsonl after.jsonl --all",
    "bench compare results/vm/nightly HEAD:after.jsonl --junit changes.xml",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for side in ("A", "B"):
        parser.add_argument(
            side.lower(),
            metavar=side,
            help="a run file, a folder or a quoted glob of them, or GIT-REVISION:FILE",
        )
    parser.add_argument(
        "--force",
        action="store_true",
        help="compare what is not comparable: other matrices, machines, cores",
    )
    options.add_min_effect(parser, 3)
    parser.add_argument(
        "--false-discoveries",
        type=options.share,
        default=0.01,
        metavar="PERCENT",
        help="of the verdicts regressed and improved, at most so many are wrong (default 1%%)",
    )
    options.add_every(parser)
    options.add_format(parser)
    options.add_junit(parser)


def execute(args: argparse.Namespace) -> int:
    from bench.campaign import sides
    from bench.render import comparison

    options.check_output(args)
    policy = sides.Policy(args.force, args.min_effect, args.false_discoveries)
    compared = sides.compare(args.a, args.b, policy)
    write_junit(comparison.title_of(compared), compared.result, args)
    options.write(comparison.document_of(compared, options.every(args)), args)
    return exit_code(compared.result)


def write_junit(matrix: str, result: Comparison, args: argparse.Namespace) -> None:
    """The verdicts, to --junit if that is asked for."""
    if args.junit is not None:
        from bench.base.files import write_text
        from bench.render.export import junit

        write_text(args.junit, junit.render([junit.of_comparison(matrix, result)]))


def exit_code(result: Comparison) -> ExitCode:
    """A shift that no history can tell is inconclusive by nature, and no cell's verdict."""
    from bench.analysis.verdicts import Verdict

    verdicts = {row.verdict for row in result.rows}
    if Verdict.REGRESSED in verdicts | {shift.verdict for shift in result.shifts}:
        return ExitCode.REGRESSION
    unsure = verdicts & {Verdict.INCONCLUSIVE, Verdict.MISSING}
    return ExitCode.INCONCLUSIVE if unsure else ExitCode.FINE
