"""The content of a run file, which gzip may have packed."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from bench.base.errors import UsageError

GZIP = b"\x1f\x8b"
"""The first bytes of a file that gzip packed; a run begins with ``{``."""

BLOCK = 2**17
"""Bytes that are read at a time: a first line has 150,000 for 500 cells."""

_MERGING = (b"<<<<<<< ", b"=======", b">>>>>>> ")

LARGEST = 2**32
"""Bytes of a run that gzip packed: a few packed megabytes may be any number of them."""


@contextmanager
def opened(path: Path, content: bytes | None = None) -> Iterator[IO[bytes]]:
    """A run file to read and seek in; ``content`` is it where that is not what the file has now.

    Raises UsageError where it cannot be read.
    """
    try:
        with open(path, "rb", BLOCK) if content is None else io.BytesIO(content) as named:
            file = named if named.seekable() else io.BytesIO(named.read())  # a pipe's, whole
            packed = file.read(len(GZIP)) == GZIP
            file.seek(0)
            yield io.BytesIO(_unpacked(path, file)) if packed else file
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a run file (.jsonl)") from error


def bytes_of(path: Path, content: bytes | None = None) -> bytes:
    """All of it, as ``opened``."""
    with opened(path, content) as file:
        return file.read()


def _unpacked(path: Path, file: IO[bytes]) -> bytes:
    try:
        unpacked = gzip.GzipFile(fileobj=file).read(LARGEST + 1)
    except (gzip.BadGzipFile, zlib.error, EOFError):
        raise UsageError(f"{path}: what gzip packed is damaged or cut off") from None
    if len(unpacked) > LARGEST:
        raise UsageError(f"{path}: more than {LARGEST} bytes when unpacked")
    return unpacked


def merge_mark(content: bytes) -> int:
    """The first line that a merge has marked as in conflict, from 1; 0 where none is."""
    lines = content.split(b"\n")
    return next((n for n, line in enumerate(lines, 1) if line.startswith(_MERGING)), 0)


def cut_off(path: Path, lines: Sequence[object]) -> tuple[str, ...]:
    """The warning about what follows the last line feed, if anything does."""
    if not lines[-1]:
        return ()
    return (f"{path}:{len(lines)}: the last line is cut off and left out",)
