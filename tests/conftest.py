from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bench.base import signals
from bench.engines import build
from bench.system import cpu_lock, privileges
from tests.running import Bench, namespace_mounts, wait_for


def pytest_configure() -> None:
    """Tests run beside each other, and beside runs: in a folder without CPUs nothing is locked."""
    os.environ.setdefault(cpu_lock.VARIABLE, "/nonexistent")
    _heed_signals()
    # How long a property takes says how busy the machine is.
    settings.register_profile(
        "bench", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("bench")


def _heed_signals() -> None:
    """A shell's background jobs ignore SIGINT, and so would every process of the tests."""
    for number in signals.SIGNALS:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session")
def built_core() -> None:
    """So that no run of a test says that it builds it."""
    build.ensure_built()


@pytest.fixture(autouse=True)
def _keeps_capabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that runs in the process of the tests gives up nothing of theirs."""
    monkeypatch.setattr(privileges, "shed", lambda _keep: None)


@pytest.fixture
def bench(tmp_path: Path, built_core: None) -> Iterator[Bench]:
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
