"""Frames that would outlast the wait of a slice are refused, with values that pass."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import UsageError
from bench.base.values import Value
from bench.engines.config import memory_of
from bench.model.cells import Cell
from bench.model.matrix import Mark, Matrix, Measure
from bench.plan import plan, queue
from bench.plan.queue import Queue
from bench.topology.kinds import QDISC_KINDS, shaper
from tests.vocabulary import WORDS

SHAPED = replace(
    WORDS,
    qdiscs=QDISC_KINDS,
    shaper=shaper,
    ring_frames=lambda values: memory_of(Cell("", values)).ring_frames,
)


def refusal(rate: int, **axes: Value) -> str:
    """Empty where the cell may run."""
    tbf: Value = {"kind": "tbf", "rate": rate, "burst": 1600, "limit": 1 << 20}
    named: dict[str, Value] = {"interface": {"kind": "veth", "queues": 1}, "frame_size": 1514}
    matrix = Matrix(
        file="m.yaml",
        text="",
        name="m",
        description="",
        axes={axis: (value,) for axis, value in (named | {"qdisc": tbf} | axes).items()},
        zip=(),
        exclude=(),
        include=(),
        measure=Measure(window_ns=5_000_000),
        baseline=None,
        marks={(): Mark(1, 1), ("axes", "qdisc"): Mark(5, 10)},
    )
    try:
        plan.make_plan(matrix, SHAPED)
    except UsageError as error:
        return str(error)
    return ""


def test_a_queue_that_outlasts_the_wait_is_refused_with_its_place() -> None:
    told = refusal(100_000, method="sendto")
    assert told.startswith("m.yaml:5:10: some 92 frames of 1514 bytes queue before tbf")
    assert "take 11.2 s to leave; a slice waits 2 s for them: lower sndbuf to 18KiB" in told
    assert refusal(100_000_000, method="sendto") == ""


@pytest.mark.parametrize(
    ("frame_size", "in_ring", "charge"),
    [
        (64, False, 768),
        (160, False, 768),
        (161, False, 1280),
        (1514, False, 2304),
        (9014, False, 13056),
        (64, True, 832),
        (1514, True, 2282),
    ],
)
def test_a_frame_takes_of_the_send_buffer_what_the_kernel_charges(
    frame_size: int, in_ring: bool, charge: int
) -> None:
    """SO_MEMINFO's wmem_alloc of a socket with a single frame under way, on kernels of today."""
    assert queue._charge(frame_size, in_ring) == charge


def test_rings_of_several_threads_queue_as_many_frames_as_they_have() -> None:
    one, two = (
        refusal(1_000_000, method="tx_ring", msg_dontwait=True, burst=64, threads=threads)
        for threads in (1, 2)
    )
    (of_one,), (of_two,) = (re.findall(r"some (\d+) frames", told) for told in (one, two))
    assert int(of_two) == 2 * int(of_one)


def a_queue(**fields: Any) -> Queue:
    """A frame leaves every millisecond; ten leave at once after a pause."""
    some = {"frame_ns": 1e6, "free": 10.0, "room": 90.0, "full": 90.0, "blocked": 32.0}
    return Queue(**(some | {"awaited": 0, "charge": 2304, "in_ring": False} | fields))


SECOND = 1_000_000_000


def test_what_is_queued_when_time_is_up_leaves_afterwards() -> None:
    """A second lets 1000 frames pass, and then 90 + 32 are queued."""
    assert a_queue().left_ns(SECOND, math.inf, 0, free=10) == pytest.approx(1.122e9)
    assert a_queue().left_ns(3 * SECOND, math.inf, 0, free=10) == pytest.approx(3.122e9)
    assert a_queue(blocked=0.0).left_ns(SECOND, math.inf, 0, free=0) == pytest.approx(1.09e9)


def test_no_more_leave_than_are_offered_and_no_fewer_than_the_least() -> None:
    assert a_queue().left_ns(SECOND, 510.0, 0, free=10) == pytest.approx(0.5e9)
    assert a_queue().left_ns(SECOND, 510.0, 2010, free=10) == pytest.approx(2e9)


def test_a_call_that_waits_for_its_frames_ends_with_the_last_one() -> None:
    """Of 64 frames: 16 such calls are the fewest that take more than a second."""
    waiting = a_queue(awaited=64)
    assert waiting.left_ns(SECOND, math.inf, 0, free=0) == pytest.approx(16 * 64 * 1e6)
    assert waiting.left_ns(SECOND, math.inf, 0, free=24) == pytest.approx((16 * 64 - 24) * 1e6)


@given(
    rate=st.integers(1_000, 2_000_000),
    method=st.sampled_from(["sendto", "sendmmsg", "tx_ring"]),
    dontwait=st.booleans(),
    burst=st.sampled_from([1, 16, 64]),
)
def test_the_values_that_a_refusal_proposes_pass(
    rate: int, method: str, dontwait: bool, burst: int
) -> None:
    axes: dict[str, Any] = {"method": method, "msg_dontwait": dontwait}
    if method != "sendto":
        axes["burst"] = burst
    told = refusal(rate, **axes)
    if not told:
        return
    (faster,) = re.findall(r"raise its rate to (\d+)kbit", told)
    assert refusal(int(faster) * 1000, **axes) == ""
    for kib in re.findall(r"lower sndbuf to (\d+)KiB", told):
        sndbuf: Value = {"bytes": int(kib) * 1024, "force": False}
        assert refusal(rate, **axes, sndbuf=sndbuf) == ""
