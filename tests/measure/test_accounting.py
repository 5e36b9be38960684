"""What readings of counters mean, without taking any."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any, cast

import hypothesis.strategies as st
import pytest
from hypothesis import given

from bench.measure.accounting import (
    Accounting,
    Counters,
    Delta,
    account,
    adds_up,
    delivered,
    delivered_bytes,
    delta,
)
from bench.measure.counters import CounterReader, settle
from bench.model.problems import Code
from bench.system.netlink.stats import LinkStats, QdiscStats
from bench.topology import Delivery

NOTHING = LinkStats(0, 0, 0, 0, 0)
VETH, LO = Delivery(), Delivery(header_left_out=14, hidden_backlog=True)
DEVICE = Delivery(direction="tx", others_send=True, may_pad=True, late_s=2.0)


def change(arrived: int = 0, size: int = 64, **other: Any) -> Delta:
    """A slice in which frames arrived at a veth's peer, and whatever else is given."""
    values: dict[str, Any] = {
        "tx": NOTHING,
        "dropped": other.pop("device_drops", 0),
        "sinks": (NOTHING._replace(rx_packets=arrived, rx_bytes=arrived * size),),
        "qdisc": QdiscStats(0, 0, other.pop("qdisc_drops", 0)),
        "softnet_drops": 0,
        "queued_before": 0,
        "queued_after": 0,
    }
    return Delta(**(values | other))


def judged(slice_: Delta, delivery: Delivery = VETH, **sender: int) -> Accounting:
    values = {"frame_size": 64, "completed": 1000} | sender
    return account(slice_, delivery, **values)


def test_a_difference_is_taken_field_by_field_and_across_wraps() -> None:
    before = Counters(
        tx=LinkStats(*range(5)),
        sinks=(NOTHING._replace(rx_bytes=2**64 - 10),),
        dropped=2**64 - 1,
        qdisc=QdiscStats(2**33, 2**32 - 1, 2**32 - 5),
        queued=3,
        softnet=b"00000009 ffffffff 0\n",
    )
    after = Counters(
        tx=LinkStats(*range(100, 105)),
        sinks=(NOTHING._replace(rx_bytes=54),),
        dropped=2,
        qdisc=QdiscStats(2**34, 1, 0),
        queued=1,
        softnet=b"00000009 00000001 0\n",
    )
    assert delta(before, after) == Delta(
        tx=LinkStats(*[100] * 5),
        sinks=(NOTHING._replace(rx_bytes=64),),
        dropped=3,
        qdisc=QdiscStats(2**33, 2, 5),
        softnet_drops=2,
        queued_before=3,
        queued_after=1,
    )


def test_delivery_is_read_where_the_kind_says() -> None:
    slice_ = change(sinks=(LinkStats(10, 20, 500, 2000, 0),))
    assert delivered(slice_, LO) == 10
    assert delivered_bytes(slice_, LO) == 500 + 10 * 14
    assert delivered(slice_, Delivery(direction="tx")) == 20
    assert delivered_bytes(slice_, Delivery(direction="tx")) == 2000


def test_what_adds_up_has_no_problem() -> None:
    assert judged(change(1000)) == Accounting(1000, 0, 0, 0, 0, 0, ())


@pytest.mark.parametrize(
    ("slice_", "sender", "lost", "problem"),
    [
        # Refused frames are among the drops, and not missing.
        (change(1000, qdisc_drops=50), {"refused": 50}, 0, ""),
        (change(1000, device_drops=50), {"refused": 50}, 0, ""),
        # A driver that is busy refuses without counting a drop.
        (change(1000), {"refused": 50}, 0, ""),
        # A call that sent fewer frames than it was given does not say that one was dropped.
        (change(1000, qdisc_drops=50), {}, 0, ""),
        (change(990, qdisc_drops=10), {}, 10, ""),
        (change(990, device_drops=4, qdisc_drops=6), {}, 10, ""),
        (change(990, qdisc_drops=60), {"refused": 50}, 10, ""),
        (change(990), {}, 0, "delivered 990 of 1000 completed, 10 unexplained"),
        (change(990, qdisc_drops=7), {}, 7, "delivered 990 of 1000 completed, 3 unexplained"),
        (
            change(990, qdisc_drops=50),
            {"refused": 50},
            0,
            "delivered 990 of 1000 completed, 10 unexplained",
        ),
        (change(0), {}, 0, "delivered 0 of 1000 completed, 1000 unexplained"),
        (change(1001), {}, 0, "1 foreign frame"),
        (change(1005), {}, 0, "5 foreign frames"),
        (change(1000, size=60), {}, 0, "wrong length: 60 bytes per frame, 64 meant"),
        (change(990, queued_after=10), {}, 0, "10 frames still in the qdisc"),
        (change(1000, queued_before=1), {}, 0, "1 frame in the qdisc before the slice"),
        (
            change(985, size=60, queued_after=10),
            {},
            0,
            "10 frames still in the qdisc; delivered 985 of 1000 completed, 5 unexplained; "
            "wrong length: 60 bytes per frame, 64 meant",
        ),
    ],
)
def test_what_is_missing_is_explained_or_a_problem(
    slice_: Delta, sender: dict[str, int], lost: int, problem: str
) -> None:
    accounting = judged(slice_, VETH, **sender)
    assert accounting.problem == problem
    assert accounting.lost == lost


def test_a_softnet_drop_explains_a_frame_only_where_no_device_counts_it() -> None:
    on_lo = judged(change(990, size=50, softnet_drops=10), LO)
    assert (on_lo.lost, on_lo.problem) == (10, "")
    on_veth = judged(change(990, softnet_drops=10))
    assert on_veth.problem == "delivered 990 of 1000 completed, 10 unexplained"


def drops(accounting: Accounting) -> tuple[int, int, int]:
    return accounting.qdisc_drops, accounting.device_drops, accounting.softnet_drops


def test_a_frame_that_a_full_backlog_dropped_is_counted_once() -> None:
    """Device and backlog both count it on veth; softnet's counter has the drops of others, too."""
    assert drops(judged(change(990, device_drops=10, softnet_drops=10))) == (0, 10, 0)
    assert drops(judged(change(1000, softnet_drops=10))) == (0, 0, 0)
    assert drops(judged(change(990, size=50, softnet_drops=10), LO)) == (0, 0, 10)
    assert drops(judged(change(990, size=50, softnet_drops=500), LO)) == (0, 0, 10)
    assert drops(judged(change(1000, size=50, softnet_drops=500), LO)) == (0, 0, 0)


def test_one_wrong_length_among_many_frames_is_found() -> None:
    slice_ = change(1000, sinks=(NOTHING._replace(rx_packets=1000, rx_bytes=64_001),))
    assert judged(slice_).problem == "wrong length: 64.001 bytes per frame, 64 meant"


# A real device


def sent(frames: int, size: int) -> Delta:
    """A slice in which a device counted so many frames of so many bytes as sent."""
    return change(sinks=(NOTHING._replace(tx_packets=frames, tx_bytes=frames * size),))


@pytest.mark.parametrize(
    ("frame_size", "counted", "problem"),
    [
        (64, 64, ""),
        (64, 68, ""),  # with the FCS
        (14, 14, ""),
        (14, 60, ""),  # padded by the driver
        (14, 64, ""),  # and with the FCS
        (64, 60, "wrong length: 60 bytes per frame, 64 meant"),
        (64, 65, "wrong length: 65 bytes per frame, 64 meant"),
        (14, 18, "wrong length: 18 bytes per frame, 14 meant"),
    ],
)
def test_a_device_may_count_what_the_wire_has_of_a_frame(
    frame_size: int, counted: int, problem: str
) -> None:
    slice_ = sent(1000, counted)
    assert judged(slice_, DEVICE, frame_size=frame_size).problem == problem


def test_a_few_frames_of_others_explain_themselves_on_a_device_alone() -> None:
    few = judged(sent(1010, 100), DEVICE)
    assert (few.problem, few.foreign, few.delivered) == ("", 10, 1010)
    assert judged(sent(1011, 100), DEVICE).problem == "11 foreign frames"
    assert judged(change(1001)).problem == "1 foreign frame"


def test_who_may_pad_and_beside_whom_others_may_send_are_two_facts() -> None:
    shared = replace(DEVICE, may_pad=False)
    assert judged(sent(1010, 64), shared).problem == ""
    assert judged(sent(1000, 68), shared).problem.startswith("wrong length: 68 bytes")
    own = replace(DEVICE, others_send=False)
    assert judged(sent(1010, 64), own).problem == "10 foreign frames"
    assert judged(sent(1000, 68), own).problem == ""


COUNTS = st.integers(0, 3)


@given(
    delivery=st.sampled_from([VETH, LO, DEVICE, replace(VETH, copies=2)]),
    counted=st.tuples(*[COUNTS] * 4),
    octets=st.integers(-1, 1),
    queued=st.tuples(COUNTS, COUNTS),
    completed=st.integers(0, 2),
)
def test_where_it_adds_up_there_is_neither_a_problem_nor_a_loss(
    delivery: Delivery,
    counted: tuple[int, ...],
    octets: int,
    queued: tuple[int, int],
    completed: int,
) -> None:
    before, after = (
        Counters(sink, (sink,), 0, QdiscStats(0, 0, 0), waiting, b"0 0\n")
        for rx, tx, waiting in zip(counted[:2], counted[2:], queued, strict=True)
        for each in [64 - delivery.header_left_out]
        for sink in [LinkStats(rx, tx, rx * each, tx * each + octets * (waiting == 0), 0)]
    )
    told = account(delta(before, after), delivery, frame_size=64, completed=completed)
    if adds_up(before, after, delivery, 64, completed):
        assert (told.problem, told.lost, told.delivered) == ("", 0, completed)
    elif not delivery.may_pad and delivery.copies == 1:
        assert told.problem or told.lost


class LateReader:
    """A device whose counters show what it sent at a later reading only."""

    def __init__(self, *tx_packets: int) -> None:
        self.to_come = list(tx_packets)

    def read(self) -> Counters:
        frames = self.to_come.pop(0) if len(self.to_come) > 1 else self.to_come[0]
        counted = NOTHING._replace(tx_packets=frames, tx_bytes=64 * frames)
        return Counters(counted, (counted,), 0, QdiscStats(0, 0, 0), 0, b"0 0\n")


def settled(reader: LateReader, delivery: Delivery = DEVICE) -> Accounting:
    before = reader.read()
    judge = functools.partial(account, delivery=delivery, frame_size=64, completed=100)
    return settle(cast(CounterReader, reader), before, judge, delivery.late_s)[0]


def test_a_counter_that_rises_late_is_waited_for() -> None:
    assert settled(LateReader(0, 0, 50, 90, 100)).problem == ""


def test_nobody_waits_for_frames_of_others_to_become_fewer() -> None:
    reader = LateReader(0, 150, 100)
    assert settled(reader).problem == "50 foreign frames"
    assert reader.to_come == [100]


def test_what_stays_missing_is_a_problem_at_last() -> None:
    soon = replace(DEVICE, late_s=0.01)
    assert settled(LateReader(0, 90), soon).problem.startswith("delivered 90 of 100 completed")


def test_our_own_frames_that_leave_late_are_late_and_not_foreign() -> None:
    assert judged(change(135), completed=100, pending=35).problem == (
        "35 frames of ours left late, when the wait for the queue was over"
    )
    both = judged(change(140), completed=100, pending=35)
    assert [(problem.code, problem.count) for problem in both.problems] == [
        (Code.LATE, 35),
        (Code.FOREIGN, 5),
    ]
    assert both.foreign == 5


def test_a_window_with_more_frames_than_a_shaper_lets_pass_is_a_problem() -> None:
    found = judged(change(135), completed=135)
    assert found.at_most(90, completed=90) == found
    (problem,) = found.at_most(90, completed=93).problems
    assert (problem.code, problem.count, problem.completed) == (Code.TOO_MANY, 3, 93)
    both = judged(change(140), completed=135).at_most(90, completed=93)
    assert [each.code for each in both.problems] == [Code.FOREIGN, Code.TOO_MANY]


def test_a_qdisc_counts_super_frames_and_an_interface_the_frames() -> None:
    slice_ = change(arrived=936, qdisc_drops=2)
    assert judged(slice_, segments=32).lost == 64
    assert judged(slice_, segments=32).qdisc_drops == 64
    assert judged(slice_, segments=32).problem == ""
    assert judged(slice_).problem != ""
    refused = judged(change(arrived=1000, qdisc_drops=2), segments=32, refused=64)
    assert (refused.lost, refused.problem) == (0, "")
    queued = judged(change(arrived=936, queued_after=2), segments=32)
    assert [(p.code, p.count) for p in queued.problems] == [(Code.STILL_QUEUED, 64)]
