"""The command line: one file per verb and one row in COMMANDS each.

Modules of verbs import what is heavy inside ``execute`` only: ``bench --help`` needs none of it.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn, TextIO

from bench.base.errors import BenchError, told, told_with_place
from bench.base.exit_codes import MEANINGS, ExitCode
from bench.base.stderr import say
from bench.cli import (
    ab,
    ack,
    compare,
    completion,
    doctor,
    export,
    history,
    init,
    methods,
    nightly,
    plan,
    plot,
    report,
    run,
    schema,
    show,
)
from bench.cli.version import Version

COMMANDS = {
    "run": run,
    "plan": plan,
    "show": show,
    "compare": compare,
    "ab": ab,
    "nightly": nightly,
    "history": history,
    "export": export,
    "ack": ack,
    "report": report,
    "plot": plot,
    "methods": methods,
    "doctor": doctor,
    "init": init,
    "schema": schema,
    "completion": completion,
}
"""By name, in the order of the help: each has HELP, two EXAMPLES, ``add_arguments`` and
``execute``."""

UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
EPILOG = "exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())
EPILOG += "; a signal is died of after cleaning up (a shell shows 130, 143 or 129)"


class _Parser(argparse.ArgumentParser):
    """Full streams are to it what they are to commands, on every Python: some let stderr fail, and
    some pass over stdout."""

    def error(self, message: str) -> NoReturn:
        with suppress(OSError):
            super().error(message)
        self.exit(ExitCode.USAGE)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        sys.stdout.flush()  # help ends here
        super().exit(status, message)


class _Formatter(argparse.HelpFormatter):
    """Fills paragraphs, and leaves indented lines as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill, lines = super()._fill_text, text.split("\n")
        return "\n".join(t if t.startswith(" ") else fill(t, width, indent) for t in lines)


def _with_examples(examples: Sequence[str]) -> str:
    return "\n".join([EPILOG, "", "examples:", *(f"  {example}" for example in examples)])


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="bench",
        description="Which way of transmitting raw Ethernet frames is fastest here, and by "
        "how much?",
        epilog=EPILOG,
    )
    top.add_argument("--version", action=Version)
    verbs = top.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        verb = verbs.add_parser(
            name,
            help=command.HELP,
            description=command.HELP,
            epilog=_with_examples(command.EXAMPLES),
            formatter_class=_Formatter,
        )
        command.add_arguments(verb)
        verb.set_defaults(execute=command.execute)
    return top


def main(arguments: Sequence[str] | None = None, first: Callable[[], object] = lambda: None) -> int:
    """Run one command, and something before it: its exit code. Expected errors are one line each
    on stderr."""
    _mend_streams()
    try:
        if completion.ASKED in os.environ:
            completion.complete(parser())
        first()
        args = parser().parse_args(arguments)
        code: int = args.execute(args)
        sys.stdout.flush()
        return code
    except BenchError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        _drop(sys.stdout)  # the reader (head, less) has enough
        return ExitCode.FAILURE
    except OSError as error:  # stdout on a full disk, a limit of the machine
        _drop(sys.stdout)
        # Whoever writes a file says which it was: what has no name is stdout.
        is_stdout = error.filename is None and error.errno in UNWRITTEN
        say(f"cannot write to stdout: {told(error)}" if is_stdout else told_with_place(error))
        return ExitCode.FAILURE
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:  # full: Python would end with 120 for what it cannot flush at exit
                _drop(stream)


def _mend_streams() -> None:
    """Give output that was closed (``>&-``) somewhere to go, and never fail for a character."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open until exit
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _drop(stream: TextIO) -> None:
    """What a stream could not take must not be flushed again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
