"""The table of axes, and what follows from it."""

from __future__ import annotations

from bench.model.axes import AXES, DEFAULTS, Role, defaults, with_role
from bench.model.vocabulary import Limits


def test_every_axis_has_one_role() -> None:
    assert with_role(Role.PLACE) == ("interface", "qdisc")
    assert with_role(Role.WORKLOAD) == ("frame_size", "threads", "flows")
    assert with_role(Role.REPLICA) == ("replica",)
    assert {"method", "burst", "ring"} < set(with_role(Role.MEANS))
    assert with_role(*Role) == tuple(AXES)


def test_every_axis_is_explained() -> None:
    assert all(axis.help and axis.name == name for name, axis in AXES.items())


def test_a_bound_that_is_a_name_is_a_limit() -> None:
    bounds = [getattr(a.type, end, 0) for a in AXES.values() for end in ("low", "high")]
    assert {bound for bound in bounds if isinstance(bound, str)} <= set(Limits.__slots__)


def test_the_default_ring_has_the_pages_of_the_kernel() -> None:
    assert defaults(4096) == DEFAULTS
    ring = defaults(65536)["ring"]
    assert ring == {"version": 2, "block_size": 65536, "block_nr": 16, "frame_size": 2048}
    assert {**defaults(65536), "ring": DEFAULTS["ring"]} == DEFAULTS
