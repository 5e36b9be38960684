"""``bench --version``: bench, its core and the compiler that built it, on one line."""

from __future__ import annotations

import argparse
from typing import Any

DIGEST = 12


class Version(argparse.Action):
    """Prints it, and ends. The core is built if it is stale, as any verb would that needs it."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given, nargs=0, help="bench, its core and its compiler")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(text())
        parser.exit()


def text() -> str:
    """``bench 0.1.0, core 46e1f7aa6ddb, gcc 12.2.0 -O2``, or why there is no core."""
    from importlib.metadata import version

    from bench.base.errors import BenchError
    from bench.engines import core

    try:
        found = core.info()
    except BenchError as error:
        return f"bench {version('bench')}, no core: {error}"
    return f"bench {version('bench')}, core {found.hash[:DIGEST]}, {found.compiler}"
