"""``bench init``: a starter matrix, and the schema with which editors complete and check it; or a C
file that defines a method."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from shlex import quote

from bench.base.errors import UsageError
from bench.base.exit_codes import ExitCode
from bench.base.stderr import say

HELP = (
    "write a commented starter matrix that runs as it is, and the schema for editors; or a method "
    "of your own in C"
)
EXAMPLES = ("bench init rings.yaml", "bench init --engine mine.c")
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
    parser.add_argument(
        "--engine",
        metavar="FILE",
        type=Path,
        help="write a commented C file that defines a method, for `bench run --engine FILE`",
    )


def execute(args: argparse.Namespace) -> int:
    if args.engine is not None:
        return _engine(args.engine)
    from bench.base.files import write_text
    from bench.cli.schema import schema_text
    from bench.matrix.starter import starter

    file, schema = args.file, args.file.with_name(SCHEMA)
    _check(file, (".yaml", ".yml"), "a matrix is a .yaml file")
    if schema.exists() and not _is_ours(schema):
        raise UsageError(f"{schema} is no schema of bench's; name a file in another folder")
    name = re.sub(r"[^a-z0-9_-]+", "_", file.stem.lower()).strip("_-")[:64] or "matrix"
    write_text(schema, schema_text())
    write_text(file, starter(name, quote(str(file)), SCHEMA))
    say(f"wrote {file} and {schema}; next: bench run {quote(str(file))}")
    return ExitCode.FINE


def _engine(file: Path) -> int:
    from bench.base.files import write_text
    from bench.engines.table import methods
    from bench.engines.template import template

    _check(file, (".c",), "an engine is a .c file")
    name = re.sub(r"[^a-z0-9_]+", "_", file.stem.lower()).strip("_")[:32]
    name = name if name[:1].isalpha() else f"my_{name}".rstrip("_")
    if name in methods():
        raise UsageError(f"{file}: there is a method {name} already; name another file")
    write_text(file, template(name, quote(str(file))))
    say(f"wrote {file}; next: bench methods {name} --engine {quote(str(file))}")
    return ExitCode.FINE


def _check(file: Path, endings: tuple[str, ...], what: str) -> None:
    """Raises UsageError where something else would be lost."""
    if file.suffix not in endings or not str(file).isprintable():
        raise UsageError(f"{file}: {what}; name one")
    if not file.parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.parent}; make it first")
    if file.exists() or file.is_symlink():
        raise UsageError(f"{file} is there already; name another file")


def _is_ours(schema: Path) -> bool:
    """Whether some version of bench wrote it."""
    from bench.matrix.load import SCHEMA_TITLE

    return schema.is_file() and f'"{SCHEMA_TITLE}"' in schema.read_text(errors="replace")
