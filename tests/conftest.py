from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Bench, namespace_mounts, wait_for


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Afterwards nothing is left: no process (hence no namespace of its own), mount or link."""
    before = namespace_mounts(), socket.if_nameindex()
    started = Bench(tmp_path)
    yield started
    try:
        wait_for(lambda: not started.processes(), "the end of every process")
    finally:
        for pid in started.processes():
            os.kill(pid, signal.SIGKILL)
    assert (namespace_mounts(), socket.if_nameindex()) == before
