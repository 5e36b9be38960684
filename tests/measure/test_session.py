"""Rounds, order, stopping and failures, over an opening that measures nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.cell_summaries import summary_of
from bench.analysis.figures import usable_by_cell
from bench.base.errors import BenchError, UsageError
from bench.matrix import load
from bench.measure import runner, stop
from bench.measure.messages import Failure
from bench.measure.prepare import vocabulary
from bench.measure.session import PRECISION_CHECK_ROUNDS
from bench.model.cells import Cell
from bench.model.matrix import Matrix, Measure, Rounds
from bench.model.problems import Code, Problem
from bench.model.run import Run
from bench.model.samples import Sample
from bench.model.summaries import RunSummary
from bench.plan import calibration, plan, schedule
from bench.store import reader
from bench.store.run_summaries import read_summary
from tests.measure.fake_opening import FakeOpening, at_rate, steady
from tests.running import Quiet, seen

CALIBRATION = [cell.id for cell in calibration.CALIBRATION]


def some_matrix(rounds: Any = 4, openings: int = 1) -> Matrix:
    """Over lo: send, which is the baseline, sendto and sendmmsg."""
    content = {
        "name": "m",
        "axes": {"interface": ["lo"], "method": ["send", "sendto", "sendmmsg"]},
        "measure": {
            "window": "1ms",
            "rounds": rounds,
            "openings": openings,
            "precision": "1%",
        },
        "baseline": {"method": "send"},
    }
    return load.parse(json.dumps(content), "m.yaml", vocabulary())


def run(path: Path, fake: FakeOpening, rounds: Any = 4, *, openings: int = 1, **target: Any) -> Run:
    of = some_matrix(rounds, openings)
    planned = plan.make_plan(of, vocabulary())
    where = runner.Target(path, **target)
    return runner.run(of, planned, where, Quiet(), seen(), make_opening=fake)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.jsonl"


def failing(method: str, from_round: int, reason: str) -> Callable[[Cell, int], Sample | Failure]:
    def sample(cell: Cell, round_: int) -> Sample | Failure:
        fails = cell.method == method and round_ >= from_round
        return Failure(reason) if fails else steady(cell, round_)

    return sample


def rounds_of(run: Run, method: str) -> list[int]:
    (cell,) = [cell.id for cell in run.cells if cell.method == method]
    return [sample.round for sample in run.samples if sample.cell == cell]


def failures_of(run: Run) -> dict[str, str]:
    return {cell.method: run.failures[cell.id] for cell in run.cells if cell.id in run.failures}


# What ends a run


def test_what_ends_a_run_is_no_failure_of_its_cells(path: Path) -> None:
    """It goes on with all of them, in a further opening."""

    def until_it_is_taken(cell: Cell, round_: int) -> Sample | Failure:
        return steady(cell, round_) if round_ < 2 else Failure("CPU 1: taken", ends_run=True)

    with pytest.raises(BenchError, match=r"^CPU 1: taken$"):
        run(path, FakeOpening(until_it_is_taken))
    stored = reader.read(path)
    assert (stored.end, stored.failures) == ("failed: CPU 1: taken", {})
    done = run(path, FakeOpening(), resume=True)
    assert (done.end, done.failures) == ("done", {})
    assert rounds_of(done, "sendto") == [0, 1, 2, 3]
    assert [sample.opening for sample in done.samples[-3:]] == [1, 1, 1]


# Order


def test_every_cell_and_the_calibration_have_a_slice_in_each_round(path: Path) -> None:
    fake = FakeOpening()
    done = run(path, fake)
    ids = [cell.id for cell in (*done.cells, *done.calibration)]
    assert fake.opened == schedule.opening_order(ids, 1, 0)
    assert done.end == "done"
    for round_ in range(4):
        assert [cell for n, cell, _ in fake.slices if n == round_] == schedule.round_order(
            ids, 1, round_
        )
    assert len(fake.slices) == len(done.samples) + len(done.calibration_samples) == 4 * len(ids)
    assert [done.facts[cell]["sndbuf"] for cell in fake.opened] == [1, 2, 3, 4, 5]


def test_with_each_slice_goes_what_comes_after_it_until_the_end_of_the_next_round(
    path: Path,
) -> None:
    fake = FakeOpening()
    run(path, fake)
    order = [cell for _, cell, _ in fake.slices]
    for position, (_, _, upcoming) in enumerate(fake.slices[:10]):
        assert list(upcoming) == order[position + 1 : 5 * (position // 5 + 2)]


def test_a_slice_that_is_announced_comes_next(path: Path) -> None:
    """All are, but where a round may be the last one of an opening: looks at precision come after 2
    and 12 rounds of the first, and after 1 and 11 of the second."""

    def unsteady(cell: Cell, round_: int) -> Sample:
        return at_rate(cell, round_, 1e6 * (1 + (round_**2 + len(cell.method)) % 7))

    fake = FakeOpening(unsteady)
    run(path, fake, {"min": 3, "max": 40}, openings=2)
    turns = [turn for turn, _ in fake.announced]
    for (_, then), following in zip(fake.announced, [*turns[1:], None], strict=True):
        assert then in (None, following)
    lasts = [turn[1] for turn, then in fake.announced if then is None]
    assert lasts == [1, 11, 19, 20, 30, 39]


def test_what_failed_is_not_announced(path: Path) -> None:
    fake = FakeOpening(failing("sendto", 2, "no"))
    run(path, fake)
    failed = next(turn for turn, _ in fake.announced if turn[1] == 2 and fake.is_of(turn, "sendto"))
    later = fake.announced[[turn for turn, _ in fake.announced].index(failed) + 1 :]
    assert not any(then and fake.is_of(then, "sendto") for _, then in later)


def test_an_opening_is_made_of_descriptions(path: Path) -> None:
    fake = FakeOpening()
    done = run(path, fake)
    (topology,) = fake.setting.topologies
    assert topology.interface == {"kind": "lo"}
    assert dict(fake.setting.topology_of) == {cell.id: 0 for cell in done.cells}
    assert fake.setting.slice_plan.window_ns == 1_000_000


# The end


def unasked(_run: Run) -> RunSummary:
    raise AssertionError("the file has summaries")


def test_a_run_ends_with_the_summaries_of_its_cells(path: Path) -> None:
    done = run(path, FakeOpening())
    *_, summaries, end = map(json.loads, path.read_text().splitlines())
    assert (summaries["type"], end["type"]) == ("summaries", "end")
    found = read_summary(path, unasked)
    assert [*found.summaries] == [cell.id for cell in (*done.cells, *done.calibration)]
    assert found.summaries == summary_of(reader.read(path)).summaries
    assert {of.rounds for of in found.summaries.values()} == {4}


def test_a_resumed_run_has_the_summaries_of_all_its_samples(path: Path) -> None:
    interrupted = run(path, FakeOpening(raising_in_round(2, KeyboardInterrupt())))
    assert read_summary(path, unasked).end == interrupted.end == "interrupted"
    run(path, FakeOpening(), resume=True)
    found = read_summary(path, unasked)
    assert {of.rounds for of in found.summaries.values()} == {4}


# Failures


def test_cells_without_anything_to_run_on_are_written_and_the_rest_is_measured(path: Path) -> None:
    fake = FakeOpening(refused={"sendto": BenchError("no sendto here")})
    done = run(path, fake)
    assert failures_of(done) == {"sendto": "no sendto here"}
    assert {fake.cells[cell].method for cell in fake.opened} >= {"send", "sendmmsg"}
    assert rounds_of(done, "sendto") == []
    assert rounds_of(done, "sendmmsg") == [0, 1, 2, 3]


def test_where_no_cell_has_anything_to_run_on_each_is_a_failed_row_all_the_same(path: Path) -> None:
    """As beside cells that have: the same failure is told the same way."""
    refused: dict[str, BenchError] = {
        name: BenchError(f"no {name}") for name in ("send", "sendto", "sendmmsg")
    }
    for one_is_the_callers in (False, True):
        if one_is_the_callers:
            refused["send"] = UsageError("no send")
        fake = FakeOpening(refused=refused)
        done = run(path, fake)
        assert failures_of(done) == {name: f"no {name}" for name in refused}
        assert (done.end, done.samples, fake.slices, fake.closed) == ("done", (), [], 1)
        path.unlink()


def test_where_the_caller_can_mend_it_there_is_no_run_but_an_error(path: Path) -> None:
    refused = {name: UsageError(f"no {name}") for name in ("send", "sendto", "sendmmsg")}
    fake = FakeOpening(refused=refused)
    with pytest.raises(UsageError, match="no sendmmsg"):
        run(path, fake)
    assert not path.exists()
    assert (fake.slices, fake.closed) == ([], 1)


def test_a_resumed_run_keeps_its_cells_where_none_of_them_can_be_set_up(path: Path) -> None:
    fake = FakeOpening(failing("sendto", 2, "gone"))
    with pytest.raises(OSError, match="full"):
        run(path, FakeOpening(raising_in_round(2, OSError("full"))))
    before = reader.read(path)
    refused = {name: BenchError(f"no {name}") for name in ("send", "sendto", "sendmmsg")}
    with pytest.raises(BenchError, match="no sendmmsg"):
        run(path, FakeOpening(refused=refused), resume=True)
    assert reader.read(path).failures == before.failures == {}
    assert failures_of(run(path, fake, resume=True)) == {"sendto": "gone"}


def raising_in_round(last: int, error: BaseException) -> Callable[[Cell, int], Sample]:
    def sample(cell: Cell, round_: int) -> Sample:
        if round_ == last:
            raise error
        return steady(cell, round_)

    return sample


def test_a_cell_that_cannot_be_opened_is_left_out(path: Path) -> None:
    done = run(path, FakeOpening(unopenable={"sendto": "wrong frames: all of them"}))
    assert failures_of(done) == {"sendto": "wrong frames: all of them"}
    assert rounds_of(done, "sendto") == []
    assert rounds_of(done, "send") == [0, 1, 2, 3]


def test_a_cell_that_fails_keeps_its_samples_and_is_not_asked_for_again(path: Path) -> None:
    fake = FakeOpening(failing("sendto", 2, "the worker died of SIGSEGV in this cell"))
    done = run(path, fake)
    assert failures_of(done) == {"sendto": "the worker died of SIGSEGV in this cell"}
    assert rounds_of(done, "sendto") == [0, 1]
    asked = [n for n, cell, _ in fake.slices if fake.cells[cell].method == "sendto"]
    assert asked == [0, 1, 2]
    assert rounds_of(done, "sendmmsg") == [0, 1, 2, 3]


def test_where_every_cell_failed_the_calibration_does_not_go_on_alone(path: Path) -> None:
    done = run(
        path, FakeOpening(unopenable=dict.fromkeys(("send", "sendto", "sendmmsg"), "refused"))
    )
    assert (done.end, len(done.failures), done.samples) == ("done", 3, ())
    assert done.calibration_samples == ()


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (BenchError("the disk is full"), "failed: the disk is full"),
    ],
)
def test_whatever_ends_a_run_its_opening_is_closed(
    path: Path, error: BaseException, end: str
) -> None:
    fake = FakeOpening(raising_in_round(1, error))
    if isinstance(error, KeyboardInterrupt):
        run(path, fake)
    else:
        with pytest.raises(BenchError, match=str(error)):
            run(path, fake)
    assert reader.read(path).end == end
    assert (fake.is_open, fake.closed) == (False, 1)


def test_an_opening_that_cannot_be_opened_is_closed_and_leaves_no_run(path: Path) -> None:
    fake = FakeOpening(broken=BenchError("no namespaces"))
    with pytest.raises(BenchError, match="no namespaces"):
        run(path, fake)
    assert fake.closed == 1
    assert not path.exists()


# Stopping


def unsteady(method: str) -> Callable[[Cell, int], Sample]:
    generator = random.Random(5)

    def sample(cell: Cell, round_: int) -> Sample:
        rate = 5e7 * generator.uniform(0.999, 1.001)
        return at_rate(
            cell, round_, rate * (generator.uniform(0.5, 1.5) if cell.method == method else 1)
        )

    return sample


def test_only_imprecise_cells_their_baselines_and_the_calibration_go_on(path: Path) -> None:
    minimum, most = 40, 60
    fake = FakeOpening(unsteady("sendto"))
    done = run(path, fake, rounds={"min": minimum, "max": most})
    assert rounds_of(done, "sendto") == rounds_of(done, "send") == list(range(most))
    assert rounds_of(done, "sendmmsg") == list(range(minimum))
    calibrating = [n for n, cell, _ in fake.slices if cell in CALIBRATION]
    interval = calibration.interval(3, minimum, 1)
    assert calibrating == [n for n in range(0, most, interval) for _ in CALIBRATION]


@pytest.mark.parametrize("openings", [1, 3])
def test_the_calibration_has_its_share_of_the_slices_in_every_opening(
    path: Path, openings: int
) -> None:
    done = run(path, fake := FakeOpening(), rounds=400, openings=openings)
    calibrating = [cell in CALIBRATION for _, cell, _ in fake.slices]
    assert sum(calibrating) == pytest.approx(calibration.MOST * len(calibrating), rel=0.2)
    for opening in range(openings):
        rounds = {s.round for s in done.calibration_samples if s.opening == opening}
        assert min(s.round for s in done.samples if s.opening == opening) in rounds
        assert len(rounds) >= calibration.FEWEST_IN_OPENING
    assert all(len(rounds_of(done, method)) == 400 for method in ("send", "sendto"))


def test_a_run_ends_when_every_cell_is_precise(path: Path) -> None:
    done = run(path, FakeOpening(unsteady("none")), rounds={"min": 100, "max": 400})
    assert done.end == "done"
    assert max(sample.round for sample in done.samples) == 99


def test_precision_is_looked_at_every_so_many_rounds(path: Path) -> None:
    """A cell that becomes precise goes on to the next look."""
    generator = random.Random(5)

    def sample(cell: Cell, round_: int) -> Sample:
        spread = 0.05 if cell.method == "sendto" and round_ < 30 else 0.0005
        return at_rate(cell, round_, 5e7 * generator.uniform(1 - spread, 1 + spread))

    done = run(path, FakeOpening(sample), rounds={"min": 40, "max": 400})
    rounds = len(rounds_of(done, "sendto"))
    assert 40 < rounds < 400
    assert (rounds - 40) % PRECISION_CHECK_ROUNDS == 0


# Openings


def openings_of(run: Run) -> list[tuple[int, int]]:
    """Each round with its opening."""
    return sorted({(sample.round, sample.opening) for sample in run.samples})


def test_the_rounds_are_shared_among_openings_one_after_the_other(path: Path) -> None:
    fake = FakeOpening()
    done = run(path, fake, rounds=7, openings=3)
    assert openings_of(done) == [*zip(range(7), [0, 0, 0, 1, 1, 2, 2], strict=True)]
    assert {s.opening for s in done.calibration_samples} == {0, 1, 2}
    ids = [cell.id for cell in (*done.cells, *done.calibration)]
    assert fake.cells_of == [schedule.opening_order(ids, 1, opening) for opening in range(3)]
    assert (fake.is_open, fake.closed) == (False, 3)


def test_an_opening_ends_when_figures_are_as_precise_as_its_share_of_the_openings_can_be(
    path: Path,
) -> None:
    """Of two openings the first ends at sqrt(2) times the half-width that is asked for."""
    asked = []

    def wanted(samples: object, baselines: object, failures: object, measure: Measure) -> set[str]:
        asked.append(measure.precision)
        return set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stop, "wanted", wanted)
        done = run(path, FakeOpening(), rounds={"min": 6, "max": 60}, openings=2)
    assert openings_of(done) == [*zip(range(6), [0, 0, 0, 1, 1, 1], strict=True)]
    assert asked == pytest.approx([0.01 * 2**0.5, 0.01])


def test_no_opening_takes_more_than_its_share_of_the_most_rounds(path: Path) -> None:
    done = run(path, FakeOpening(unsteady("sendto")), rounds={"min": 4, "max": 61}, openings=4)
    of = openings_of(done)
    ends = [max(round_ for round_, opening in of if opening == k) + 1 for k in range(4)]
    assert ends == [16, 31, 46, 61]


def test_each_cell_has_its_share_of_the_least_rounds_in_each_opening(path: Path) -> None:
    fake = FakeOpening(unsteady("sendto"))
    done = run(path, fake, rounds={"min": 80, "max": 160}, openings=2)
    assert rounds_of(done, "sendto") == list(range(160))
    assert rounds_of(done, "sendmmsg") == [*range(40), *range(80, 120)]


def test_a_cell_that_failed_is_left_out_of_later_openings(path: Path) -> None:
    fake = FakeOpening(failing("sendto", 2, "gone"))
    done = run(path, fake, rounds=6, openings=3)
    assert failures_of(done) == {"sendto": "gone"}
    assert [len(cells) for cells in fake.cells_of] == [5, 5, 4]


def test_where_every_cell_failed_there_is_no_further_opening(path: Path) -> None:
    gone = dict.fromkeys(("send", "sendto", "sendmmsg"), "refused")
    fake = FakeOpening(unopenable=gone)
    assert run(path, fake, rounds=6, openings=3).end == "done"
    assert len(fake.cells_of) == 1


def test_facts_are_written_again_only_if_they_differ(path: Path) -> None:
    run(path, FakeOpening(facts=lambda cell, opening: 7), rounds=4, openings=2)
    assert path.read_text().count('{"type":"cell"') == 5
    again = path.with_name("again.jsonl")

    def of_send(cell: Cell, opening: int) -> int:
        return 7 + opening * (cell.method == "send")

    run(again, FakeOpening(facts=of_send), rounds=4, openings=2)
    assert again.read_text().count('{"type":"cell"') == 5 + 1


def test_the_order_in_which_cells_are_opened_differs_from_opening_to_opening() -> None:
    """And is the same for the same seed."""
    cells = [f"{n}" for n in range(6)]
    orders = [schedule.opening_order(cells, 1, opening) for opening in range(30)]
    assert orders == [schedule.opening_order(cells, 1, opening) for opening in range(30)]
    assert all(sorted(order) == cells for order in orders)
    assert {order[0] for order in orders} == {*cells}
    assert schedule.opening_order(cells, 2, 0) != orders[0]


def test_what_goes_wrong_in_a_later_opening_ends_the_run_and_what_was_measured_stays(
    path: Path,
) -> None:
    fake = FakeOpening(raising_in_round(3, BenchError("the disk is full")))
    with pytest.raises(BenchError, match="full"):
        run(path, fake, rounds=4, openings=2)
    assert (fake.is_open, fake.closed) == (False, 2)
    assert openings_of(reader.read(path))[-1] == (2, 1)


def test_the_progress_names_the_opening(path: Path) -> None:
    class Told(Quiet):
        stages: list[str] = []  # noqa: RUF012 - of this test alone

        def stage(self, text: str) -> None:
            self.stages.append(text)

    of = some_matrix(2, 2)
    planned = plan.make_plan(of, vocabulary())
    runner.run(of, planned, runner.Target(path), Told(), seen(), make_opening=FakeOpening())
    assert [*dict.fromkeys(text.split(":")[0] for text in Told.stages)] == [
        "opening 1 of 2",
        "opening 2 of 2",
    ]


def test_a_progress_counts_the_rounds_of_all_openings(path: Path) -> None:
    class Counting(Quiet):
        done, totals = 0, [0][:0]

        def rounds(self, slices: int, number: int, of: Rounds) -> None:
            self.totals.append(self.done + slices)

        def slice(self, cell: Cell, sample: Sample | None) -> None:
            self.done += 1

    of = some_matrix(7, 3)
    planned = plan.make_plan(of, vocabulary())
    counting = Counting()
    runner.run(of, planned, runner.Target(path), counting, seen(), make_opening=FakeOpening())
    assert set(counting.totals) == {counting.done} == {7 * 5}


# Going on


def test_a_run_goes_on_in_a_new_opening_with_its_share_of_what_is_left(path: Path) -> None:
    with pytest.raises(OSError, match="full"):
        run(path, FakeOpening(raising_in_round(3, OSError("full"))), rounds=12, openings=3)
    assert openings_of(reader.read(path)) == [(0, 0), (1, 0), (2, 0)]
    done = run(path, FakeOpening(), rounds=12, openings=3, resume=True)
    shared = [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2]
    assert openings_of(done) == [*zip(range(12), shared, strict=True)]


def test_a_run_that_stopped_in_its_last_opening_goes_on_in_a_further_one(path: Path) -> None:
    with pytest.raises(OSError, match="full"):
        run(path, FakeOpening(raising_in_round(4, OSError("full"))), rounds=6, openings=2)
    done = run(path, FakeOpening(), rounds=6, openings=2, resume=True)
    assert [opening for _, opening in openings_of(done)][-2:] == [2, 2]


def test_a_resumed_run_goes_on_after_its_last_round_without_what_failed(path: Path) -> None:
    def sample(cell: Cell, round_: int) -> Sample | Failure:
        if cell.method == "sendto" and round_ == 1:
            return Failure("gone")
        if round_ == 2:
            raise KeyboardInterrupt
        return steady(cell, round_)

    assert run(path, FakeOpening(sample)).end == "interrupted"
    fake = FakeOpening()
    done = run(path, fake, resume=True)
    assert done.end == "done"
    assert failures_of(done) == {"sendto": "gone"}
    assert "sendto" not in {cell.method for cell in fake.cells.values()}
    assert rounds_of(done, "send") == [0, 1, 2, 3]
    assert min(n for n, _, _ in fake.slices) == 2


# Samples that are left out


def left_out(rounds: set[int], *problems: Problem) -> Callable[[Cell, int], Sample]:
    """Those of sendto in these rounds: the sender waited for its CPU, or what is given."""

    def sample(cell: Cell, round_: int) -> Sample:
        made = steady(cell, round_)
        if cell.method != "sendto" or round_ not in rounds:
            return made
        threads = tuple(replace(of, cpu_ns=of.cpu_ns // 2) for of in made.threads)
        return replace(made, threads=threads, problems=problems)

    return sample


@pytest.mark.parametrize("openings", [1, 3])
def test_a_run_makes_up_for_a_sample_that_was_left_out(path: Path, openings: int) -> None:
    """Of the cell, with its baseline and the calibration, in rounds at its end."""
    done = run(path, FakeOpening(left_out({7, 20})), 20, openings=openings)
    assert rounds_of(done, "sendto") == rounds_of(done, "send") == [*range(22)]
    assert rounds_of(done, "sendmmsg") == [*range(20)]
    of_cell = [s for s in usable_by_cell(done).values() if s[0].cell == done.cells[1].id]
    assert [len(samples) for samples in of_cell] == [20]


def test_it_makes_up_for_few_only(path: Path) -> None:
    """A machine that spoils one sample in ten does not hold up a run for ever."""
    done = run(path, FakeOpening(left_out({7, *range(20, 100)}, Problem(Code.NOT_DRAINED))), 20)
    assert len(rounds_of(done, "sendto")) == 20 + stop.spare(Rounds(20, 20))
