"""Arguments that several verbs have, alike on each, and what they lead to."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base.errors import UsageError
from bench.model.results import LARGEST_INTEGER
from bench.render import FORMATS

if TYPE_CHECKING:
    from bench.model.results import Report
    from bench.topology.link import Allowed

TABLE_WIDTH = 120
"""Columns of a table that does not go to a terminal."""


def add_matrix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("matrix", metavar="MATRIX", type=Path, help="a matrix file (YAML)")
    parser.add_argument("--seed", type=_seed, help="shuffle the rounds by this number instead")
    add_filter(parser)


def add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--filter",
        metavar="AXIS=VALUE[,VALUE]",
        action="append",
        default=[],
        help="only cells with one of these values, and their baselines; may be repeated",
    )


def add_format(parser: argparse.ArgumentParser, normalise: bool = True) -> None:
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="of the table")
    if normalise:
        parser.add_argument(
            "--normalise",
            action="store_true",
            help="divide by the machine's speed in each round, as the calibration cells had it",
        )
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="write the table there, not to stdout"
    )


def add_devices(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-device",
        metavar="NAME",
        action="append",
        default=[],
        help="send on this real interface, which the matrix names; may be repeated",
    )
    parser.add_argument(
        "--allow-device-in-use",
        action="store_true",
        help="also while it has an address or a default route",
    )


def allowed(args: argparse.Namespace) -> Allowed:
    """The real interfaces that may be used."""
    from bench.topology.link import Allowed

    return Allowed(tuple(args.allow_device), args.allow_device_in_use)


def _seed(text: str) -> int:
    # Of more digits int() makes nothing.
    if not (text.isdecimal() and len(text) < 100 and int(text) <= LARGEST_INTEGER):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {LARGEST_INTEGER}")
    return int(text)


def check_output(args: argparse.Namespace) -> None:
    """Complain before a long run, rather than after it, where --output cannot be written.

    A table takes the place of no run, whichever it is, and of no matrix that the command reads.
    """
    from bench.base.files import check_writable
    from bench.store.reader import is_run

    if args.output is None:
        return
    if args.output.is_dir() or not args.output.parent.is_dir():
        raise UsageError(f"--output {args.output}: name a file in a folder that is there")
    matrix = getattr(args, "matrix", None)
    is_matrix = matrix and os.path.realpath(args.output) == os.path.realpath(matrix)
    if is_matrix or is_run(args.output):
        raise UsageError(f"--output {args.output}: the table would replace it; name another file")
    check_writable(args.output)


def write_report(report: Report, args: argparse.Namespace) -> None:
    """The table in the format and to the place that were asked for."""
    write(lambda width, colour: FORMATS[args.format](report, width, colour), args)


def write(render: Callable[[int, bool], str], args: argparse.Namespace) -> None:
    """What ``render(width, colour)`` gives, to --output or to stdout."""
    from bench.base.files import write_text

    on_terminal = args.output is None and sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if on_terminal else TABLE_WIDTH
    colour = on_terminal and not os.environ.get("NO_COLOR")
    text = render(width, colour)
    if args.output is None:
        sys.stdout.write(text)
    else:
        write_text(args.output, text)
