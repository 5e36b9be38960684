"""Figures of cells, ratios within rounds, and which cells need more of them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from bench.analysis import calibration, figures, summary
from bench.base.values import Value
from bench.model.cells import Cell
from bench.model.problems import Code, Problem
from bench.model.run import Run
from bench.model.samples import Sample, ThreadSample
from tests.builders import a_cell, a_run, a_sample


def cell(name: str) -> Cell:
    return a_cell(name, frame_size=1250)


def run(samples: list[Sample], baselines: dict[str, str], **fields: object) -> Run:
    names = dict.fromkeys(sample.cell for sample in samples)
    return a_run(samples, map(cell, names), baselines, **fields)


def test_samples_in_which_a_thread_moved_are_counted_and_kept() -> None:
    still = a_sample("a", 0, 1e6)
    moved = replace(still, round=1, threads=(replace(still.threads[0], moved=1), *still.threads))
    (row,) = summary.summarise(run([still, moved], {}), precision=0.01)
    assert (row.tally.rounds, row.tally.moved) == (2, 1)
    assert ("moved", 1) in [(note.code, note.count) for note in row.notes]


def test_what_else_the_cpus_did_is_told_of_each_cell() -> None:
    quiet = a_sample("a", 0, 1e6, cpus_ns=20_000_000, interrupts=7)
    switched = replace(quiet.threads[0], involuntary=2)
    samples = [
        quiet,
        replace(quiet, round=1, steal_ns=10_000_000, interrupts=5),
        replace(quiet, round=2, softirq_ns=30_000_000, threads=(switched,)),
        replace(quiet, round=3, foreign=9, problems=(Problem(Code.FOREIGN, 9),)),
    ]
    (row,) = summary.summarise(run(samples, {}), precision=0.01)
    assert (row.averages.steal_share, row.averages.softirq_share) == (1 / 6, 1 / 2)
    counts = [row.counts[name] for name in ("interrupts", "involuntary_switches", "foreign_frames")]
    assert counts == [19, 2, 9]


@pytest.mark.parametrize(
    ("ticks", "rounds", "noted"), [(3, 10, False), (4, 30, True), (4, 40, False), (5, 40, True)]
)
def test_steal_is_noted_above_a_hundredth_unless_it_may_be_chance(
    ticks: int, rounds: int, noted: bool
) -> None:
    stolen = [10_000_000 if n < ticks else 0 for n in range(rounds)]
    samples = [a_sample("a", n, cpus_ns=100_000_000, steal_ns=ns) for n, ns in enumerate(stolen)]
    (row,) = summary.summarise(run(samples, {}), precision=0.01)
    assert ("stolen" in [note.code for note in row.notes]) is noted


def test_a_run_that_did_not_read_what_the_cpus_did_says_nothing_of_it() -> None:
    (row,) = summary.summarise(run([a_sample("a", 0, 1e6)], {}), precision=0.01)
    assert (row.averages.steal_share, row.averages.softirq_share) == (None, None)


def test_a_row_without_an_interval_says_how_many_rounds_it_takes() -> None:
    few = [a_sample(name, r, 1e6 + r) for r in range(19) for name in ("base", "other")]
    _, other = summary.summarise(run(few, {"base": "base", "other": "base"}), 0.01)
    assert [*map(str, other.notes)] == [
        "imprecise: no interval would hold from fewer than 97 rounds"
    ]
    alone, _ = summary.summarise(run(few, {}), 0.01)
    assert [*map(str, alone.notes)] == [
        "imprecise: no interval would hold from fewer than 300 rounds"
    ]


def test_ratios_are_within_rounds_so_that_drift_cancels() -> None:
    drifting = [1e6 * (1 + 0.3 * r / 100) for r in range(100)]
    samples = [a_sample("base", r, pps) for r, pps in enumerate(drifting)]
    samples += [a_sample("fast", r, 2 * pps) for r, pps in enumerate(drifting)]
    base, fast = summary.summarise(run(samples, {"base": "base", "fast": "base"}), 0.01)
    assert base.is_baseline
    assert base.figures.ratio is None
    assert fast.figures.ratio is not None
    assert fast.figures.ratio.value == pytest.approx(2, abs=1e-3)
    assert fast.figures.ratio.half_width is not None
    assert fast.figures.ratio.half_width < 1e-3


def race(
    pps: dict[str, float], noise: float = 0.01, rounds: int = 100, **values: object
) -> dict[str, bool]:
    """Whether each cell is marked as the fastest; all slices of a round share a machine's speed."""
    generator = random.Random(12)
    samples = []
    for r in range(rounds):
        speed = generator.uniform(0.5, 1.5)
        samples += [
            a_sample(name, r, of * speed * generator.gauss(1, noise)) for name, of in pps.items()
        ]
    raced = run(samples, {})
    cells = (replace(c, values={**c.values, **_of(values, c.id)}) for c in raced.cells)
    rows = summary.summarise(replace(raced, cells=tuple(cells)), 0.01)
    return {row.cell.id: row.is_fastest for row in rows}


def _of(values: dict[str, object], name: str) -> dict[str, object]:
    return {axis: of[name] for axis, of in values.items() if isinstance(of, dict)}


def test_the_fastest_cell_is_faster_in_the_same_rounds_than_every_rival() -> None:
    assert race({"a": 1e6, "b": 1.03e6, "c": 0.9e6}) == {"a": False, "b": True, "c": False}


def test_no_cell_is_fastest_where_one_rival_may_be_as_fast_or_rounds_are_few() -> None:
    assert not any(race({"a": 1e6, "b": 1.001e6, "c": 0.9e6}, noise=0.05).values())
    assert not any(race({"a": 1e6, "b": 2e6}, rounds=19).values())


def test_no_cell_is_fastest_on_its_own_or_beside_one_that_sends_nothing() -> None:
    assert race({"a": 1e6}) == {"a": False}
    assert race({"null": 90e6, "a": 1e6}) == {"null": False, "a": False}


def test_only_cells_with_the_same_to_do_compete() -> None:
    assert not any(race({"a": 1e6, "b": 2e6}, flows={"a": 1, "b": 8}).values())
    assert not any(race({"a": 1e6, "b": 2e6}, threads={"a": 1, "b": 2}).values())
    assert race({"a": 1e6, "b": 2e6}, burst={"a": 1, "b": 64}) == {"a": False, "b": True}


def test_a_method_that_knows_no_flows_competes_with_those_that_send_one() -> None:
    assert race({"a": 1e6, "b": 2e6}, flows={"a": None, "b": 1}) == {"a": False, "b": True}


def test_replicas_of_a_cell_do_not_compete() -> None:
    assert not any(race({"a": 1e6, "b": 2e6}, replica={"a": 1, "b": 2}).values())


def test_cells_of_other_frame_sizes_are_no_rivals() -> None:
    pps = {"a": 2e6, "b": 2.2e6, "c": 1.2e6, "d": 1e6}
    sizes = {"a": 64, "b": 64, "c": 1514, "d": 1514}
    marked = race(pps, frame_size=sizes)
    assert [name for name in marked if marked[name]] == ["b", "c"]


def test_only_rounds_that_both_have_make_a_ratio() -> None:
    cells = [a_sample("a", r, 2e6) for r in (0, 1, 3)]
    base = [a_sample("b", r, 1e6) for r in (1, 2, 3)]
    assert figures.within_round_ratios(cells, base, "pps") == {0: [2.0, 2.0]}


def test_figures_of_a_row() -> None:
    thread = ThreadSample(
        cpu=1,
        wall_ns=10_000_000,
        cpu_ns=6_000_000,
        user_ns=600_000,
        blocked_ns=2_500_000,
        completed=6400,
        calls=100,
        enobufs=3,
        wmem_high=1000,
    )
    samples = [a_sample("a", r, 0, threads=(thread, thread), qdisc_drops=3) for r in range(100)]
    (row,) = summary.summarise(run(samples, {}), 0.01)
    assert row.figures.pps is not None
    assert row.figures.gbps is not None
    assert row.figures.ns_per_frame is not None
    assert row.figures.pps.value == pytest.approx(1.28e6)
    assert row.figures.gbps.value == pytest.approx(1.28e6 * 1250 * 8 / 1e9)
    assert row.figures.ns_per_frame.value == pytest.approx(937.5)
    assert row.averages.frames_per_call == 64
    assert row.averages.cpu_share == pytest.approx(0.8)
    assert row.averages.user_share == pytest.approx(0.1)
    counts = [row.counts[name] for name in ("enobufs", "drops", "wmem_high_bytes")]
    assert counts == [600, 300, 1000]
    assert [note.code for note in row.notes] == ["imprecise", "starved"]


def test_an_invalid_sample_is_counted_and_left_out() -> None:
    samples = [a_sample("a", r, 1e6) for r in range(10)]
    samples += [a_sample("a", r, 9e9, problems=(Problem(Code.FOREIGN, 5),)) for r in range(10, 13)]
    (row,) = summary.summarise(run(samples, {}), 0.5)
    assert (row.tally.rounds, row.tally.invalid, row.tally.invalid_reason) == (
        10,
        3,
        "5 foreign frames",
    )
    assert row.figures.pps is not None
    assert row.figures.pps.value == pytest.approx(1e6)


def test_a_row_names_the_commonest_kind_of_problem_at_its_worst() -> None:
    """Numbers differ from sample to sample: the commonest text was that of an accident."""

    def missing(count: int) -> Problem:
        return Problem(Code.UNEXPLAINED, count, delivered=100 - count, completed=100)

    accident = Problem(Code.NOT_PINNED)
    kinds = [(accident,), (accident,), (missing(4),), (missing(5), accident), (missing(6),)]
    kinds += [(missing(3),), (missing(2),)]
    samples = [a_sample("a", n, problems=problems) for n, problems in enumerate(kinds)]
    (row,) = summary.summarise(run(samples, {}), 0.01)
    assert row.tally.invalid == 7
    assert row.tally.invalid_reason == (
        "delivered 94 of 100 completed, 6 unexplained (the worst of 5 samples)"
    )


def test_a_window_without_a_frame_is_invalid_and_says_so() -> None:
    (row,) = summary.summarise(run([a_sample("a", 0, 0)], {}), 0.01)
    assert row.figures.pps is None
    assert row.tally.invalid_reason == "no frame completed in the window"


def test_notes_say_imprecise_lossy_and_unlocked() -> None:
    samples = [a_sample("a", r, 1e6 * (1 + r % 2), lost=1) for r in range(100)]
    (row,) = summary.summarise(run(samples, {}, facts={"a": {"mmap_unlocked": True}}), 0.01)
    assert [note.code for note in row.notes] == ["imprecise", "lossy", "unlocked"]


MIB = 1 << 20
LEAST, MOST = 2304, (1 << 30) - 1
"""Of what the kernel gives whatever is asked for."""


@pytest.mark.parametrize(
    ("sndbuf", "had", "said"),
    [
        ({"bytes": 8 * MIB, "force": False}, 4 * MIB, "4MiB, not 8MiB: more than net.core.wmem"),
        ({"bytes": 8 * MIB, "force": True}, 8 * MIB, ""),
        ({"bytes": 1 * MIB, "force": False}, 1 * MIB, ""),
        ({"bytes": 4 * MIB + 1, "force": False}, 4 * MIB, "4MiB, not 4194305: more than"),
        ({"bytes": 1000, "force": False}, LEAST, "2304, not 1000: the kernel gives no less"),
        ({"bytes": 1 << 30, "force": True}, MOST, "not 1GiB: the kernel gives no more"),
        ("default", 106_496, ""),
        (None, 106_496, ""),
        ({"bytes": 8 * MIB, "force": False}, 0, ""),  # not known: a run of an old version
    ],
)
def test_a_row_says_so_if_its_send_buffer_is_not_what_its_label_says(
    sndbuf: Value | None, had: int, said: str
) -> None:
    of = a_cell("a", sndbuf=sndbuf)
    facts = {"a": {"sndbuf": 2 * had}} if had else {}
    (row,) = summary.summarise(a_run([a_sample("a")], [of], {}, facts=facts), 0.01)
    texts = [note.text for note in row.notes if note.code == "clamped"]
    assert bool(texts) == bool(said)
    assert all(said in text for text in texts)


@pytest.mark.parametrize("run_delay_ns", [1_000_000, 0])  # another thread ran; the hypervisor did
def test_few_disturbed_samples_are_left_out_and_many_are_not(run_delay_ns: int) -> None:
    def slices(disturbed: int) -> list[Sample]:
        times = {"wall_ns": 10_000_000, "cpu_ns": 9_000_000, "run_delay_ns": run_delay_ns}
        late = ThreadSample(cpu=1, completed=5000, **times)
        return [
            a_sample("a", r, 1e6, **({"threads": (late,)} if r < disturbed else {}))
            for r in range(100)
        ]

    (few,) = summary.summarise(run(slices(10), {}), 0.01)
    assert (few.tally.rounds, few.tally.disturbed) == (90, 10)
    assert ("disturbed", 10) in [(note.code, note.count) for note in few.notes]
    (many,) = summary.summarise(run(slices(11), {}), 0.01)
    assert (many.tally.rounds, many.tally.disturbed) == (100, 0)


def test_a_sender_that_slept_is_not_disturbed() -> None:
    slept = ThreadSample(
        cpu=1, wall_ns=10_000_000, cpu_ns=4_000_000, completed=5000, blocked_ns=6_000_000
    )
    samples = [
        a_sample("a", r, 1e6, **({"threads": (slept,)} if r < 10 else {})) for r in range(99)
    ]
    (row,) = summary.summarise(run(samples, {}), 0.01)
    assert row.tally.disturbed == 0


def test_a_note_says_that_others_sent_by_the_same_device() -> None:
    samples = [a_sample("a", r, 1e6, foreign=int(r == 7)) for r in range(30)]
    (row,) = summary.summarise(run(samples, {}), 0.5)
    assert "shared" in [note.code for note in row.notes]


def test_a_machine_that_became_half_as_fast_drifted_by_half() -> None:
    speeds = [3e6] * 5 + [1.5e6] * 15
    slices = tuple(a_sample("syscall", round_, pps) for round_, pps in enumerate(speeds))
    measured = run([], {}, calibration=(cell("syscall"),), calibration_samples=slices)
    speed = calibration.calibration_speed(measured, measured.calibration[0])
    assert speed is not None
    assert speed.drift == pytest.approx(-0.5, abs=0.001)


@pytest.mark.parametrize(("rounds", "is_known"), [(7, False), (8, True)])
def test_it_takes_eight_rounds_to_know_a_machines_speed(rounds: int, is_known: bool) -> None:
    slices = tuple(a_sample("syscall", round_, 1e6) for round_ in range(rounds))
    measured = run([], {}, calibration=(cell("syscall"),), calibration_samples=slices)
    found = calibration.calibration_speed(measured, measured.calibration[0])
    assert (found is not None) is is_known


def test_the_slaves_of_a_bond_have_their_parts_of_what_they_carried() -> None:
    samples = [a_sample("a", round_, per_sink=(1 + round_, 29 - round_)) for round_ in range(30)]
    (row,) = summary.summarise(run(samples, {}), 0.5)
    assert row.slaves == pytest.approx((465 / 900, 435 / 900))
    (row,) = summary.summarise(run([a_sample("a", r) for r in range(30)], {}), 0.5)
    assert row.slaves == ()


def test_bits_per_second_are_those_of_the_frames_and_so_is_their_interval() -> None:
    samples = [a_sample("a", r, 1e6 + 1e4 * (r % 7), opening=r // 10) for r in range(50)]
    (row,) = summary.summarise(run(samples, {}), 0.01)
    frames, bits = row.figures.pps, row.figures.gbps
    assert frames is not None
    assert bits is not None
    assert frames.low is not None
    assert frames.high is not None
    scaled = tuple(of * 1250 * 8 / 1e9 for of in (frames.value, frames.low, frames.high))
    assert (bits.value, bits.low, bits.high) == pytest.approx(scaled)


def test_half_of_the_machines_speeds_are_within_its_spread() -> None:
    slices = tuple(a_sample("syscall", r, 1e6 * (1 + r / 100)) for r in range(41))
    measured = run([], {}, calibration=(cell("syscall"),), calibration_samples=slices)
    speed = calibration.calibration_speed(measured, measured.calibration[0])
    assert speed is not None
    assert speed.rate == pytest.approx(1.2e6)
    assert speed.spread == pytest.approx(0.1 / 1.2, rel=0.06)


def test_between_its_measurements_the_machines_speed_is_on_a_line() -> None:
    """It becomes twice as fast; every tenth round measures that."""
    speed = [1 + at / 100 for at in range(101)]
    measured = run(
        [a_sample("a", r, 1e6 * speed[r]) for r in range(101)],
        {},
        calibration=(cell("syscall"),),
        calibration_samples=tuple(
            a_sample("syscall", r, 1e6 * speed[r]) for r in range(0, 101, 10)
        ),
    )
    (row,) = summary.summarise(calibration.normalised(measured), 0.01)
    inner = [figures.pps(s) for s in calibration.normalised(measured).samples[20:80]]
    assert max(inner) / min(inner) < 1.02
    assert row.figures.pps is not None


@pytest.mark.parametrize(
    ("round_", "speed"), [(0, 1.0), (2, 1.2), (10, 2.0), (15, 1.5), (18, 1.2), (20, 1.0), (25, 1.0)]
)
def test_a_machines_speed_is_on_the_line_between_the_measurements_beside_it(
    round_: int, speed: float
) -> None:
    """It was twice as fast in round 10; before and after all measurements it is as in those."""
    found = calibration._speed_in(round_, [0, 10, 20], {0: 1.0, 10: 2.0, 20: 1.0})
    assert found == pytest.approx(speed)
    assert calibration._speed_in(round_, [round_ + 3], {round_ + 3: 7.0}) == 7.0
    assert calibration._speed_in(round_, [], {}) == 1.0


def test_normalising_changes_no_share_and_no_sample_is_disturbed_by_it() -> None:
    """In half of the rounds the machine was twice as slow, and so all took twice as long."""

    def slices(name: str, round_: int) -> Sample:
        slow = 1 + round_ % 20 // 10
        thread = ThreadSample(
            cpu=1,
            wall_ns=10_000_000 * slow,
            cpu_ns=4_800_000 * slow,
            user_ns=1_200_000 * slow,
            system_ns=3_600_000 * slow,
            blocked_ns=5_000_000 * slow,
            run_delay_ns=450_000 * slow,
            completed=5000,
            calls=5000,
        )
        return a_sample(name, round_, 0, wall_ns=thread.wall_ns, threads=(thread,))

    measured = run(
        [slices("a", r) for r in range(100)],
        {},
        calibration=(cell("syscall"),),
        calibration_samples=tuple(slices("syscall", r) for r in range(100)),
    )
    normalised = calibration.normalised(measured)
    speeds = calibration.speed_by_round(measured)
    assert (max(speeds.values()), min(speeds.values())) == pytest.approx((4 / 3, 2 / 3))
    (before,), (after,) = (summary.summarise(each, 0.01) for each in (measured, normalised))
    for row in (before, after):
        assert (row.averages.cpu_share, row.averages.user_share) == pytest.approx((0.96, 0.25))
    assert [row.tally.disturbed for row in (before, after)] == [0, 0]
    assert "starved" not in [note.code for note in (*before.notes, *after.notes)]
    (thread,) = normalised.samples[0].threads
    assert thread.user_ns + thread.system_ns == pytest.approx(thread.cpu_ns, abs=2)
