"""Whole files, written at once or not at all; what root writes into a folder is its owner's."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.base import signals
from bench.base.errors import BenchError, told


def write_text(path: Path, text: str) -> None:
    """Write a whole file or none: first under a name beside it. Raises BenchError.

    An existing path that is no regular file (/dev/stdout, a pipe) is written to, never replaced.
    """
    write_bytes(path, text.encode(errors="replace"))


def write_bytes(path: Path, content: bytes) -> None:
    """As ``write_text``, of what is no text."""
    try:
        if _is_special(path):
            path.write_bytes(content)
        else:
            _replace(path, content)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {told(error)}") from error


def check_writable(path: Path) -> None:
    """Raise BenchError if ``write_text`` would, as far as can be seen before."""
    try:
        if not _is_special(path):  # opening a pipe would already reach its reader
            with _beside(path) as temporary:
                temporary.touch(exist_ok=False)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {told(error)}") from error


def make_folders(folder: Path, mode: int = 0o777) -> list[Path]:
    """Make a folder and those that it is in: the new ones, innermost first. Raises OSError."""
    new = []
    for each in [folder, *folder.parents]:
        if each.exists():
            break
        new.append(each)
    for each in reversed(new):
        with suppress(FileExistsError):  # another run has made it
            each.mkdir(mode)
        fd = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            hand_over(fd, each.parent)
        finally:
            os.close(fd)
    return new


def hand_over(fd: int, folder: Path) -> None:
    """Give a file that root has made in a folder to the folder's owner, who has called sudo.

    (By its descriptor: the owner may put something else under its name.)
    """
    if os.geteuid() == 0:
        owner = folder.stat()
        with suppress(PermissionError):  # root of a user namespace, which is nobody to the folder
            os.fchown(fd, owner.st_uid, owner.st_gid)


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _replace(path: Path, content: bytes) -> None:
    with _beside(path) as temporary:
        with open(temporary, "xb") as file:
            hand_over(file.fileno(), temporary.parent)
            file.write(content)
        temporary.replace(os.path.realpath(path))  # a link keeps pointing to its file


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name in the folder of a file, or of a link's target; nothing is left under it."""
    target = Path(os.path.realpath(path))
    # Random: under a name that can be guessed, somebody could put a link to another's file.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    with signals.held():
        try:
            yield temporary
        finally:
            with suppress(OSError):
                temporary.unlink()
