"""An opening on this machine, with cells that need no interface: its worker, and what ends it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bench.base.errors import BenchError, WorkerDied, WorkerHung
from bench.cli import main
from bench.engines import core
from bench.matrix import load
from bench.measure import worker_process
from bench.measure.local import LocalOpening
from bench.measure.messages import Failure, Open, Opened, RunSlice, Setup, Sliced
from bench.measure.opening import Setting
from bench.measure.parties import parties_of
from bench.measure.prepare import vocabulary
from bench.measure.supervisor import Supervisor
from bench.measure.worker_process import WorkerProcess
from bench.model.cells import Cell
from bench.model.parties import under_test
from bench.model.samples import Sample
from bench.plan import plan
from bench.system import host
from bench.topology.link import Allowed
from tests.running import Outcome

SLICES = core.SlicePlan(window_ns=1_000_000, warmup_ns=100_000, drain_ns=1_000_000_000)
CPUS = (max(os.sched_getaffinity(0)),)
TEXT = json.dumps(
    {"name": "m", "axes": {"method": ["null"], "frame_size": [64, 1514, 9000], "burst": [8]}}
)


def some_cells() -> tuple[Cell, ...]:
    """Three, in the order of their memory."""
    words = vocabulary()
    return plan.make_plan(load.parse(TEXT, "m.yaml", words), words).cells


def setup() -> Setup:
    return Setup((), SLICES)


def worker(core_hash: str = "") -> WorkerProcess:
    return WorkerProcess(core_hash or core.info().hash)


@contextmanager
def opened(cells: tuple[Cell, ...]) -> Iterator[LocalOpening]:
    of = setup()
    setting = Setting((), {}, CPUS, of.slice_plan, core.info().hash, Allowed())
    with closing(LocalOpening(setting, cells)) as opening:
        assert opening.open() == {}
        yield opening


def worker_of(opening: LocalOpening) -> int:
    """The process id of its present worker."""
    (pid,) = children_of(os.getpid())
    return pid


def children_of(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in found}
    return [pid for pid, command in commands.items() if "bench.measure.worker" in command]


def test_a_worker_that_dies_costs_the_cell_in_hand_and_the_others_are_opened_anew() -> None:
    first, second, third = (cell.id for cell in some_cells())
    with opened(some_cells()) as opening:
        for cell in (first, second, third):
            facts = opening.open_cell(cell)
            assert not isinstance(facts, Failure)
            assert list(facts["cpus"]) == list(CPUS)
        assert isinstance(opening.run_slice(first, 0, ()), Sample)
        killed = worker_of(opening)
        os.kill(killed, signal.SIGKILL)
        assert opening.run_slice(second, 0, ()) == Failure(
            "the worker died of SIGKILL in this cell"
        )
        for cell in (first, third):
            answer = opening.run_slice(cell, 1, ())
            assert isinstance(answer, Sample)
            assert (answer.cell, answer.round, answer.problem) == (cell, 1, "")
        assert worker_of(opening) != killed
    assert children_of(os.getpid()) == []


def test_slices_that_are_asked_for_ahead_are_answered_in_turn() -> None:
    first, second, third = some_cells()
    with closing(worker()) as started:
        started.start(setup())
        for cell in (first, second, third):
            started.open_cell(
                Open(cell, under_test(parties_of(cell, CPUS)), None, None, check=True)
            )
        one, two, three = (RunSlice(cell.id, 0) for cell in (first, second, third))
        for request, then in ((one, two), (two, three)):
            answer = started.run_slice(request, then)
            assert isinstance(answer, Sliced)
            assert answer.sample.cell == request.cell
        # What was announced, and is not asked for, is in nobody's way.
        answer = started.run_slice(one)
        assert isinstance(answer, Sliced)
        assert answer.sample.cell == first.id
        assert isinstance(started.run_slice(one, two), Sliced)
        (pid,) = children_of(os.getpid())
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerDied, match="the worker died of SIGKILL"):
            started.run_slice(three)


def test_a_worker_that_dies_of_what_it_did_ahead_costs_that_cell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker may die of the next cell before it has answered for the last one."""
    first, second, third = (cell.id for cell in some_cells())
    run_slice = WorkerProcess.run_slice

    def dying(
        self: WorkerProcess, request: RunSlice, then: RunSlice | None = None
    ) -> Sliced | Failure:
        if second in (request.cell, then and then.cell):
            self._process.kill()
        return run_slice(self, request, then)

    monkeypatch.setattr(WorkerProcess, "run_slice", dying)
    with opened(some_cells()) as opening:
        opening._aside = {CPUS[0] + 1}
        for cell in (first, second, third):
            assert not isinstance(opening.open_cell(cell), Failure)
        turns = [(first, 0), (second, 0), (third, 0)]
        answers = [
            opening.run_slice(*turn, (), then)
            for turn, then in zip(turns, [*turns[1:], None], strict=True)
        ]
    assert answers[1] == Failure("the worker died of SIGKILL in this cell")
    assert [of.cell for of in answers if isinstance(of, Sample)] == [first, third]


def test_a_worker_that_hangs_is_told_with_what_it_was_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_process, "STARTING_S", 0.001)
    with closing(worker()) as hanging, pytest.raises(WorkerHung, match="no answer to Hello"):
        hanging.start(setup())


def test_a_cell_on_the_runner_s_own_cpu_waits_until_the_sample_before_it_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, _ = some_cells()
    begun: list[RunSlice | None] = []
    run_slice = WorkerProcess.run_slice

    def noted(
        self: WorkerProcess, request: RunSlice, then: RunSlice | None = None
    ) -> Sliced | Failure:
        begun.append(then)
        return run_slice(self, request, then)

    monkeypatch.setattr(WorkerProcess, "run_slice", noted)
    (cpu,) = CPUS
    for aside in ({cpu}, {cpu + 1}):
        with opened((first, second)) as opening:
            opening._aside = aside
            opening.open_cell(first.id)
            opening.run_slice(first.id, 0, (second.id,), (second.id, 0))  # which is not open yet
            opening.open_cell(second.id)
            opening.run_slice(first.id, 1, (second.id,), (second.id, 1))
            opening.run_slice(second.id, 1, ())
    assert begun == [None, None, None, None, RunSlice(second.id, 1), None]


def test_cells_that_do_not_fit_are_closed_and_opened_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, third = some_cells()
    closed: list[str] = []
    close = WorkerProcess.close_cell

    def noted(self: WorkerProcess, cell: str) -> None:
        closed.append(cell)
        close(self, cell)

    monkeypatch.setattr(WorkerProcess, "close_cell", noted)
    # Room for the largest alone.
    monkeypatch.setattr(host, "available_memory", lambda: 1)
    with opened((first, second, third)) as opening:
        for cell in (first, second, third):
            assert not isinstance(opening.open_cell(cell.id), Failure)
        assert closed == [first.id, second.id]
        assert isinstance(opening.run_slice(first.id, 0, ()), Sample)
        assert closed == [first.id, second.id, third.id]


def test_a_fault_of_the_worker_s_own_is_an_answer_and_it_goes_on() -> None:
    (cell, *_) = some_cells()
    sender = under_test(parties_of(cell, CPUS))
    with closing(worker()) as started:
        started.start(setup())
        answer = started.run_slice(RunSlice("no such cell", 0))
        assert isinstance(answer, Failure)
        assert answer.reason.startswith("KeyError: 'no such cell' (open_cells.py, line ")
        assert isinstance(started.open_cell(Open(cell, sender, None, None, check=True)), Opened)
        assert isinstance(started.run_slice(RunSlice(cell.id, 0)), Sliced)


def test_a_worker_that_cannot_work_says_why() -> None:
    with closing(worker(core_hash="another")) as started:
        said = "the worker cannot start: the core's sources changed since the run began"
        with pytest.raises(BenchError, match=said):
            started.start(setup())


def test_no_other_worker_is_tried_where_one_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[object] = []
    start = WorkerProcess.start

    def counted(self: WorkerProcess, setup: Setup) -> None:
        started.append(self)
        start(self, setup)

    monkeypatch.setattr(WorkerProcess, "start", counted)
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with (
        closing(Supervisor(worker, lambda of: of.start(setup()), lambda: None)) as supervisor,
        pytest.raises(WorkerDied, match="the worker exited with code 1"),
    ):
        supervisor.ask(lambda asked: asked.run_slice(RunSlice("a", 0)))
    assert len(started) == 1


def test_a_worker_that_cannot_start_ends_the_run_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix, results = tmp_path / "m.yaml", tmp_path / "results"
    matrix.write_text(TEXT)
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    assert main(["run", str(matrix), "--results", str(results)]) == 1
    assert Outcome(1, *capsys.readouterr()).complaints == ["the worker exited with code 1"]
    assert not results.exists()
