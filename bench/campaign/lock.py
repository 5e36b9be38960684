"""One nightly job at a time in a results folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from bench.base import files
from bench.base.errors import BenchError, UsageError, told

NAME = ".nightly.lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it is not there.

    The kernel gives the lock back when its holder dies, however it does; the file may then stay
    behind, and locks nobody out. Raises UsageError while another process holds it (which one, and
    since when), BenchError where there can be no such file.
    """
    path = folder / NAME
    try:
        files.make_folders(folder)
        file = _locked(path)
    except OSError as error:
        raise BenchError(f"cannot lock {path}: {told(error)}") from error
    with file:
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()


def _locked(path: Path) -> IO[str]:
    while True:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - the caller closes it
        files.hand_over(file.fileno(), path.parent)  # if its holder is killed, it stays
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise UsageError(
                f"{path}: {holder} is at work in this folder; wait for it, or stop it"
            ) from None
        if _is_at(file, path):
            break
        file.close()  # its last holder has removed it: lock the one that is there now
    file.truncate(0)
    file.write(f"process {os.getpid()} (since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC)\n")
    file.flush()
    return file


def _is_at(file: IO[str], path: Path) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    return False
