"""``bench schema``: the JSON Schema of the matrix file, for editors."""

from __future__ import annotations

import argparse

from bench.base.exit_codes import ExitCode

HELP = "print the JSON Schema of the matrix file"
EXAMPLES = (
    "bench schema",
    "bench schema > bench.schema.json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def execute(_args: argparse.Namespace) -> int:
    print(schema_text(), end="")
    return ExitCode.FINE


def schema_text() -> str:
    """The schema as a file has it."""
    import json

    from bench.matrix import load
    from bench.measure.prepare import vocabulary

    return json.dumps(load.json_schema(vocabulary()), indent=2) + "\n"
