"""What is told of a run's time: of what it is made, not how long this machine takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.base.values import Value
from bench.cli.plan import LONG_OPENING_NS, time_text
from bench.measure.estimate import Estimate, estimate
from bench.model.matrix import Mark, Matrix, Measure, Rounds
from bench.plan import calibration, plan, schedule
from bench.topology.kinds import QDISC_KINDS
from tests.trees import machine_of
from tests.vocabulary import WORDS

MS = 10**6
VETH: Value = {"kind": "veth", "queues": 1}
RING: Value = {"version": 2, "block_size": 4096, "block_nr": 256, "frame_size": 2048}
SLOTS = 512
PLENTY_KIB = 2**26


def matrix(rounds: int = 3, window_ms: int = 5, **axes: Value | tuple[Value, ...]) -> Matrix:
    return Matrix(
        file="m.yaml",
        text="",
        name="m",
        description="",
        axes={axis: v if isinstance(v, tuple) else (v,) for axis, v in axes.items()},
        zip=(),
        exclude=(),
        include=(),
        measure=Measure(window_ms * MS, Rounds(rounds, rounds)),
        baseline=None,
        marks={(): Mark(1, 1)},
    )


class Told:
    """Estimates on a machine of so much free memory, whose send buffers are those of Linux."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, m: Matrix, free_kib: int = PLENTY_KIB) -> Estimate:
        machine = machine_of(
            self._folder,
            {
                "proc/meminfo": f"MemAvailable: {free_kib} kB\n",
                "proc/sys/net/core/wmem_default": "212992",
                "proc/sys/net/core/wmem_max": "212992",
            },
        )
        made = plan.make_plan(m, replace(WORDS, qdiscs=QDISC_KINDS))
        return estimate(made, m, machine)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def tbf(rate: int, limit: int, burst: int = 1600) -> Value:
    return {"kind": "tbf", "rate": rate, "burst": burst, "limit": limit}


def leaving_ns(frames: int, rate: int) -> float:
    """Of frames of 1514 bytes, at bits per second."""
    return frames * 1514 * 8e9 / rate


def slices(rounds: int, of: int) -> float:
    """In so many rounds of a run of one cell that has at least ``of``, with the calibration's."""
    return rounds * (1 + len(calibration.CALIBRATION) / calibration.interval(1, of, 1))


def test_the_calibration_cells_have_a_slice_in_some_rounds(told: Told) -> None:
    least = told(matrix(rounds=100, window_ms=10)).least_ns
    assert slices(100, 100) * 10 * MS < least < 2 * slices(100, 100) * 10 * MS


def test_rounds_say_both_ends(told: Told) -> None:
    m = matrix(window_ms=10)
    both = told(replace(m, measure=replace(m.measure, rounds=Rounds(40, 400))))
    assert both.least_ns == told(replace(m, measure=Measure(rounds=Rounds(40, 40)))).least_ns
    assert both.most_ns > both.least_ns + slices(360, 40) * 10 * MS


def test_the_check_of_a_ring_goes_around_it_at_the_rate_of_a_shaper(told: Told) -> None:
    link = tbf(1_000_000, 15140)
    shaped = {"interface": VETH, "frame_size": 1514, "burst": 16, "qdisc": link}
    slow = told(
        matrix(method="tx_ring", **shaped, ring=RING, sndbuf={"bytes": 8192, "force": False})
    )
    around = leaving_ns(SLOTS + 2 * 16 - 2, 1_000_000)  # the bucket lets one or two go at once
    assert around < slow.opening_ns < 1.1 * around
    # A slice: two bursts of warm-up and one of the window, which is shorter than that.
    slices = slow.least_ns - slow.opening_ns
    assert 3 * leaving_ns(47, 1_000_000) < slices < 3 * leaving_ns(48, 1_000_000) + 2000 * MS


def test_what_a_send_buffer_holds_leaves_within_each_slice(told: Told) -> None:
    """100 rounds: what a cell takes beyond the others' share of each round is its queue."""

    def round_ms(sndbuf: Value, **more: Value) -> float:
        link = tbf(200_000_000, 8 << 20, 32768)
        shaped = {"method": "sendto", "interface": VETH, "frame_size": 1514, "qdisc": link}
        few, many = (
            told(matrix(n, 20, **shaped, sndbuf=sndbuf, **more)).least_ns for n in (1, 101)
        )
        return (many - few) / 100 / MS

    frames_of_the_limit = (8 << 20) // 1514
    forced = round_ms({"bytes": 8 << 20, "force": True})
    assert forced - round_ms("default") > 0.9 * leaving_ns(frames_of_the_limit, 200_000_000) / MS
    # Without force it is as large as wmem_max allows; around the qdisc nothing waits.
    assert round_ms({"bytes": 8 << 20, "force": False}) < round_ms("default") + 10
    assert round_ms({"bytes": 8 << 20, "force": True}, qdisc_bypass=True) < round_ms("default")


def test_no_drain_is_waited_for_beyond_its_deadline(told: Told) -> None:
    link = tbf(100_000, 1 << 20)
    shaped = {"method": "sendto", "interface": VETH, "frame_size": 1514, "qdisc": link}
    one, four = (told(matrix(n, 5, **shaped)).least_ns for n in (1, 4))
    assert four - one < 3 * (2 * schedule.DRAIN_NS + 500 * MS)


def test_slaves_share_what_a_shaper_each_makes_leave(told: Told) -> None:
    shaped = {"method": "tx_ring", "frame_size": 1514, "burst": 16, "ring": RING}
    words = replace(WORDS, qdiscs=QDISC_KINDS)

    def opening_ns(mode: str) -> int:
        m = matrix(interface={"kind": "veth"}, qdisc=tbf(1_000_000, 15140), **shaped)
        made = plan.make_plan(m, words)
        bond = {"kind": "bond", "mode": mode, "slaves": 2}
        cells = tuple(replace(c, values={**c.values, "interface": bond}) for c in made.cells)
        machine = machine_of(Path("/nowhere"), {})
        return estimate(replace(made, cells=cells), m, machine).opening_ns

    assert opening_ns("active-backup") > 1.9 * opening_ns("balance-rr")


def test_a_large_ring_takes_long_to_check_and_to_open_again_where_memory_is_short(
    told: Told,
) -> None:
    ring: Value = {"version": 2, "block_size": 4 << 20, "block_nr": 256, "frame_size": 2048}
    m = matrix(rounds=50, method="tx_ring", interface=VETH, ring=ring, frame_size=(64, 1514))
    roomy = told(m)
    assert roomy.memory > 2 << 30
    assert roomy.opening_ns > LONG_OPENING_NS
    assert told(m, free_kib=1 << 20).least_ns > roomy.least_ns + 10_000 * MS


def test_each_further_opening_opens_and_checks_all_cells_again(told: Told) -> None:
    ring: Value = {"version": 2, "block_size": 4 << 20, "block_nr": 16, "frame_size": 2048}
    m = matrix(rounds=50, method="tx_ring", interface=VETH, ring=ring)
    one, two, five = (
        told(replace(m, measure=replace(m.measure, openings=count))) for count in (1, 2, 5)
    )
    assert two.opening_ns > 2 * one.opening_ns
    further = two.opening_ns - one.opening_ns
    assert five.opening_ns - two.opening_ns == pytest.approx(3 * further, rel=1e-6)
    assert five.least_ns - one.least_ns == pytest.approx(4 * further, rel=1e-6)
    assert five.memory == one.memory


@pytest.mark.parametrize(
    ("least_s", "most_s", "opening_s", "text"),
    [
        (0.2, 0.2, 0, "1 s"),
        (0.2, 3.4, 0, "1 s to 3 s"),
        (119.4, 7199, 4, "119 s to 2 h 00 min"),
        (130, 130, 6.6, "2 min, 7 s of it to open the cells and check their frames"),
    ],
)
def test_the_time_is_told_as_people_say_it(
    least_s: float, most_s: float, opening_s: float, text: str
) -> None:
    least_ns, most_ns, opening_ns = (round(s * 1e9) for s in (least_s, most_s, opening_s))
    assert time_text(Estimate(least_ns, most_ns, opening_ns, 0)) == text
