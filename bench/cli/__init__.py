"""The command line: one file per verb and one row in COMMANDS each.

Modules of verbs import what is heavy inside ``execute`` only: ``bench --help`` needs none of it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from bench.cli import methods, plan, run, schema, show
from bench.errors import BenchError

COMMANDS = {
    "run": run,
    "plan": plan,
    "show": show,
    "methods": methods,
    "schema": schema,
}
"""By name, in the order of the help: each has HELP, ``add_arguments`` and ``execute``."""

INTERRUPTED = 130
EPILOG = (
    "exit codes: 0 fine, 1 failure, 2 usage or bad input, 3 regression, "
    "4 inconclusive or missing cells, 130 interrupted"
)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="bench",
        description="Which way of transmitting raw Ethernet frames is fastest here, and by "
        "how much?",
        epilog=EPILOG,
    )
    verbs = top.add_subparsers(metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        verb = verbs.add_parser(name, help=command.HELP, description=command.HELP, epilog=EPILOG)
        command.add_arguments(verb)
        verb.set_defaults(execute=command.execute)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command: its exit code. Expected errors are one line each on stderr."""
    args = parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # clean up as after Ctrl-C
    try:
        code: int = args.execute(args)
        sys.stdout.flush()
        return code
    except BenchError as error:
        for line in str(error).splitlines():
            print(f"bench: {line}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has enough; stdout must not be flushed again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
