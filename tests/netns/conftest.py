"""What only some kernels have; a test that uses it is skipped elsewhere, with the reason."""

from __future__ import annotations

import fcntl
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.topology.kinds import up

BONDING = Path("/modules/bonding.ko")
"""Where the virtual machines of `make test-kernels` have the module."""


@contextmanager
def bonding_stays(how: int = fcntl.LOCK_SH) -> Iterator[None]:
    """Nobody takes the module away meanwhile; with LOCK_EX, nobody uses it.

    In a virtual machine several processes run tests at the same time.
    """
    if not BONDING.exists():
        yield
        return
    with BONDING.open() as lock:
        fcntl.flock(lock, how)
        yield


@functools.cache
def why_no_bond() -> str:
    """Empty if this kernel has bonding; raises whatever else goes wrong with a bond."""
    try:
        with up("bond"):
            return ""
    except BenchError as error:
        if "CONFIG_BONDING" not in str(error):
            raise
        return str(error)


@pytest.fixture
def bonding_kept() -> Iterator[None]:
    with bonding_stays():
        yield


@pytest.fixture
def bonding(bonding_kept: None) -> None:
    if reason := why_no_bond():
        pytest.skip(reason)
