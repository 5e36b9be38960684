"""``bench report``: one HTML file of a run, or of several."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from bench.base.errors import UsageError
from bench.base.exit_codes import ExitCode
from bench.cli import options

if TYPE_CHECKING:
    from bench.cli.subjects import Drawn
    from bench.render.page.page import Part

HELP = "make one HTML file of runs: pictures, table, environment; of two also what changed"
EXAMPLES = (
    "bench report latest -o report.html",
    "bench report before.jsonl after.jsonl -o change.html",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser, nargs="+")
    options.add_filter(parser)
    options.add_output(parser)


def execute(args: argparse.Namespace) -> int:
    from bench.cli import subjects
    from bench.render.page import contents
    from bench.render.page.page import page
    from bench.render.pictures import convert

    if args.output is None and sys.stdout.isatty():
        raise UsageError("a page is no text for a terminal; name --output FILE")
    options.check_output(args)
    convert.library()
    runs = [subjects.drawn(path, args.filter) for path in args.run]
    headers = [run.subject.run.header for run in runs]
    if len(runs) == 1:
        title = contents.title_of(headers[0])
        parts = [contents.part_of_run("", runs[0].subject, runs[0].document)]
    else:
        title = ", ".join(dict.fromkeys(header.matrix.name for header in headers))
        parts = [_compared(args, runs[0]), *(_part(run, n) for n, run in enumerate(runs))]
    options.write_bytes(page(title, parts, convert.vega()).encode(), args)
    return ExitCode.FINE


def _part(run: Drawn, number: int) -> Part:
    from bench.render.page import contents

    name = f"{chr(ord('A') + number)}: " if number < 26 else ""
    title = contents.title_of(run.subject.run.header)
    return contents.part_of_run(f"{name}{title}", run.subject, run.document)


def _compared(args: argparse.Namespace, first: Drawn) -> Part:
    """What changed from the first run to each of the others, or why that is not said."""
    from dataclasses import replace

    from bench.campaign import sides
    from bench.render import comparison
    from bench.render.page import contents

    a, *others = map(str, args.run)
    try:
        found = sides.compare(a, others, sides.Policy())
    except UsageError as error:
        return contents.part_without_comparison(str(error))
    changes = [
        (
            of.name,
            comparison.document_of(of),
            replace(first.subject, comparison=of.result, side=of.name),
        )
        for of in found
    ]
    return contents.part_of_comparisons(changes)
