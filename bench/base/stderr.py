"""Lines for the person at the terminal, beside the output proper."""

from __future__ import annotations

import sys
from contextlib import suppress

from bench.base.printable import printable


def say(text: str) -> None:
    """Each line of a text on stderr. A full or closed stderr is no failure of the command."""
    with suppress(OSError):
        for line in text.split("\n"):
            print(f"bench: {printable(line)}", file=sys.stderr)
