"""What a method reads of a matrix."""

from __future__ import annotations

from bench.model.axes import AXES
from tests.vocabulary import WORDS


def test_a_method_ignores_what_only_others_read() -> None:
    assert WORDS.unread("tx_ring") == set()
    assert {"burst", "ring"} < WORDS.unread("sendto")
    assert {"interface", "qdisc", "flows"} < WORDS.unread("null")


def test_what_no_method_reads_every_cell_has() -> None:
    everywhere = set(AXES) - WORDS.unread("null") - WORDS.methods["null"].knobs
    assert everywhere == {"method", "replica"}
