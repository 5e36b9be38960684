"""Frames that would outlast the wait of a slice are refused, with values that pass."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import UsageError
from bench.base.values import Value
from bench.engines.config import memory_of
from bench.model.cells import Cell
from bench.model.matrix import Mark, Matrix, Measure
from bench.plan import plan
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
