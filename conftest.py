"""Fixtures for tests in namespaces of their own; they are skipped where none can be made.

Without root the whole session runs in a user namespace.
"""

from __future__ import annotations

import fcntl
import functools
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.base.errors import BenchError
from bench.system import privileges
from bench.system.netns import entered, private_netns

pytest_plugins = ["bench.pytest_plugin"]  # also where bench was installed before it had one


def _gain() -> None:
    user = os.getuid()
    if not privileges.is_enough() and privileges.enter_user_namespace():
        os.environ["LOGNAME"] = f"user-{user}"  # pytest names its folder in /tmp after it


_gain()  # not in a hook: what is imported next looks at what it may do


@pytest.fixture(autouse=True)
def _turn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Tests with the same mark ``together`` run one after another, in several processes, too."""
    mark = request.node.get_closest_marker("together")
    if mark is None:
        yield
        return
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with (folder / f"{mark.args[0]}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@functools.cache
def why_no_netns() -> str:
    """Empty if a namespace and a packet socket in it can be had, else the reason."""
    try:
        with private_netns() as netns_fd, entered(netns_fd):
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except (BenchError, OSError) as error:
        return str(error)
    return ""


@pytest.fixture(autouse=True)
def _needs_netns(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("netns") and (reason := why_no_netns()):
        pytest.skip(reason)


def _host() -> dict[str, object]:
    """What a test could leave behind: links, names of namespaces, descriptors, its own move."""
    named = Path("/run/netns")
    return {
        "netns": Path("/proc/thread-self/ns/net").stat().st_ino,
        "links": socket.if_nameindex(),
        "named namespaces": sorted(named.iterdir()) if named.exists() else [],
        "descriptors": len([*Path("/proc/self/fd").iterdir()]),
    }


@pytest.fixture
def untouched_host() -> Iterator[None]:
    """The test leaves nothing behind on the host or in this process."""
    before = _host()
    yield
    assert _host() == before
