"""Anonymous network namespaces: no name on the host, gone when their last descriptor closes.

``os.unshare`` and ``os.setns`` came with Python 3.12, hence libc. Both act on the calling
*thread* (nsproxy is per task: kernel/nsproxy.c), so a namespace is made in a thread that ends
at once, and a thread may visit one and come back while the others stay where they are.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.base.errors import BenchError, UsageError
from bench.system import privileges
from bench.system.privileges import CLONE_NEWNET

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def private_netns() -> Iterator[int]:
    """A new network namespace with a downed lo and no IPv6: its descriptor, closed on exit.

    IPv6 is off before there is a link, so that no link in it ever sends a frame of its own
    (router solicitations, MLD reports, duplicate address detection). Raises BenchError if the
    kernel refuses or a privilege is missing.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        netns_fd = thread.submit(_unshared_netns).result()
    try:
        with entered(netns_fd):
            _switch_ipv6_off()
        yield netns_fd
    finally:
        os.close(netns_fd)


@contextmanager
def entered(netns_fd: int) -> Iterator[None]:
    """Move the calling thread into a network namespace, and back whatever happens.

    A socket stays in the namespace in which it was opened, and so does an open file under
    ``/proc/net``. Coming back needs CAP_SYS_ADMIN over the namespace that was left: a process
    in a user namespace has it only if its network namespace was made along with it, or later.
    The way back is tried before leaving. Raises BenchError if the way in or back is refused.
    """
    home = own_netns()
    try:
        _setns(home, "could not come back to the present network namespace")
        _setns(netns_fd, f"cannot enter the network namespace of descriptor {netns_fd}")
        try:
            yield
        finally:
            _setns(home, "cannot come back to the network namespace that was left")
    finally:
        os.close(home)


def _unshared_netns() -> int:
    if _libc.unshare(CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        if code == errno.EPERM:
            raise UsageError(
                f"not allowed to make a network namespace: {privileges.remedy('CAP_SYS_ADMIN')}"
            )
        if code == errno.ENOSPC:
            raise BenchError("too many network namespaces: raise /proc/sys/user/max_net_namespaces")
        raise BenchError(f"cannot make a network namespace: {os.strerror(code)}")
    return own_netns()


def own_netns() -> int:
    """A descriptor of the calling thread's network namespace, to be closed. Raises BenchError."""
    try:
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        limit = "; raise it with ulimit -n" if error.errno == errno.EMFILE else ""
        raise BenchError(f"cannot open a network namespace: {error.strerror}{limit}") from error


def _setns(netns_fd: int, failure: str) -> None:
    if _libc.setns(netns_fd, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        if code == errno.EPERM:
            raise UsageError(f"{failure}: not allowed: {privileges.remedy('CAP_SYS_ADMIN')}")
        raise BenchError(f"{failure}: {os.strerror(code)}")


def _switch_ipv6_off() -> None:
    """Switch IPv6 off in the thread's own namespace, which /proc/sys/net shows it.

    In a container /proc/sys may be read-only: then ``link.set_up`` alone keeps links quiet.
    """
    for switch in ("default", "all"):
        path = Path(f"/proc/sys/net/ipv6/conf/{switch}/disable_ipv6")
        with suppress(OSError):
            if path.exists():
                path.write_text("1")
