"""Files in the user's cache folder: what was made of a folder of runs, and can be made again.

What is damaged, or was made by other sources of bench, is not there; where nothing can be written,
nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.base import files
from bench.base.errors import BenchError

T = TypeVar("T")

SOURCES = ("analysis/*.py", "campaign/*.py", "model/*.py", "store/*.py")
"""The files that decide what is made of runs."""


def path_for(folder: Path, ending: str) -> Path | None:
    """The file of a folder of runs; None where the user has no home."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    try:
        root = Path(named) if named.startswith("/") else Path.home() / ".cache"
        known = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    except (RuntimeError, OSError):
        return None
    return root / "bench" / f"{known}.{ending}"


def read(path: Path | None, type_: type[T]) -> T | None:
    """What a file has, as it was written; None where that is not there."""
    with suppress(OSError, msgspec.MsgspecError):
        content = memoryview(path.read_bytes() if path else b"")
        start = len(sources()) + 4
        if content[:start] == sources() + _checksum(content[start:]):
            return msgspec.msgpack.decode(content[start:], type=type_)
    return None


def write(path: Path | None, content: object) -> None:
    if path is None:
        return
    packed = msgspec.msgpack.encode(content)
    with suppress(OSError, BenchError):
        files.make_folders(path.parent, mode=0o700)
        files.write_bytes(path, b"".join((sources(), _checksum(packed), packed)))


def _checksum(content: bytes | memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(4, "little")


@cache
def sources() -> bytes:
    """A hash of what decides what is kept."""
    root = Path(__file__).parents[1]
    found = sorted(path for names in SOURCES for path in root.glob(names))
    return hashlib.sha256(b"".join(path.read_bytes() for path in found)).digest()
