"""One call of ``run``: what is up, which cells are left, what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

from bench.base import signals
from bench.base.errors import BenchError, NotAllowed, UsageError, WorkerDied
from bench.engines import core
from bench.measure import stop
from bench.measure.messages import Failure, Setup
from bench.measure.supervisor import Worker
from bench.model.cells import Cell
from bench.model.matrix import Matrix
from bench.model.run import Run
from bench.model.samples import Sample
from bench.plan import calibration, schedule
from bench.plan.plan import Plan
from bench.store.writer import RunWriter
from bench.system import host
from bench.topology import Topology, entered
from bench.topology.kinds import up
from bench.topology.link import Allowed

PRECISION_CHECK_ROUNDS = 10
"""After the minimum of rounds, every so many, and first of all on --resume, it is seen which cells
need more."""


class Progress(Protocol):
    """Is told what happens; the command line draws a bar of it."""

    def stage(self, text: str) -> None: ...

    def rounds(self, slices: int) -> None:
        """So many slices are still to come, at most."""

    def slice(self, cell: Cell, sample: Sample | None) -> None: ...


class Session:
    """One call of ``run``: what is up, which cells are left, what was measured."""

    def __init__(
        self,
        matrix: Matrix,
        planned: Plan,
        writer: RunWriter,
        progress: Progress,
        earlier: Run | None,
        allowed: Allowed,
    ) -> None:
        self._allowed = allowed
        self._matrix, self._plan, self._writer, self._progress = matrix, planned, writer, progress
        self._cells = {cell.id: cell for cell in (*planned.cells, *calibration.CALIBRATION)}
        self._memory = {cell.id: schedule.memory_of(cell) for cell in self._cells.values()}
        self._budget = int(host.available_memory() * host.MEMORY_SHARE)
        self._samples: dict[str, list[Sample]] = {cell: [] for cell in self._cells}
        for sample in earlier.samples if earlier else ():
            self._samples.setdefault(sample.cell, []).append(sample)
        self._failures: dict[str, str] = dict(earlier.failures) if earlier else {}
        self._checked: set[str] = set()
        self._open: set[str] = set()
        self._worker: Worker | None = None
        self.senders = planned.cpus[: max(cell.threads for cell in planned.runnable)]
        self.windows_s = 0.0

    def run(self) -> None:
        with ExitStack() as stack:
            self._progress.stage("setting up")
            topologies = self._set_up(stack)
            setup = Setup(
                topologies=tuple(t for t in topologies if t is not None),
                slice_plan=core.SlicePlan(
                    window_ns=self._matrix.measure.window_ns,
                    warmup_ns=schedule.WARMUP_NS,
                    drain_ns=schedule.DRAIN_NS,
                ),
                cpus=self._plan.cpus,
                core_hash=core.info().hash,
            )
            up_ones = [index for index, topology in enumerate(topologies) if topology is not None]
            self._place = {
                cell: up_ones.index(index)
                for cell, index in self._plan.topology_of.items()
                if cell not in self._failures
            }
            with self._workers(setup):
                self._open_all()
                self._rounds()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing yet that would be lost."""
        return not any(self._samples.values())

    # Setting up

    def _set_up(self, stack: ExitStack) -> list[Topology | None]:
        """Every topology side by side; one that cannot be made fails its cells, not the run."""
        topologies: list[Topology | None] = []
        failures = dict(self._plan.unfit)
        failed: BenchError | None = None
        for index, spec in enumerate(self._plan.topologies):
            try:
                with signals.held():  # asyncio, below pyroute2, does not take one midway
                    made = up(spec.interface, spec.qdisc, spec.mtu, self._allowed)
                    topology = stack.enter_context(made)
                topologies.append(topology)
            except NotAllowed:
                raise
            except BenchError as error:
                failed = error
                topologies.append(None)
                there = [c for c, place in self._plan.topology_of.items() if place == index]
                failures |= dict.fromkeys(there, str(error))
        for method, reason in self._refused_methods(topologies).items():
            failed = UsageError(f"method {method}: {reason}; `bench methods` shows what works here")
            using = [cell.id for cell in self._plan.cells if cell.method == method]
            failures |= dict.fromkeys(using, str(failed))
        if failed and (failures | self._failures).keys() == {c.id for c in self._plan.cells}:
            raise failed  # before it is written: a run that is resumed keeps its cells
        for cell in failures.keys() - self._failures.keys():
            self._fail(cell, failures[cell])
        return topologies

    def _refused_methods(self, topologies: Sequence[Topology | None]) -> dict[str, str]:
        """Methods that the kernel does not let us use, and why; asked where they would run."""
        up_one = next((topology for topology in topologies if topology is not None), None)
        if up_one is None:
            return {}
        names = {c.method for c in self._plan.cells if c.id in self._plan.topology_of}
        with entered(up_one.tx.netns_fd):
            return {name: reason for name in sorted(names) if (reason := core.probe(name))}

    @contextmanager
    def _workers(self, setup: Setup) -> Iterator[None]:
        """The present worker, and one that takes its place when it dies."""
        self._setup = setup
        self._worker = Worker(setup)
        try:
            self._worker.start()
            yield
        except BaseException as error:
            self._worker.__exit__(type(error), error, error.__traceback__)
            raise
        else:
            self._worker.__exit__(None, None, None)

    @property
    def _present(self) -> Worker:
        assert self._worker is not None
        return self._worker

    def _replace_worker(self, cell: str, death: WorkerDied) -> None:
        """After a death: the cell that was in hand is left out, the others are opened anew."""
        self._fail(cell, f"{death} in this cell")
        self._present.__exit__(type(death), death, None)
        self._open.clear()
        self._worker = Worker(self._setup)
        self._worker.start()

    def _fail(self, cell: str, reason: str) -> None:
        self._failures[cell] = reason
        self._writer.failure(cell, reason)

    # Cells

    def _open_all(self) -> None:
        """Open every cell once, in the order of the plan, and check its frames."""
        for number, cell in enumerate(self._cells.values(), 1):
            self._progress.stage(f"opening cell {number} of {len(self._cells)}")
            if cell.id not in self._failures:
                self._ensure_open(cell.id, [])

    def _ensure_open(self, cell: str, upcoming: Sequence[str]) -> bool:
        """Open a cell if it is closed, and close others where memory asks for it."""
        if cell in self._open:
            return True
        try:
            resident = {open_: self._memory[open_] for open_ in self._open}
            for other in schedule.to_evict(resident, self._memory[cell], self._budget, upcoming):
                self._present.close_cell(other)
                self._open.discard(other)
            first = cell not in self._checked
            answer = self._present.open(self._cells[cell], self._place.get(cell), check=first)
        except WorkerDied as death:
            self._replace_worker(cell, death)
            return False
        if isinstance(answer, Failure):
            self._fail(cell, answer.reason)
            return False
        if first:
            self._writer.cell(cell, answer)
        self._checked.add(cell)
        self._open.add(cell)
        return True

    # Rounds

    def _rounds(self) -> None:
        rounds, seed = self._matrix.measure.rounds, self._matrix.measure.seed
        rounds_so_far = [s.round for samples in self._samples.values() for s in samples]
        first = max(rounds_so_far, default=-1) + 1
        wanted = list(self._cells)
        for round_ in range(first, rounds.max):
            is_due = round_ == first or (round_ - rounds.min) % PRECISION_CHECK_ROUNDS == 0
            if round_ >= rounds.min and is_due:
                wanted = self._still_wanted(wanted)
            cells = [cell for cell in wanted if cell not in self._failures]
            if not set(cells) - {cell.id for cell in calibration.CALIBRATION}:
                break
            self._progress.rounds(len(cells) * ((max(rounds.min, round_ + 1)) - round_))
            order = schedule.round_order(cells, seed, round_)
            following = schedule.round_order(cells, seed, round_ + 1)
            for position, cell in enumerate(order):
                if cell not in self._failures:
                    self._slice(cell, round_, [*order[position + 1 :], *following])

    def _slice(self, cell: str, round_: int, upcoming: Sequence[str]) -> None:
        if not self._ensure_open(cell, upcoming):
            return
        try:
            answer = self._present.run(cell, round_)
        except WorkerDied as death:
            self._replace_worker(cell, death)
            return
        if isinstance(answer, Failure):
            self._fail(cell, answer.reason)
            self._progress.slice(self._cells[cell], None)
            return
        self._writer.sample(answer)
        self._samples[cell].append(answer)
        self.windows_s += answer.wall_ns / 1e9
        self._progress.slice(self._cells[cell], answer)

    def _still_wanted(self, cells: Sequence[str]) -> list[str]:
        """Of the present cells those that need more rounds, and what is measured along with them:
        the baselines that they are compared with, and the calibration."""
        plan = self._plan
        samples = {cell.id: self._samples[cell.id] for cell in plan.cells}
        wanted = stop.wanted(samples, plan.baselines, self._failures, self._matrix.measure)
        wanted &= set(cells)
        wanted |= {plan.baselines[cell] for cell in wanted if cell in plan.baselines}
        wanted |= {cell.id for cell in calibration.CALIBRATION}
        return [cell for cell in self._cells if cell in wanted]
