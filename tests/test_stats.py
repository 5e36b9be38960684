"""Medians, intervals, ratios within rounds, and which cells need more of them."""

from __future__ import annotations

import random
import statistics
from dataclasses import replace

import pytest

from bench import stats
from bench.model import AXES, Cell, Run, Sample, ThreadSample
from bench.stats import Inflation


def sample(cell: str, round_: int, pps: float, **fields: object) -> Sample:
    """A slice of 10 ms at so many frames per second, at 1000 ns of CPU per frame."""
    completed = int(pps / 100)
    thread = ThreadSample(
        cpu=1, wall_ns=10_000_000, cpu_ns=completed * 1000, completed=completed, calls=completed
    )
    base = {"wall_ns": 10_000_000, "threads": (thread,), "at_ns": round_}
    return Sample(
        cell=cell,
        round=round_,
        slice_completed=completed,
        delivered=completed,
        **(base | fields),  # type: ignore[arg-type]
    )


def cell(name: str) -> Cell:
    return Cell(name, dict.fromkeys(AXES) | {"method": name, "frame_size": 1250, "threads": 1})


def run(samples: list[Sample], baselines: dict[str, str], **fields: object) -> Run:
    names = list(dict.fromkeys(s.cell for s in samples)) or ["a"]
    base = {"facts": {}, "failures": {}, "end": "done", "header": {}, "path": "x"}
    return Run(
        cells=tuple(cell(name) for name in names),
        baselines=baselines,
        samples=tuple(samples),
        **(base | fields),  # type: ignore[arg-type]
    )


def test_samples_in_which_a_thread_moved_are_counted_and_kept() -> None:
    still = sample("a", 0, 1e6)
    moved = replace(still, round=1, threads=(replace(still.threads[0], moved=1), *still.threads))
    (row,) = stats.summarise(run([still, moved], {}), precision=0.01)
    assert (row.rounds, row.moved) == (2, 1)
    assert "1 moved: samples in which a thread ended on another CPU than it began on" in row.notes


def test_what_else_the_cpus_did_is_told_of_each_cell() -> None:
    quiet = sample("a", 0, 1e6, cpus_ns=20_000_000, interrupts=7)
    switched = replace(quiet.threads[0], involuntary=2)
    samples = [
        quiet,
        replace(quiet, round=1, steal_ns=10_000_000, interrupts=5),
        replace(quiet, round=2, softirq_ns=30_000_000, threads=(switched,)),
        replace(quiet, round=3, foreign=9, problem="9 foreign frames"),
    ]
    (row,) = stats.summarise(run(samples, {}), precision=0.01)
    assert (row.steal_share, row.softirq_share) == (1 / 6, 1 / 2)
    assert (row.interrupts, row.involuntary, row.foreign) == (19, 2, 9)


@pytest.mark.parametrize(
    ("ticks", "rounds", "noted"), [(3, 10, False), (4, 30, True), (4, 40, False), (5, 40, True)]
)
def test_steal_is_noted_above_a_hundredth_unless_it_may_be_chance(
    ticks: int, rounds: int, noted: bool
) -> None:
    stolen = [10_000_000 if n < ticks else 0 for n in range(rounds)]
    samples = [sample("a", n, 1e6, cpus_ns=100_000_000, steal_ns=ns) for n, ns in enumerate(stolen)]
    (row,) = stats.summarise(run(samples, {}), precision=0.01)
    assert ("stolen: " in " ".join(row.notes)) is noted


def test_a_run_that_did_not_read_what_the_cpus_did_says_nothing_of_it() -> None:
    (row,) = stats.summarise(run([sample("a", 0, 1e6)], {}), precision=0.01)
    assert (row.steal_share, row.softirq_share) == (None, None)


INDEPENDENT = Inflation(1.0, freedom=1e6)


def test_the_estimate_is_the_median_and_few_values_have_no_interval() -> None:
    assert stats.estimate([], INDEPENDENT) is None
    few = stats.estimate([3.0, 1.0, 2.0, 9.0, 4.0], INDEPENDENT)
    assert few is not None
    assert (few.value, few.low, few.high, few.n) == (3.0, None, None, 5)
    values = random.Random(1).sample([float(i) for i in range(20)], 20)
    twenty = stats.estimate(values, INDEPENDENT)
    assert twenty is not None
    assert (twenty.value, twenty.low, twenty.high) == (9.5, 5.0, 14.0), "96 of 100 times"


@pytest.mark.parametrize(
    ("n", "inflation", "given"),
    [
        (19, INDEPENDENT, False),
        (20, INDEPENDENT, True),
        (20, None, False),
        (39, Inflation(2.0, 48), True),
        (39, Inflation(3.0, 48), False),
        (40, Inflation(3.0, 48), True),
        (40, Inflation(12.0, 48), False),
    ],
)
def test_an_interval_is_given_only_where_it_would_hold(
    n: int, inflation: Inflation | None, given: bool
) -> None:
    estimate = stats.estimate([float(i) for i in range(n)], inflation)
    assert estimate is not None
    assert (estimate.low is not None) == given


def test_the_less_is_known_of_the_inflation_the_wider_the_interval() -> None:
    values = [float(i) for i in range(400)]
    known, guessed = (stats.estimate(values, Inflation(1.0, freedom)) for freedom in (1000, 10))
    assert known is not None
    assert guessed is not None
    assert known.half_width is not None
    assert guessed.half_width is not None
    student = 2.228 / 1.960
    assert guessed.half_width / known.half_width == pytest.approx(student, abs=0.06)


def _inflations(series: list[list[float]]) -> list[float]:
    found = stats.inflations(series)
    assert None not in found
    return [inflation.value for inflation in found if inflation]


def test_the_inflation_of_a_run_is_that_of_all_its_cells() -> None:
    generator = random.Random(4)
    calm = _inflations([_autoregressive(generator, 40, 0.0) for _ in range(96)])
    alike = _inflations([_autoregressive(generator, 40, 0.5) for _ in range(96)])
    assert statistics.median(calm) < 1.3
    assert 1.8 < statistics.median(alike) < 3.0, "2.3 in an endless series"


def test_short_or_few_series_do_not_tell_their_inflation() -> None:
    generator = random.Random(5)
    draw = [_autoregressive(generator, 100, 0.0) for _ in range(4)]
    assert stats.inflations([draw[0][:60]]) == [None]
    assert stats.inflations([draw[0]]) != [None]
    short = stats.inflations([*(values[:60] for values in draw), [1.0, 2.0]])
    assert [inflation is None for inflation in short] == [False] * 4 + [True]
    assert stats.inflations([]) == []


def test_cells_that_go_up_and_down_together_count_as_one() -> None:
    one = _autoregressive(random.Random(6), 60, 0.5)
    assert stats.inflations([one] * 24) == [None] * 24


def test_a_drift_of_all_cells_widens_no_interval_and_that_of_one_alone_does() -> None:
    generator = random.Random(7)

    def drifting() -> list[float]:
        return [generator.gauss(0, 1) + i / 25 for i in range(100)]

    together = _inflations([drifting() for _ in range(24)])
    assert statistics.median(together) < 1.2
    steady = [_autoregressive(generator, 100, 0.0) for _ in range(23)]
    *others, alone = _inflations([*steady, drifting()])
    assert alone > 1.3 * statistics.median(others)


def test_equal_values_have_an_interval_without_width() -> None:
    for estimate in stats.estimates([[7.0] * 100]):
        assert estimate is not None
        assert (estimate.low, estimate.high) == (7.0, 7.0)


@pytest.mark.parametrize(
    ("n", "cells", "given"), [(299, 24, False), (300, 24, True), (300, 1, True)]
)
def test_levels_have_an_interval_from_many_rounds_only(n: int, cells: int, given: bool) -> None:
    generator = random.Random(8)
    series = [_autoregressive(generator, n, 0.3) for _ in range(cells)]
    for estimate in stats.estimates(series, levels=True):
        assert estimate is not None
        assert (estimate.low is not None) is given


def test_levels_that_drift_have_no_interval() -> None:
    generator = random.Random(9)
    cells = [[generator.gauss(i / 200, 1) for i in range(300)] for _ in range(24)]
    for level, ratio in zip(
        stats.estimates(cells, levels=True), stats.estimates(cells), strict=True
    ):
        assert level is not None
        assert ratio is not None
        assert level.low is None
        assert ratio.low is not None


def test_intervals_of_levels_hold_where_all_cells_wander_with_the_machine() -> None:
    generator = random.Random(10)
    hits = given = 0
    for _ in range(80):
        speeds = [generator.gauss(0, 1) for _ in range(15)]
        cells = [[generator.gauss(speeds[i // 20], 1) for i in range(300)] for _ in range(4)]
        for estimate in stats.estimates(cells, levels=True):
            assert estimate is not None
            if estimate.low is not None and estimate.high is not None:
                given += 1
                hits += estimate.low <= 0 <= estimate.high
    assert given > 280
    assert hits / given >= 0.92


def test_a_row_without_an_interval_says_how_many_rounds_it_takes() -> None:
    few = [sample(name, r, 1e6 + r) for r in range(19) for name in ("base", "other")]
    _, other = stats.summarise(run(few, {"base": "base", "other": "base"}), 0.01)
    assert other.notes == ("imprecise: no interval would hold from fewer than 20 rounds",)
    alone, _ = stats.summarise(run(few, {}), 0.01)
    assert alone.notes == ("imprecise: no interval would hold from fewer than 300 rounds",)


def _autoregressive(generator: random.Random, n: int, rho: float) -> list[float]:
    value, values = generator.gauss(0, 1), []
    for _ in range(n):
        value = rho * value + generator.gauss(0, (1 - rho * rho) ** 0.5)
        values.append(value)
    return values


@pytest.mark.parametrize(("n", "rho"), [(20, 0.0), (40, 0.0), (40, 0.5), (40, 0.8), (100, 0.8)])
def test_intervals_hold_the_median_also_where_neighbours_are_alike(n: int, rho: float) -> None:
    generator = random.Random(f"{n} {rho}")
    hits = given = 0
    for _ in range(40):
        cells = [_autoregressive(generator, n, rho) for _ in range(24)]
        for estimate in stats.estimates(cells):
            assert estimate is not None
            if estimate.low is not None and estimate.high is not None:
                given += 1
                hits += estimate.low <= 0 <= estimate.high
    assert given > 600
    assert hits / given >= 0.92


def test_an_interval_is_not_wider_than_it_must_be_on_independent_samples() -> None:
    generator = random.Random(7)
    widths = []
    for _ in range(200):
        (estimate,) = stats.estimates([[generator.gauss(100, 1) for _ in range(400)]])
        assert estimate is not None
        assert estimate.half_width is not None
        widths.append(estimate.half_width * 100)
    exact = 1.96 * 1.2533 / 400**0.5
    assert statistics.mean(widths) < 1.2 * exact


def test_ratios_are_within_rounds_so_that_drift_cancels() -> None:
    drifting = [1e6 * (1 + 0.3 * r / 100) for r in range(100)]
    samples = [sample("base", r, pps) for r, pps in enumerate(drifting)]
    samples += [sample("fast", r, 2 * pps) for r, pps in enumerate(drifting)]
    base, fast = stats.summarise(run(samples, {"base": "base", "fast": "base"}), 0.01)
    assert base.is_baseline
    assert base.ratio is None
    assert fast.ratio is not None
    assert fast.ratio.value == pytest.approx(2, abs=1e-3)
    assert fast.ratio.half_width is not None
    assert fast.ratio.half_width < 1e-3


def test_only_rounds_that_both_have_make_a_ratio() -> None:
    cells = [sample("a", r, 2e6) for r in (0, 1, 3)]
    base = [sample("b", r, 1e6) for r in (1, 2, 3)]
    assert len(stats.within_round_ratios(cells, base, "pps")) == 2


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
    samples = [sample("a", r, 0, threads=(thread, thread), qdisc_drops=3) for r in range(100)]
    (row,) = stats.summarise(run(samples, {}), 0.01)
    assert row.pps is not None
    assert row.gbps is not None
    assert row.ns_per_frame is not None
    assert row.pps.value == pytest.approx(1.28e6)
    assert row.gbps.value == pytest.approx(1.28e6 * 1250 * 8 / 1e9)
    assert row.ns_per_frame.value == pytest.approx(937.5)
    assert row.frames_per_call == 64
    assert row.share == pytest.approx(0.8)
    assert row.user_share == pytest.approx(0.1)
    assert (row.enobufs, row.drops, row.wmem_high) == (600, 300, 1000)
    assert [note.split(":")[0] for note in row.notes] == ["imprecise", "starved"]


def test_an_invalid_sample_is_counted_and_left_out() -> None:
    samples = [sample("a", r, 1e6) for r in range(10)]
    samples += [sample("a", r, 9e9, problem="5 foreign frames") for r in range(10, 13)]
    (row,) = stats.summarise(run(samples, {}), 0.5)
    assert (row.rounds, row.invalid, row.invalid_reason) == (10, 3, "5 foreign frames")
    assert row.pps is not None
    assert row.pps.value == pytest.approx(1e6)


def test_a_window_without_a_frame_is_invalid_and_says_so() -> None:
    (row,) = stats.summarise(run([sample("a", 0, 0)], {}), 0.01)
    assert row.pps is None
    assert row.invalid_reason == "no frame completed in the window"


def test_notes_say_imprecise_lossy_and_unlocked() -> None:
    samples = [sample("a", r, 1e6 * (1 + r % 2), lost=1) for r in range(100)]
    (row,) = stats.summarise(run(samples, {}, facts={"a": {"mmap_unlocked": True}}), 0.01)
    assert [note.split(":")[0] for note in row.notes] == ["imprecise", "lossy", "unlocked"]


def test_more_rounds_go_to_cells_that_are_not_yet_precise() -> None:
    generator = random.Random(3)
    samples = []
    for r in range(60):
        samples.append(sample("base", r, 1e6))
        samples.append(sample("steady", r, 2e6))
        samples.append(sample("noisy", r, 2e6 * generator.uniform(0.5, 1.5)))
    baselines = {"base": "base", "steady": "base", "noisy": "base"}
    assert stats.unprecise(run(samples, baselines), 0.01) == {"noisy"}
    failed = run(samples, baselines, failures={"noisy": "gone"})
    assert stats.unprecise(failed, 0.01) == set()


def test_few_disturbed_samples_are_left_out_and_many_are_not() -> None:
    def slices(disturbed: int) -> list[Sample]:
        late = ThreadSample(
            cpu=1, wall_ns=10_000_000, cpu_ns=9_000_000, completed=5000, run_delay_ns=600_000
        )
        return [
            sample("a", r, 1e6, **({"threads": (late,)} if r < disturbed else {}))
            for r in range(100)
        ]

    (few,) = stats.summarise(run(slices(10), {}), 0.01)
    assert (few.rounds, few.disturbed) == (90, 10)
    assert any(note.startswith("10 disturbed: ") for note in few.notes)
    (many,) = stats.summarise(run(slices(11), {}), 0.01)
    assert (many.rounds, many.disturbed) == (100, 0)


def test_a_note_says_that_others_sent_by_the_same_device() -> None:
    samples = [sample("a", r, 1e6, foreign=int(r == 7)) for r in range(30)]
    (row,) = stats.summarise(run(samples, {}), 0.5)
    assert "shared" in [note.split(":")[0] for note in row.notes]
