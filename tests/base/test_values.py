"""Texts and keys of axis values, and what names them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from bench.base.values import Value, brief_text, covers, key_of, named, value_text, yaml_text
from tests.values import axes_with_values

TBF = {"kind": "tbf", "rate": 10**9, "burst": 32768, "limit": 1 << 20}
RING = {"version": 2, "block_size": 4096, "block_nr": 256, "frame_size": 2048}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (64, "64"),
        ("copy", "copy"),
        (True, "yes"),
        (False, "no"),
        ({"bytes": 8 << 20, "force": True}, "8MiB force"),
        ({"bytes": 1000, "force": False}, "1000"),
        (RING, "v2 256x4096/2048"),
        (TBF, "tbf rate=1gbit burst=32KiB limit=1MiB"),
        ({"kind": "veth", "mtu": 0, "gro": False}, "veth mtu=0"),
    ],
)
def test_a_value_is_told_with_all_that_it_has(value: Value | None, text: str) -> None:
    assert value_text(value) == text


def test_a_value_as_yaml_writes_it() -> None:
    assert [yaml_text(value) for value in (True, 64, "copy", TBF)] == [
        "true",
        "64",
        "copy",
        "tbf rate=1gbit burst=32KiB limit=1MiB",
    ]


def test_equal_values_have_one_key_and_true_is_not_1() -> None:
    assert key_of({"a": 1, "b": "x"}) == key_of({"b": "x", "a": 1})
    assert len({key_of(value) for value in (True, 1, "1", None, {"a": 1}, {"a": True})}) == 6


@pytest.mark.parametrize(
    ("rule", "value", "is_meant"),
    [
        ({"kind": "tbf"}, TBF, True),
        ({"kind": "tbf", "rate": 1}, TBF, False),
        ({"kind": "tbf", "flows": 1}, TBF, False),
        (TBF, {"kind": "tbf"}, False),
        ({"force": 1}, {"bytes": 1, "force": True}, False),
        (1, True, False),
        (True, True, True),
        ("tbf", TBF, False),
    ],
)
def test_what_a_rule_means(rule: Value, value: Value, is_meant: bool) -> None:
    assert covers(rule, value) is is_meant


def test_a_name_is_first_that_of_the_table_then_a_kind() -> None:
    plain: dict[str, Any] = {"kind": "veth", "queues": 1, "gro": False}
    coalescing = {**plain, "gro": True}
    assert named("veth", [plain, coalescing]) == [plain]
    assert named("veth gro", [plain, coalescing]) == [coalescing]
    assert named("veth queues=1", [plain, coalescing]) == [plain]
    assert named("veth", [plain, {**plain, "queues": 2}]) == [plain, {**plain, "queues": 2}]
    assert named("lo", [plain, coalescing]) == []
    assert named("-", [None, plain]) == [None]


@given(axes_with_values)
def test_the_text_of_a_table_names_one_value(of_an_axis: tuple[str, list[Value]]) -> None:
    _, among = of_an_axis
    for value in among:
        assert named(brief_text(value, among), among) == [value]
        assert named(value_text(value), among) == [value]
