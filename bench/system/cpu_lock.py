"""The CPUs that a run sends from are its own: two runs on one CPU would measure each other.

Each has a folder in /sys, which every user may open and lock (flock). The kernel gives the lock
back when its holder ends, however it does, and nothing is left behind; /proc/locks says whose it
is.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.base.errors import UsageError
from bench.base.stderr import say

FOLDERS = Path("/sys/devices/system/cpu")
VARIABLE = "BENCH_CPU_LOCKS"
"""Names another folder that has ``cpu0`` and so on, for tests that run beside each other."""


@contextmanager
def held(cpus: Collection[int], *, wait: bool = False) -> Iterator[None]:
    """Hold these CPUs, or those of them that /sys shows; ``wait`` for whoever holds one.

    Raises UsageError, which says who that is, where it is not waited for.
    """
    root = Path(os.environ.get(VARIABLE) or FOLDERS)
    with ExitStack() as stack:
        for cpu in sorted(cpus):  # in one order, so that no two wait for each other
            try:
                fd = os.open(root / f"cpu{cpu}", os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            stack.callback(os.close, fd)
            _lock(fd, cpu, wait)
        yield


def _lock(fd: int, cpu: int, wait: bool) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = _holder(fd)
    except OSError:
        return  # a file system without locks
    else:
        return
    if not wait:
        raise UsageError(
            f"CPU {cpu}: {holder} measures on it; wait for its end with --wait, or name other CPUs "
            "in the matrix (measure: cpus)"
        )
    say(f"CPU {cpu}: waiting for {holder}")
    fcntl.flock(fd, fcntl.LOCK_EX)


def _holder(fd: int) -> str:
    """The process that has a file locked, and its command, as far as we may know."""
    file = os.fstat(fd)
    place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    for line in _text("/proc/locks").splitlines():
        words = line.split()
        if "->" not in words and place in words:  # an arrow is before who waits
            pid = words[words.index(place) - 1]
            return f"process {pid}{_command(pid)}" if int(pid) > 0 else "another run"
    return "another run"


def _command(pid: str) -> str:
    """``" (bench run m.yaml)"``; without the interpreter before it."""
    words = _text(f"/proc/{pid}/cmdline").split("\0")
    names = [Path(word).name for word in words]
    start = names.index("bench") if "bench" in names else 0
    command = " ".join(" ".join([names[start], *words[start + 1 :]]).split())
    return f" ({command if len(command) <= 80 else f'{command[:77]}...'})" if command else ""


def _text(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
