"""A night's files into git: these files and no others, on the branch that is checked out."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bench.base import files
from bench.base.errors import BenchError, UsageError
from bench.campaign import told
from bench.store.folders import run_name

STATES = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
}
"""Files in .git while something is under way; git refuses to commit single files then."""


def check(folder: Path) -> str:
    """Why no commit can be made now, though it may be later; "" if one can.

    Raises UsageError where none can ever be made: no git, or no repository.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    try:
        return _obstacle(existing)
    except BenchError as error:
        raise UsageError(f"--commit: {error}; leave it out, or see to it first") from error


def _obstacle(folder: Path) -> str:
    git_folder = Path(_git(folder, "rev-parse", "--absolute-git-dir"))
    for name, what in STATES.items():
        if (git_folder / name).exists():
            return f"{what} is under way in {git_folder.parent}; end it"
    if not _branch(folder):
        place = git_folder.parent
        return f"no branch is checked out in {place} (a detached HEAD); git switch to one"
    return ""


def _branch(folder: Path) -> str:
    """The one that is checked out; "" if there is none."""
    try:
        return _git(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    except BenchError:
        return ""


def commit(folder: Path, paths: Sequence[Path], message: str) -> str:
    """Commit these files of a folder; whatever else is changed or staged stays as it is.

    Returns the commit's short name and branch. Raises BenchError, and the files are as before: in
    the folder, not in the index.
    """
    names = [os.path.relpath(path, folder) for path in paths]
    if obstacle := _obstacle(folder):
        raise BenchError(f"cannot commit: {obstacle}")
    try:
        _git(folder, "add", "--", *names)
        _git(folder, "commit", "--quiet", "--message", message, "--only", "--", *names)
    except BenchError:
        subprocess.run(["git", "reset", "--quiet", "--", *names], cwd=folder, capture_output=True)
        raise
    finally:
        _hand_over(Path(folder, _git(folder, "rev-parse", "--git-common-dir")))
    return f"{_git(folder, 'rev-parse', '--short', 'HEAD')} on {_branch(folder)}"


def _hand_over(git_folder: Path) -> None:
    """Give what git has made as root to the owner of its folder, who has called sudo, and could
    commit nothing any more."""
    if os.geteuid() != 0 or git_folder.stat().st_uid == 0:
        return
    for place, folders, names in os.walk(git_folder):
        for name in (*folders, *names):
            with suppress(OSError):
                fd = os.open(Path(place, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                try:
                    made = os.fstat(fd)
                    is_own = stat.S_ISDIR(made.st_mode) or made.st_nlink == 1
                    if made.st_uid == 0 and is_own:
                        files.hand_over(fd, git_folder)
                finally:
                    os.close(fd)


def left_over(folder: Path) -> list[Path]:
    """Files of a folder's nights that ended and were never committed: a disk was full, a merge
    under way, or a call was killed. Raises BenchError."""
    listed = _git(folder, "ls-files", "--others", "--exclude-standard", "-z")
    new = [folder / name for name in listed.split("\0") if name]
    nights, _ = told.all_of(folder)
    ended = [of.run for of in nights if of.ended and told.path_for(folder / of.run) in new]
    return [path for path in new if path.name.startswith((*map(run_name, ended),))]


_AT_ONCE = ("-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false")
"""What it makes in the background would be root's."""


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", *_AT_ONCE, *arguments]
    environment = os.environ | {"GIT_TERMINAL_PROMPT": "0", "GIT_EDITOR": "true", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise BenchError(f"git does not run here: {error.strerror}") from error
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
        raise BenchError(f"git {arguments[0]} failed in {folder}: {said or done.returncode}")
    return done.stdout.decode(errors="replace").strip()
