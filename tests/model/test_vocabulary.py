"""What a method reads of a matrix, and the options that methods bring."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.base.errors import BenchError
from bench.model.axes import AXES, Axis, Whole
from bench.model.vocabulary import MethodInfo, axes_of
from tests.vocabulary import RING_OPTIONS, WORDS

BATCH = Axis("batch", Whole(1, 64), 32, "frames of one call", after="burst")


def method(name: str, *options: Axis) -> MethodInfo:
    return MethodInfo(name, "", "", frozenset(o.name for o in options), options=options)


def with_methods(*methods: MethodInfo) -> dict[str, MethodInfo]:
    return {method.name: method for method in methods}


def test_a_method_ignores_what_only_others_read() -> None:
    assert WORDS.unread("tx_ring") == set()
    assert {"burst", "ring"} < WORDS.unread("sendto")
    assert {"interface", "qdisc", "flows"} < WORDS.unread("null")


def test_what_no_method_reads_every_cell_has() -> None:
    everywhere = set(WORDS.axes) - WORDS.unread("null") - WORDS.methods["null"].knobs
    assert everywhere == {"method", "replica"}


def test_options_are_axes_beside_those_of_the_table() -> None:
    assert [*WORDS.axes] == [
        *("interface", "qdisc", "method", "frame_size", "threads", "affinity", "socket", "burst"),
        *("segments", "gso_type"),
        *("fill", "ring", "ring_wait", "sndbuf", "msg_dontwait", "protocol", "qdisc_bypass"),
        *("packet_loss", "mmap_locked", "vnet_hdr", "flows", "vlan", "malformed", "replica"),
    ]
    assert [WORDS.axes[option.name] for option in RING_OPTIONS] == [*RING_OPTIONS]


def test_methods_that_declare_the_same_option_share_an_axis() -> None:
    axes = axes_of(with_methods(method("one", BATCH), method("two", BATCH)))
    assert axes == {**AXES, "batch": BATCH}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            replace(BATCH, type=Whole(1, 32)),
            "type Whole(low=1, high=64), type Whole(low=1, high=32)",
        ),
        (replace(BATCH, default=16), "default 32, default 16"),
        (replace(BATCH, help="frames"), "help frames of one call, help frames"),
    ],
)
def test_methods_that_declare_an_option_differently_are_refused(other: Axis, said: str) -> None:
    with pytest.raises(BenchError) as caught:
        axes_of(with_methods(method("one", BATCH), method("two", other)))
    assert str(caught.value) == (
        f"methods one and two declare the option batch differently ({said}); "
        "declare it alike, or give one of them another name"
    )


def test_an_option_has_a_name_of_its_own() -> None:
    with pytest.raises(BenchError) as caught:
        axes_of(with_methods(method("one", replace(BATCH, name="burst"))))
    assert str(caught.value) == (
        "method one declares the option burst, which is an axis of every matrix; "
        "read that, or give the option another name"
    )
