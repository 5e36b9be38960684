"""Who takes part in a cell."""

from __future__ import annotations

from typing import Any

import pytest

from bench.base.values import Value
from bench.measure.parties import parties_of
from bench.measure.prepare import vocabulary
from bench.model.axes import defaults
from bench.model.cells import Cell
from bench.model.parties import Party, PartyRole, under_test
from bench.plan.calibration import CALIBRATION


def cell(**axes: Value) -> Cell:
    return Cell("c", defaults(vocabulary().axes) | {"interface": "lo"} | axes)


@pytest.mark.parametrize(
    ("affinity", "cpus"), [("pinned", (4, 2)), ("free", (4, 2, 7))], ids=["pinned", "free"]
)
def test_the_sender_has_its_first_cpus_or_any(affinity: str, cpus: tuple[int, ...]) -> None:
    parties = parties_of(cell(method="tx_ring", threads=2, affinity=affinity), (4, 2, 7))
    assert parties == (Party(PartyRole.SENDER, "tx_ring", "tx", cpus, under_test=True),)


@pytest.mark.parametrize(
    ("interface", "engines"),
    [
        ({"kind": "veth", "peer": "capture"}, ["send", "capture"]),
        ({"kind": "veth", "peer": "xdp_drop"}, ["send"]),
        ("ifb", ["send"]),
    ],
)
def test_who_reads_at_the_peer_is_the_second_party(interface: Any, engines: list[str]) -> None:
    parties = parties_of(cell(method="send", interface=interface), (0,))
    assert [party.engine for party in parties] == engines
    assert [party.role for party in parties[1:]] == [PartyRole.RECEIVER] * (len(engines) - 1)
    assert under_test(parties) == parties[0]


def test_a_cell_without_an_interface_has_a_sender_alone() -> None:
    assert [len(parties_of(each, (0,))) for each in CALIBRATION] == [1] * len(CALIBRATION)
