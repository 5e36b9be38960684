"""Arguments that several verbs have, alike on each, and what they lead to."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from bench.base.errors import UsageError
from bench.base.printable import printable
from bench.base.units import parse_share
from bench.model.results import LARGEST_INTEGER
from bench.render import FORMATS, sparkline
from bench.render.screen import PAPER, Screen

if TYPE_CHECKING:
    from bench.render.document import Document
    from bench.topology.link import Allowed

DEFAULT_RESULTS = Path("results")


def add_matrix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("matrix", metavar="MATRIX", type=Path, help="a matrix file (YAML)")
    parser.add_argument("--seed", type=_seed, help="shuffle the rounds by this number instead")
    parser.add_argument(
        "--set",
        metavar="AXIS=VALUE[,VALUE]",
        action="append",
        default=[],
        help="values of an axis, as in a matrix, in place of the matrix's own; repeatable",
    )
    add_filter(parser)
    add_engine(parser)


def add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        metavar="FILE",
        type=Path,
        action="append",
        default=[],
        help="a C file of yours that defines a method, as `bench init --engine FILE` writes one; "
        "may be repeated",
    )


def load_engines(args: argparse.Namespace) -> None:
    """Compile the C files that the command line names, and add their methods."""
    if args.engine:
        from bench.engines import own

        own.load(args.engine)


def add_filter(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--filter",
        metavar="AXIS=VALUE[,VALUE]",
        action="append",
        default=[],
        help="only cells with one of these values (or cell=ID), and their baselines; repeatable",
    )


def _machine(text: str) -> str:
    """An empty one is a variable that is not set, and no wish for the hostname."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; write a name, or leave the option out")
    if not text.isprintable():
        raise argparse.ArgumentTypeError(f"{printable(text)} is no name; write one in plain text")
    return text


def add_run(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument(
        "run",
        metavar="RUN",
        type=_stored_run,
        nargs=nargs,
        help="a run file (.jsonl, .jsonl.gz), or latest: the run below results/ that was started "
        "last",
    )


def _stored_run(text: str) -> Path:
    """Raises UsageError where there is no latest run."""
    from bench.campaign import sources

    is_latest = text == sources.LATEST and not Path(text).exists()
    return sources.latest() if is_latest else Path(text)


def add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results",
        metavar="FOLDER",
        type=Path,
        default=DEFAULT_RESULTS,
        help="where runs are stored: FOLDER/<machine>/<matrix>/ (default: results)",
    )
    parser.add_argument(
        "--machine",
        metavar="NAME",
        type=_machine,
        help="the machine's name in results (default: its hostname)",
    )


def add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="of what is printed")
    add_output(parser)


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        *("-o", "--output"),
        metavar="FILE",
        type=Path,
        help="write it there, not to stdout; an existing file is replaced, but no run",
    )


def add_junit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--junit", metavar="FILE", type=Path, help="write the verdicts there as JUnit XML as well"
    )


def add_min_effect(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--min-effect",
        type=share,
        metavar="PERCENT",
        help=f"changes below it are no regression (default {default}%%)",
    )


def share(text: str) -> float:
    """``1%`` as a fraction."""
    try:
        return parse_share(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_every(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all", action="store_true", help="list unchanged cells, too; files always have them"
    )


def every(args: argparse.Namespace) -> bool:
    """Whether unchanged cells are listed: they are many, in the log of a job, too."""
    return bool(args.all or args.format != "terminal" or args.output is not None)


def add_whole(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--all",
        action="store_true",
        help="every cell of a long table, not the best of each group; files and pipes have all",
    )
    add_verbose(parser)


def whole(args: argparse.Namespace) -> bool:
    """Whether a long table has all cells."""
    return args.all or not _is_for_a_terminal(args)


def add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--quiet", action="store_true", help="no progress: no bar, and no line every 30 s"
    )


def add_verbose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="the whole answer and heading, which files and pipes have",
    )


def _is_for_a_terminal(args: argparse.Namespace) -> bool:
    return args.format == "terminal" and args.output is None and sys.stdout.isatty()


def add_normalise(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--normalise",
        action="store_true",
        help="divide by the machine's speed in each round, as the calibration cells had it",
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


def add_exec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-exec",
        action="store_true",
        help="run the programs that the matrix names (method: {kind: exec, ...})",
    )


def date(text: str) -> datetime:
    """A time that somebody writes; without a zone it is UTC's."""
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no date; write 2026-11-28 or 2026-11-28T03:00:00+00:00"
        ) from None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def allowed(args: argparse.Namespace) -> Allowed:
    """The real interfaces that may be used, and whether programs may be run."""
    from bench.topology.link import Allowed

    return Allowed(
        tuple(args.allow_device), args.allow_device_in_use, getattr(args, "allow_exec", False)
    )


def _seed(text: str) -> int:
    # Of more digits int() makes nothing.
    if not (text.isdecimal() and len(text) < 100 and int(text) <= LARGEST_INTEGER):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to {LARGEST_INTEGER}")
    return int(text)


def check_output(args: argparse.Namespace) -> None:
    """Complain before a long run, rather than after it, where a file cannot be written.

    A file that is written takes the place of no run, whichever it is, of no matrix that the command
    reads, and of no other that it writes.
    """
    wanted = {name: getattr(args, name, None) for name in ("output", "junit")}
    files = {f"--{name} {path}": path for name, path in wanted.items() if path is not None}
    matrices = getattr(args, "matrices", [getattr(args, "matrix", None)])
    read = {os.path.realpath(matrix) for matrix in matrices if matrix}
    for option, path in files.items():
        _check_file(option, path, read)
    if len({os.path.realpath(path) for path in files.values()}) < len(files):
        raise UsageError(f"{' and '.join(files)} are one file; name two")


def _check_file(option: str, path: Path, read: Collection[str]) -> None:
    from bench.base.files import check_writable
    from bench.store.reader import is_run

    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{option}: name a file in a folder that is there")
    if os.path.realpath(path) in read or is_run(path):
        raise UsageError(f"{option}: the table would replace it; name another file")
    check_writable(path)


def write(document: Document, args: argparse.Namespace) -> None:
    """A document in the format that was asked for, to --output or to stdout."""
    from bench.base.files import write_text

    if _is_for_a_terminal(args) and not getattr(args, "verbose", True):
        document = document.shortened()
    text = FORMATS[args.format](document, _screen(args))
    if args.output is None:
        sys.stdout.write(text if _has_blocks(sys.stdout) else sparkline.plain(text))
    else:
        write_text(args.output, text)


def write_bytes(content: bytes, args: argparse.Namespace) -> None:
    """A whole file, to --output or to stdout."""
    from bench.base import files

    if args.output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    else:
        files.write_bytes(args.output, content)


def _has_blocks(stream: TextIO) -> bool:
    """Whether the encoding of a stream has the characters of sparklines."""
    try:
        sparkline.BLOCKS.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _screen(args: argparse.Namespace) -> Screen:
    if args.output is not None or not sys.stdout.isatty():
        return PAPER
    width = shutil.get_terminal_size().columns
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Screen(width, colour=not plain)
