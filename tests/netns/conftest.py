"""What only some kernels have; a test that uses it is skipped elsewhere, with the reason."""

from __future__ import annotations

import functools

import pytest

from bench.base.errors import BenchError, UsageError
from bench.base.values import Value
from bench.topology.kinds import up

QUEUES = {"kind": "veth", "queues": 3}
"""What every qdisc takes."""
bonds = pytest.mark.together("bonds")
"""One test takes the module away for a while."""


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


@pytest.fixture(scope="session")
def bonding() -> None:
    if reason := why_no_bond():
        pytest.skip(reason)


def why_not_up(interface: Value) -> str:
    """Empty if this kernel has such an interface, and we may make it; raises whatever else goes
    wrong with it."""
    try:
        with up(interface):
            return ""
    except UsageError as error:  # /dev/net/tun is root's alone
        return str(error)
    except BenchError as error:
        if "this kernel may be without CONFIG_" not in str(error):
            raise
        return str(error)


why_no_kind = functools.cache(why_not_up)
"""Of an interface's kind, without options."""


@functools.cache
def why_no(kind: str) -> str:
    """Empty if this kernel has a qdisc; raises whatever else goes wrong with it."""
    try:
        with up(QUEUES, kind):
            return ""
    except BenchError as error:
        if f"CONFIG_NET_SCH_{kind.upper()}" not in str(error):
            raise
        return str(error)


def needs_qdisc(kind: str) -> None:
    """Skip a test with the reason where this kernel lacks a qdisc."""
    if reason := why_no(kind):
        pytest.skip(reason)
