"""``bench init``: a starter matrix, and the schema with which editors complete and check it."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from shlex import quote

from bench.base.errors import UsageError
from bench.base.exit_codes import ExitCode
from bench.base.stderr import say

HELP = "write a commented starter matrix that runs as it is, and the schema for editors"
EXAMPLES = ("bench init", "bench init rings.yaml")
SCHEMA = "bench.schema.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=Path,
        default=Path("matrix.yaml"),
        help=f"the matrix to write, and {SCHEMA} beside it (default: matrix.yaml); no file that is "
        "there is replaced, but for an older schema",
    )


def execute(args: argparse.Namespace) -> int:
    from bench.base.files import write_text
    from bench.cli.schema import schema_text
    from bench.matrix.starter import starter

    file, schema = args.file, args.file.with_name(SCHEMA)
    _check(file, schema)
    name = re.sub(r"[^a-z0-9_-]+", "_", file.stem.lower()).strip("_-")[:64] or "matrix"
    write_text(schema, schema_text())
    write_text(file, starter(name, quote(str(file)), SCHEMA))
    say(f"wrote {file} and {schema}; next: bench run {quote(str(file))}")
    return ExitCode.FINE


def _check(file: Path, schema: Path) -> None:
    """Raises UsageError where something else would be lost."""
    if file.suffix not in (".yaml", ".yml") or not str(file).isprintable():
        raise UsageError(f"{file}: a matrix is a .yaml file; name one")
    if not file.parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.parent}; make it first")
    if file.exists() or file.is_symlink():
        raise UsageError(f"{file} is there already; name another file")
    if schema.exists() and not _is_ours(schema):
        raise UsageError(f"{schema} is no schema of bench's; name a file in another folder")


def _is_ours(schema: Path) -> bool:
    """Whether some version of bench wrote it."""
    from bench.matrix.load import SCHEMA_TITLE

    return schema.is_file() and f'"{SCHEMA_TITLE}"' in schema.read_text(errors="replace")
