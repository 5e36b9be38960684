"""Qdiscs that few kernels have: `make test-kernels` boots some that do."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.measure.accounting import account
from bench.measure.counters import CounterReader, settle
from bench.model.run import Run
from bench.topology.kinds import up
from bench.topology.link import rtnl
from tests.netns.conftest import QUEUES, needs_qdisc, why_no
from tests.netns.test_core import DEADLINE_NS, opened
from tests.netns.test_run import assert_sound
from tests.running import measured

pytestmark = pytest.mark.netns

NEW = ("fq_codel", "fq", "prio", "netem", "mq")


@pytest.mark.parametrize(
    ("value", "effective"),
    [
        (
            {"kind": "fq_codel"},
            {
                "limit": 10_240,
                "flows": 1024,
                "target": "5ms",
                "interval": "100ms",
                "quantum": 1514,
                "memory_limit": 32 << 20,
            },
        ),
        ({"kind": "fq_codel", "limit": 7, "target": "20ms"}, {"limit": 7, "target": "20ms"}),
        ({"kind": "fq"}, {"limit": 10_000, "flow_limit": 100}),
        ({"kind": "fq", "limit": 50, "flow_limit": 7}, {"limit": 50, "flow_limit": 7}),
        ({"kind": "prio"}, {"bands": 3}),
        ({"kind": "prio", "bands": 2}, {"bands": 2}),
        ({"kind": "prio", "bands": 16}, {"bands": 16}),
        ({"kind": "netem"}, {"limit": 1000, "delay": "0ns", "loss": "0%"}),
        (
            {"kind": "netem", "limit": 7, "delay": "1001ns", "loss": 0.015},
            {"limit": 7, "delay": "1001ns", "loss": "1.5%"},
        ),
        ({"kind": "mq"}, {"each": "pfifo_fast"}),
        ({"kind": "mq", "each": "pfifo"}, {"each": "pfifo"}),
        ({"kind": "mq", "each": "fq_codel"}, {"each": "fq_codel"}),
        ({"kind": "mq", "each": "fq"}, {"each": "fq"}),
    ],
)
def test_the_qdisc_in_effect_is_read_back(value: Any, effective: dict[str, Any]) -> None:
    needs_qdisc(value["kind"])
    if value.get("each", "") in NEW:
        needs_qdisc(value["each"])
    with up(QUEUES, value) as topology:
        assert topology.qdisc.items() >= ({"kind": value["kind"]} | effective).items()


def test_every_queue_below_mq_has_its_qdisc() -> None:
    with (
        up(QUEUES, {"kind": "mq", "each": "pfifo"}) as topology,
        rtnl(topology.tx.netns_fd) as ip,
    ):
        below = [
            message.get_attr("TCA_KIND")
            for message in ip.get_qdiscs(index=topology.tx.ifindex)
            if message["index"] == topology.tx.ifindex
        ]
    assert sorted(below) == ["mq", "pfifo", "pfifo", "pfifo"]


def test_mq_on_one_queue_is_refused_with_the_reason() -> None:
    wanted = "qdisc mq on bench0: .*; it takes an interface with several transmit queues"
    with pytest.raises(BenchError, match=wanted), up("veth", "mq"):
        pass


def runs(folder: Path, qdisc: Any, **more: Any) -> Run:
    axes = {
        "interface": [QUEUES, {"kind": "ifb", "queues": 2}],
        "method": ["sendto", "sendmmsg", "tx_ring"],
        "fill": ["copy"],
        "burst": [8],
        "qdisc": [qdisc],
    }
    return measured(folder, axes | more)


@pytest.mark.parametrize("kind", NEW)
def test_all_methods_send_through_it_or_their_rows_say_what_the_kernel_lacks(
    kind: str, tmp_path: Path
) -> None:
    run = runs(tmp_path, kind)
    if why_no(kind):
        assert len(run.failures) == len(run.cells) == 6
        for reason in run.failures.values():
            config = f"this kernel may be without CONFIG_NET_SCH_{kind.upper()}"
            assert re.match(rf"qdisc {kind} on bench0: .*; {config}", reason)
    else:
        assert_sound(run, rounds=2)


def test_flows_over_the_queues_of_mq_all_arrive(tmp_path: Path) -> None:
    assert_sound(runs(tmp_path, "mq", flows=[5]), rounds=2)


def test_frames_that_netem_loses_are_lost_and_explained(tmp_path: Path) -> None:
    needs_qdisc("netem")
    run = runs(tmp_path, {"kind": "netem", "loss": "30%"}, threads=[1])
    assert_sound(run, rounds=2)
    for cell in run.cells:
        mine = [sample for sample in run.samples if sample.cell == cell.id]
        assert any(sample.lost for sample in mine)
        assert all(sample.lost <= sample.qdisc_drops for sample in mine)
        assert not any(sample.total("enobufs") for sample in mine)


def test_where_nearly_all_are_lost_enough_are_sent_to_see_one(tmp_path: Path) -> None:
    """Of the three frames with which a cell of single ones is checked, two times in three none
    arrives."""
    needs_qdisc("netem")
    qdisc = {"kind": "netem", "loss": "88%"}
    assert_sound(runs(tmp_path, qdisc, method=["send", "sendto"], frame_size=[64, 65, 66, 67]), 2)


def test_a_queue_that_netem_delays_is_waited_for(tmp_path: Path) -> None:
    """A frame counts as sent when it enters netem: its counters are late by the delay."""
    needs_qdisc("netem")
    qdisc = {"kind": "netem", "delay": "30ms", "limit": 1_000_000}
    assert_sound(runs(tmp_path, qdisc, method=["sendto"]), rounds=2)


def test_fq_codel_drops_and_its_sender_never_learns() -> None:
    """Behind a shaper, as a device's queue would be: on a veth alone nothing ever waits."""
    needs_qdisc("fq_codel")
    room = {"bytes": 1 << 20, "force": True}
    with (
        up("veth", {"kind": "htb", "rate": "100kbit", "burst": 1600}) as topology,
        opened(topology, method="sendmmsg", burst=16, sndbuf=room) as cell,
    ):
        with rtnl(topology.tx.netns_fd) as ip:
            few = {"attrs": [("TCA_FQ_CODEL_LIMIT", 5)]}
            ip.tc("replace", "fq_codel", topology.tx.ifindex, parent=0x10001, options=few)
        with CounterReader(topology) as reader:
            before = reader.read()
            sent = sum(cell.burst(0, DEADLINE_NS) for _ in range(10))
            judge = functools.partial(
                account, delivery=topology.delivery, frame_size=64, completed=sent
            )
            accounting, _ = settle(reader, before, judge, late_s=1.0)
    assert sent == 160, "no send was refused"
    assert accounting.problem == ""
    assert accounting.lost > 0
    assert accounting.delivered + accounting.lost == sent
