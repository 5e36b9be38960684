"""Sysctls that one side of a run has and the other has not.

Some belong to a network namespace: they are written in the namespaces of a side. Others are the
whole machine's: they are switched to and fro. A process of its own, the keeper, gives the latter
back when its input ends, which happens however the process that switches them does (kill -9, too).
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench.base.errors import BenchError, UsageError
from bench.system.netns import entered, private_netns
from bench.system.privileges import Standing, standing

ROOT = Path("/proc/sys")
NAMESPACED = "net."
"""Only sysctls whose names begin so may be a network namespace's."""

_KEEPER = "from bench.system.sysctls import keep; keep()"


def parse(texts: Sequence[str]) -> dict[str, str]:
    """``["net.core.wmem_default=65536"]`` as names -> values. Raises UsageError."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("/", ".")
        parts = name.split(".")
        if not equals or not value.strip() or len(parts) < 2 or not all(parts):
            raise UsageError(f"sysctl {text}: not of the form KEY=VALUE, as sysctl(8) takes it")
        if found.setdefault(name, value.strip()) != value.strip():
            raise UsageError(f"sysctl {name} is given twice: {found[name]} and {value.strip()}")
    return found


@dataclass(frozen=True, slots=True)
class Sorted:
    """Sysctls by name: those of a network namespace, and those of the whole machine."""

    of_netns: Mapping[str, str]
    of_machine: Mapping[str, str]


def sort(wanted: Mapping[str, str]) -> Sorted:
    """Which of these belong to a network namespace. Each of them is tried in a new one.

    Raises UsageError for one that is not there or cannot be written there, or takes no such value.
    """
    of_netns: dict[str, str] = {}
    named = {name: value for name, value in wanted.items() if name.startswith(NAMESPACED)}
    if named:
        with private_netns() as netns_fd, entered(netns_fd):
            for name, value in named.items():
                if _is_writable(name):
                    _check_late(name)
                    _check_other(name, value)
                    _write(name, value)
                    of_netns[name] = value
    of_machine = {name: value for name, value in wanted.items() if name not in of_netns}
    for name in of_machine:
        if standing() is Standing.USER_NAMESPACE:  # where those of net.core are out of sight
            raise UsageError(
                f"sysctl {name} is none that a network namespace has for itself: that needs root"
            )
        if not _path(name).is_file():
            raise UsageError(f"sysctl {name}: there is none here; `sysctl -a` lists them")
        _check_other(name, wanted[name])
    return Sorted(of_netns, of_machine)


def _check_late(name: str) -> None:
    """Raise UsageError for a default of links: they are there when sysctls are written."""
    if name.split(".")[2:4] in (["conf", "default"], ["neigh", "default"]):
        raise UsageError(f"sysctl {name} is for links made later; name that of all links (all)")


def _check_other(name: str, value: str) -> None:
    """Raise UsageError for the value that the other side has: a new namespace, or the machine."""
    with suppress(OSError):
        if _path(name).read_text(errors="replace").split() == value.split():
            raise UsageError(
                f"sysctl {name}: it is {value} on side A, too, so the sides are alike; name "
                "another value, or leave it out to measure A against A"
            )


def write_in(netns_fd: int, values: Mapping[str, str]) -> None:
    """Set sysctls of a network namespace. Raises UsageError."""
    if values:
        with entered(netns_fd):
            for name, value in values.items():
                _write(name, value)


def _path(name: str) -> Path:
    return ROOT / name.replace(".", "/")


def _is_writable(name: str) -> bool:
    try:
        os.close(os.open(_path(name), os.O_WRONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _write(name: str, value: str) -> None:
    path = _path(name)
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            _set(fd, name, value)
        finally:
            os.close(fd)
    except OSError as error:
        raise _refused(name, value, error) from error


def _set(fd: int, name: str, value: str) -> None:
    """Raises UsageError where the kernel makes something else of it, OSError where it refuses."""
    os.pwrite(fd, f"{value}\n".encode(), 0)
    if (now := _read(fd)).split() != value.split():
        raise UsageError(f"sysctl {name}: the kernel makes {now} of {value}; give it that")


def _read(fd: int) -> str:
    return os.pread(fd, 65536, 0).decode(errors="replace").strip()


def _refused(name: str, value: str, error: OSError) -> UsageError:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UsageError(f"sysctl {name} cannot be written here ({error.strerror})")
    return UsageError(f"sysctl {name}: the kernel refuses {value} ({error.strerror})")


# Of the whole machine


class Switch:
    """Sysctls of the whole machine, which have their own values or others."""

    def __init__(self, names: Sequence[str], files: Sequence[int], others: Sequence[str]) -> None:
        self._names, self._files, self._others = names, files, others
        self._own = [_read(fd) for fd in files]
        self._has_others = False

    @property
    def own(self) -> Sequence[str]:
        return self._own

    def to_others(self, wanted: bool) -> None:
        """Give them the other values, or their own. Raises UsageError."""
        if wanted == self._has_others:
            return
        self._has_others = wanted
        values = self._others if wanted else self._own
        for name, fd, value in zip(self._names, self._files, values, strict=True):
            try:
                _set(fd, name, value)
            except OSError as error:
                raise _refused(name, value, error) from error


@contextmanager
def switch(others: Mapping[str, str]) -> Iterator[Switch]:
    """Open these sysctls and try the other values, once. At the end they have their own again.

    Raises UsageError for one that cannot be written or takes no such value.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(_opened(name)) for name in others]
        made = Switch([*others], files, [*others.values()])
        if others:
            stack.enter_context(_kept(files, made.own))
            made.to_others(True)
            made.to_others(False)
        yield made


@contextmanager
def _opened(name: str) -> Iterator[int]:
    try:
        fd = os.open(_path(name), os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise _refused(name, "", error) from error
    try:
        _lock(fd, name)
        yield fd
    finally:
        os.close(fd)


def _lock(fd: int, name: str) -> None:
    """Be the only one to switch a sysctl: another's value would be taken for the machine's.

    The keeper has the lock, too, so that it lasts until the sysctl has been given back.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(f"sysctl {name}: another run switches it; wait for its end") from None


@contextmanager
def _kept(files: Sequence[int], own: Sequence[str]) -> Iterator[None]:
    """A keeper, which gives these values back as soon as this process is gone, or done."""
    arguments = [text for fd, value in zip(files, own, strict=True) for text in (str(fd), value)]
    with subprocess.Popen(
        [sys.executable, "-P", "-c", _KEEPER, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=files,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,  # a terminal's Ctrl-C is not for it
    ) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        try:
            if not keeper.stdout.readline():
                raise BenchError("the process that gives sysctls back did not start")
            yield
        finally:
            keeper.stdin.close()


def keep() -> None:
    """The keeper: wait for the end of stdin, then write each value to its descriptor."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a service manager stops all processes at once
    files, values = map(int, sys.argv[1::2]), sys.argv[2::2]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()
    for fd, value in zip(files, values, strict=True):
        with suppress(OSError):
            os.pwrite(fd, f"{value}\n".encode(), 0)
