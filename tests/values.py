"""Axis values of every sort, for properties that hold for all."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from bench.base.values import Value, key_of


def options(kind: str, **strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind), **strategies})


numbers = st.integers(0, 3) | st.sampled_from([1500, 1024, 4096, 1 << 20, 10**6, 10**9, 2**31 - 1])
OF_ONE_AXIS: dict[str, st.SearchStrategy[Value]] = {
    "frame_size": numbers,
    "fill": st.sampled_from(["copy", "prefilled"]),
    "msg_dontwait": st.booleans(),
    "sndbuf": st.just("default")
    | st.fixed_dictionaries({"bytes": numbers, "force": st.booleans()}),
    "ring": st.fixed_dictionaries(
        {"version": st.integers(1, 3)}
        | dict.fromkeys(("block_size", "block_nr", "frame_size"), numbers)
    ),
    "qdisc": st.just({"kind": "noqueue"})
    | options("pfifo", limit=numbers)
    | options("bfifo", limit=numbers)
    | options("tbf", rate=numbers, burst=numbers, limit=numbers),
    "interface": st.just({"kind": "lo"})
    | options(
        "veth", mtu=numbers, gro=st.booleans(), rps=st.sampled_from(["none", "all", "0,2", "0,2-3"])
    )
    | options("device", name=st.sampled_from(["eth0", "eth1", "a,b", "veth"])),
}
"""Canonical values by axis; those of a kind have all its options, each of one type."""


def several(axis: str) -> st.SearchStrategy[tuple[str, list[Value]]]:
    """An axis with some of its values, each once."""
    values = st.lists(OF_ONE_AXIS[axis], min_size=1, max_size=6, unique_by=key_of)
    return values.map(lambda found: (axis, found))


axes_with_values = st.sampled_from(sorted(OF_ONE_AXIS)).flatmap(several)
