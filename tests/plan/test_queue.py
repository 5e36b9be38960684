"""Frames that would outlast the wait of a slice are refused, with values that pass."""

from __future__ import annotations

import os
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
from bench.plan import plan
from bench.plan.queue import Queue
from bench.plan.queue import _charge as charge_of
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
    ("page", "frame_size", "in_ring", "charge"),
    [
        (4096, 64, False, 768),
        (4096, 160, False, 768),
        (4096, 161, False, 1280),
        (4096, 1514, False, 2304),
        (4096, 9014, False, 13056),
        (65536, 9014, False, 16640),
        (4096, 64, True, 832),
        (4096, 1514, True, 2282),
    ],
)
def test_a_frame_takes_of_the_send_buffer_what_the_kernel_charges(
    page: int, frame_size: int, in_ring: bool, charge: int
) -> None:
    """SO_MEMINFO's wmem_alloc of a socket with a single frame under way, on kernels of today."""
    assert charge_of(frame_size, in_ring, page) == charge


@pytest.mark.parametrize(("rate", "dontwait"), [(1_000_000, True), (100_000, False)])
def test_rings_of_several_threads_queue_as_many_frames_as_they_have(
    rate: int, dontwait: bool
) -> None:
    """All of them, or those of the calls that wait."""
    one, two = (
        refusal(rate, method="tx_ring", msg_dontwait=dontwait, burst=64, threads=threads)
        for threads in (1, 2)
    )
    (of_one,), (of_two,) = (re.findall(r"some (\d+) frames", told) for told in (one, two))
    assert int(of_two) == 2 * int(of_one)


FRAME_NS, EACH_NS, WARMUP_NS = 60_000.0, 1_000.0, 300_000.0


def queue(**values: Any) -> Queue:
    """A frame leaves every 60 us; 20 at once after a pause, and 100 wait."""
    plain = {"free": 20, "room": 100, "full": 100, "waits": False, "awaited": 0}
    return Queue(frame_ns=FRAME_NS, charge=2304, in_ring=False, **plain | values)


def slice_frames(of: Queue, window: float, turn: int = 16, call: int = 1) -> float:
    """A slice, of a window of so many frames' time, in frames' times."""
    taken_ns = of.slice_ns(WARMUP_NS, window * FRAME_NS, EACH_NS, turn, call)
    return taken_ns / FRAME_NS


def test_a_full_queue_leaves_half_before_the_window_and_whole_after_it() -> None:
    """The warm-up fills it within 5 frames' time, and the next turn finds no room."""
    warmup = WARMUP_NS / FRAME_NS
    assert slice_frames(queue(), 200) == pytest.approx(warmup + 50 + 200 + 100, abs=1)


def test_the_half_that_is_left_when_a_window_opens_leaves_after_it() -> None:
    """One of no time adds a frame."""
    warmup = WARMUP_NS / FRAME_NS
    assert slice_frames(queue(), 0) == pytest.approx(warmup + 50 + 50 + 1, abs=1)


def test_a_call_that_waits_goes_on_when_half_of_the_queue_has_left() -> None:
    """So a warm-up ends at 50 frames and its last turn adds 16, half of which leave; the window
    ends with a wait of 50, and 50 left."""
    assert slice_frames(queue(waits=True), 200) == pytest.approx(50 + 33 + 200 + 50, abs=1)
    assert slice_frames(queue(waits=True), 210) == pytest.approx(50 + 33 + 250 + 50, abs=1)


def test_a_turn_of_more_frames_than_wait_takes_until_the_others_have_left() -> None:
    """Two turns of 300 frames, of which 20 leave at once and 100 wait; then one after 50."""
    taken = slice_frames(queue(waits=True), 200, turn=300)
    assert taken == pytest.approx(480 + 250 + 25 + 200 + 50)


def test_calls_that_return_when_all_has_left_are_three_and_those_of_the_window() -> None:
    ring = queue(awaited=64, full=512, free=20)
    assert slice_frames(ring, 64, turn=64, call=64) == pytest.approx(4 * 64 - 20)
    assert slice_frames(ring, 65, turn=64, call=64) == pytest.approx(5 * 64 - 20)


def test_the_warm_up_goes_on_until_the_bucket_is_spent() -> None:
    """A sender of 60 times the shaper's speed needs 1,000 / 59 frames' time for 1,000 frames. Of
    the turn that follows half has left when the window opens."""
    taken = slice_frames(queue(free=1000), 200)
    assert taken == pytest.approx(1000 / 59 + 8 + 200 + 100, abs=1)


@given(
    rate=st.integers(1_000, 2_000_000),
    method=st.sampled_from(["sendto", "sendmmsg", "tx_ring"]),
    dontwait=st.booleans(),
    burst=st.sampled_from([1, 16, 64]),
    threads=st.sampled_from(sorted({1, min(2, len(os.sched_getaffinity(0)))})),
    socket=st.sampled_from(["own", "shared"]),
)
def test_the_values_that_a_refusal_proposes_pass(
    rate: int, method: str, dontwait: bool, burst: int, threads: int, socket: str
) -> None:
    axes: dict[str, Any] = {"method": method, "msg_dontwait": dontwait}
    axes |= {"threads": threads, "socket": socket}
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


LARGE: Value = {"bytes": 64 << 20, "force": True}


@given(
    rate=st.integers(10_000, 100_000_000),
    limit=st.integers(2, 100_000),
    kind=st.sampled_from(["tbf", "htb"]),
)
def test_a_queue_that_its_limit_bounds_gets_a_lower_one(rate: int, limit: int, kind: str) -> None:
    """A latency of tbf is a limit that grows with the rate: a higher rate would not do."""
    frames = {"tbf": 1514, "htb": 1}[kind]
    qdisc: dict[str, Any] = {"kind": kind, "rate": rate, "burst": 1600, "limit": limit * frames}
    axes: dict[str, Any] = {"method": "sendto", "sndbuf": LARGE}
    told = refusal(rate, **axes, qdisc=qdisc)
    for lower in re.findall(r"lower its limit to (\d+)", told):
        assert 0 < int(lower) < qdisc["limit"]
        assert refusal(rate, **axes, qdisc=qdisc | {"limit": int(lower)}) == ""
    for faster in re.findall(r"raise its rate to (\d+)kbit", told):
        assert refusal(rate, **axes, qdisc=qdisc | {"rate": int(faster) * 1000}) == ""
    assert not told or "lower its limit" in told or "raise its rate" in told
