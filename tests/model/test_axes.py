"""The table of axes, what follows from it, and where options of engines stand in it."""

from __future__ import annotations

import pytest

from bench.model.axes import AXES, Role, defaults, in_order, names_of, role_of, with_role
from bench.model.vocabulary import Limits
from tests.vocabulary import DEFAULTS, WORDS


def test_every_axis_has_one_role() -> None:
    assert with_role(Role.PLACE) == ("interface", "qdisc")
    assert with_role(Role.WORKLOAD) == ("frame_size", "threads", "flows", "vlan", "malformed")
    assert with_role(Role.REPLICA) == ("replica",)
    assert {"method", "burst", "sndbuf"} < set(with_role(Role.MEANS))
    assert with_role(*Role) == tuple(AXES)


def test_what_is_not_in_the_table_is_an_option_and_a_means() -> None:
    assert role_of("ring") == role_of("of_an_engine_of_tomorrow") == Role.MEANS
    assert {axis: role_of(axis) for axis in AXES} == {n: axis.role for n, axis in AXES.items()}


def test_every_axis_is_explained() -> None:
    assert all(axis.help and axis.name == name for name, axis in WORDS.axes.items())


def test_a_bound_that_is_a_name_is_a_limit() -> None:
    bounds = [getattr(a.type, end, 0) for a in AXES.values() for end in ("low", "high")]
    assert {bound for bound in bounds if isinstance(bound, str)} <= set(Limits.__slots__)


def test_the_default_ring_has_the_pages_of_the_kernel() -> None:
    ring = defaults(WORDS.axes, 65536)["ring"]
    assert ring == {"version": 2, "block_size": 65536, "block_nr": 16, "frame_size": 2048}
    assert {**defaults(WORDS.axes, 65536), "ring": DEFAULTS["ring"]} == DEFAULTS
    assert {name: axis.default for name, axis in WORDS.axes.items()} == DEFAULTS


def without_options(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name in AXES)


def test_an_option_follows_the_axis_that_it_names_in_the_order_of_declaration() -> None:
    names = in_order({"b": "fill", "z": "method", "a": "fill"})
    assert names[names.index("fill") :][:3] == ("fill", "b", "a")
    assert names[names.index("method") + 1] == "z"
    assert without_options(names) == tuple(AXES)


@pytest.mark.parametrize("lacking", ["", "fill", "interface"])
def test_the_order_of_axes_is_found_again_from_cells_that_have_not_all(lacking: str) -> None:
    whole = in_order({"b": "fill", "a": "fill", "c": "sndbuf"})
    row = [name for name in whole if name != lacking]
    assert names_of([row[:3], row, whole]) == whole


def test_without_options_there_are_the_axes_of_the_table() -> None:
    assert names_of([]) == names_of([["method"], ["threads", "method"]]) == tuple(AXES)
