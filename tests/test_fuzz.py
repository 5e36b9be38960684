"""The corpus of the fuzzer, input by input: what ``make fuzz`` found once stays mended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.model.axes import Axis, Choice, Flag, OfCpus, Size, Whole
from tests.fuzz import matrix, run
from tests.vocabulary import WORDS


@pytest.mark.parametrize("path", matrix.seeds(), ids=lambda path: path.name)
def test_a_matrix(path: Path) -> None:
    matrix.feed(path.read_bytes())


@pytest.mark.parametrize("path", run.seeds(), ids=lambda path: path.name)
def test_a_run(path: Path) -> None:
    run.feed(path.read_bytes())


# Matrices as the grammar has them, up to the largest numbers that it takes

INT_MAX = 2**31 - 1


def whole(low: int, high: int) -> st.SearchStrategy[int]:
    return st.sampled_from([low, high]) | st.integers(low, high)


def some_of(known: Mapping[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=known)


def kind(name: str, /, **options: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(name)}, optional=options)


def values_of(axis: Axis) -> st.SearchStrategy[Any] | None:
    """What the table of axes says of values that are no mapping; None for the others."""
    match axis.type:
        case Whole(low, high) | OfCpus(low, high) | Size(low, high):
            return whole(*(WORDS.limits.of(bound) for bound in (low, high)))
        case Choice(names):
            return st.sampled_from(names)
        case Flag():
            return st.booleans()
    return None


sizes = st.sampled_from([16, 256, 2048, 4096, 65536, 2**22, INT_MAX]) | st.integers(1, INT_MAX)
rates = whole(1000, 10**15)
limits = whole(1, 2**32 - 1)
rings = st.fixed_dictionaries(
    {"block_size": sizes, "block_nr": whole(1, INT_MAX), "frame_size": sizes},
    optional={"version": whole(1, 3)},
)
AXIS_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "interface": st.just("lo")
    | kind("veth", mtu=whole(68, 65535), queues=whole(1, 64))
    | kind("ifb", queues=whole(1, 64))
    | kind("bond", mode=st.sampled_from(["balance-rr", "802.3ad", "broadcast"]), slaves=whole(1, 8))
    | kind("device", name=st.sampled_from(["eth1", "eth2"])),
    "qdisc": st.just("noqueue")
    | kind("pfifo", limit=limits)
    | kind("bfifo", limit=limits)
    | st.fixed_dictionaries(
        {"kind": st.just("tbf"), "rate": rates, "burst": limits, "limit": limits}
    )
    | st.fixed_dictionaries({"kind": st.just("htb"), "rate": rates}, optional={"burst": limits}),
    "method": st.sampled_from(["null", "syscall", "sendto", "sendmmsg", "tx_ring"]),
    "ring": rings,
    "sndbuf": st.just("default")
    | st.fixed_dictionaries({"bytes": whole(1, INT_MAX)}, optional={"force": st.booleans()}),
} | {axis.name: values for axis in WORDS.axes.values() if (values := values_of(axis)) is not None}
rows = some_of(AXIS_VALUES).filter(bool)
matrices = st.fixed_dictionaries(
    {
        "name": st.just("any"),
        "axes": some_of(
            {
                axis: st.lists(value, min_size=1, max_size=2, unique_by=repr)
                for axis, value in AXIS_VALUES.items()
            }
        ).filter(bool),
    },
    optional={
        "include": st.lists(rows, max_size=2),
        "baseline": rows,
        "measure": some_of(
            {
                "window": whole(10**5, 10**10).map(lambda ns: f"{ns}ns"),
                "rounds": whole(1, 100_000),
                "precision": st.sampled_from(["0.000000001%", "99%"]),
                "seed": whole(0, 2**63 - 1),
                "cpus": st.just("auto") | st.lists(whole(0, 8191), min_size=1, max_size=2),
            }
        ),
    },
)


@given(matrices)
@settings(max_examples=200, deadline=None)
def test_any_matrix_of_the_grammar(data: dict[str, Any]) -> None:
    matrix.feed(yaml.safe_dump(data).encode())
