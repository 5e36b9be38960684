"""The exceptions that the command line turns into one line and an exit code."""

from __future__ import annotations

import errno
import os
import pwd
from pathlib import Path

from bench.base.exit_codes import ExitCode


class BenchError(Exception):
    """Something failed that is not the user's doing."""

    exit_code = ExitCode.FAILURE


class UsageError(BenchError):
    """Bad input: in a matrix, an option or a file.

    Several problems of one file are reported in one go: the message then has several lines,
    each ``file:line:column: what is wrong; what is allowed``.
    """

    exit_code = ExitCode.USAGE


class NotAllowed(UsageError):
    """A real interface must not be used, or a program not be run, which the command line did not
    allow: ends the whole run, its other cells too."""


class CoreError(BenchError):
    """A call into the C core failed: ``errno`` is positive, the message says which call."""

    def __init__(self, errno: int, message: str) -> None:
        super().__init__(message)
        self.errno = errno


class CpuTaken(BenchError):
    """A CPU that a run began with is not there any more, or may not be used."""


class WorkerDied(BenchError):
    """The worker process ended unasked."""


class WorkerHung(WorkerDied):
    """It gave no answer: it is still at the first thing that it was asked for."""


_REMEDIES = {
    errno.ENOSPC: "make room",
    errno.EDQUOT: "delete files of yours, or have the quota raised",
    errno.EFBIG: "raise the limit of a file's size (ulimit -f)",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise fs.file-max, or close what has files open",
    errno.ENOEXEC: "a script begins with #! and its interpreter",
    errno.ENOMEM: "free some memory",
}


def remedy(error: OSError) -> str:
    """The way out of a system error; empty if its own words say enough."""
    if error.errno == errno.ENOENT and not _is_somewhere():
        return "the present folder was deleted: cd to another one"
    if error.errno == errno.EACCES:
        return _whose(error.filename)
    return _REMEDIES.get(error.errno or 0, "")


def _whose(name: object) -> str:
    """Whose file, or innermost folder that is there, another user's is; empty where it is ours."""
    places = [Path(name), *Path(name).parents] if isinstance(name, str | os.PathLike) else []
    for place in places:
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        return f"{place} belongs to {_user(owner)}" if owner != os.geteuid() else ""
    return ""


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def told(error: OSError) -> str:
    """A system error in the system's words, without its number, and the way out."""
    return "; ".join(filter(None, [error.strerror or str(error), remedy(error)]))


def told_with_place(error: OSError) -> str:
    """An unforeseen system error: its file first, if it has one."""
    return f"{error.filename}: {told(error)}" if error.filename else told(error)


def _is_somewhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True
