"""``bench schema``: the JSON Schema of the matrix file, for editors."""

from __future__ import annotations

import argparse

from bench.base.exit_codes import ExitCode

HELP = "print the JSON Schema of the matrix file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def execute(_args: argparse.Namespace) -> int:
    import json

    from bench.matrix import load
    from bench.measure.prepare import vocabulary

    print(json.dumps(load.json_schema(vocabulary()), indent=2))
    return ExitCode.FINE
