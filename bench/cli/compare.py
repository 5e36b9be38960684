"""``bench compare``: sides of runs, what changed from A to each other, and a verdict per cell."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from bench.base.exit_codes import ExitCode
from bench.cli import options

if TYPE_CHECKING:
    from bench.analysis.verdicts import Comparison

HELP = "compare runs, or sets of runs, with A: what changed, and a verdict per cell"
EXAMPLES = (
    "bench compare before.jsonl after.jsonl --all",
    "bench compare results/vm/nightly latest --last 5 --junit changes.xml",
)

VERDICTS = ("regressed", "missing", "inconclusive", "improved", "new", "unchanged")
"""As ``analysis.verdicts`` has them; importing it takes a while."""

CHANGED = VERDICTS[:-1]
FAILURES = ("regressed", "inconclusive", "missing")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "a",
        metavar="A",
        help="a run file, a folder or a quoted glob of them, GIT-REVISION:FILE, or latest: the run "
        "below results/ that was started last",
    )
    parser.add_argument("others", metavar="B", nargs="+", help="likewise; each is compared with A")
    parser.add_argument(
        "--last", type=_number, metavar="N", help="of each side only the N latest runs"
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
    parser.add_argument(
        "--only",
        type=_verdicts,
        metavar="VERDICT[,...]",
        help="list cells with these verdicts",
    )
    parser.add_argument(
        "--fail-on",
        type=_verdicts,
        default=FAILURES,
        metavar="VERDICT[,...]",
        help="verdicts that make the exit code 3 (regressed, improved) or 4 (others); default "
        f"{','.join(FAILURES)}",
    )
    options.add_every(parser)
    options.add_format(parser)
    options.add_junit(parser)


def execute(args: argparse.Namespace) -> int:
    from bench.campaign import sides
    from bench.render import comparison, comparisons

    options.check_output(args)
    policy = sides.Policy(args.force, args.last, args.min_effect, args.false_discoveries)
    compared = sides.compare(args.a, args.others, policy)
    names = [comparison.title([of]) for of in compared]
    if len(compared) > 1:
        names = [f"{name}, {of.name}" for name, of in zip(names, compared, strict=True)]
    write_junit(list(zip(names, (of.result for of in compared), strict=True)), args)
    chosen = args.only or (None if options.every(args) else CHANGED)
    options.write(comparisons.document_of(compared, chosen), args)
    return exit_code([of.result for of in compared], args.fail_on)


def write_junit(named: Sequence[tuple[str, Comparison]], args: argparse.Namespace) -> None:
    """The verdicts of each, to --junit if that is asked for."""
    if args.junit is not None:
        from bench.base.files import write_text
        from bench.render.export import junit

        suites = [junit.of_comparison(name, result) for name, result in named]
        write_text(args.junit, junit.render(suites))


def exit_code(results: Sequence[Comparison], fail_on: Collection[str] = FAILURES) -> ExitCode:
    """A shift that no history can tell is inconclusive by nature, and no cell's verdict."""
    from bench.analysis.verdicts import TOLD

    cells = {row.verdict for result in results for row in result.rows}
    shifts = {shift.verdict for result in results for shift in result.shifts} & {*TOLD}
    failed = {verdict for verdict in cells | shifts if verdict.value in fail_on}
    if failed & {*TOLD}:
        return ExitCode.REGRESSION
    return ExitCode.INCONCLUSIVE if failed else ExitCode.FINE


def _verdicts(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := [name for name in chosen if name not in VERDICTS]:
        raise argparse.ArgumentTypeError(
            f"{unknown[0]!r} is no verdict; verdicts are {', '.join(VERDICTS)}"
        )
    return chosen


def _number(text: str) -> int:
    if not (text.isdecimal() and len(text) < 10 and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)
