"""The only orchestrator: topologies up, a worker in them, rounds of slices, samples to the disk."""

from __future__ import annotations

import dataclasses
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from bench import cpus, host, interrupts, native, plan, privileges, stats, store
from bench.errors import BenchError, NotAllowed, UsageError, WorkerDied, told_with_place
from bench.model import Cell, Matrix, Run, Sample
from bench.plan import Plan
from bench.topology import Topology, entered
from bench.topology.device import check_allowed, describe
from bench.topology.kinds import up
from bench.topology.link import Allowed
from bench.worker import Failure, Setup, Worker

PRECISION_CHECK_ROUNDS = 10
"""After the minimum of rounds, every so many, and first of all on --resume, it is seen which cells
need more."""


class Progress(Protocol):
    """Is told what happens; the command line draws a bar of it."""

    def stage(self, text: str) -> None: ...

    def rounds(self, slices: int) -> None:
        """So many slices are still to come, at most."""

    def slice(self, cell: Cell, sample: Sample | None) -> None: ...


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run is written: a new file in a folder, or an unfinished one that is resumed.

    What is resumed goes on with its own seed; ``seed`` is what that must be, if not None.
    """

    path: Path
    resume: bool = False
    seed: int | None = None


def run(
    matrix: Matrix,
    planned: Plan,
    target: Target,
    progress: Progress,
    allowed: Allowed = Allowed(),  # noqa: B008 - a constant
    diagnosis: Mapping[str, Any] | None = None,
) -> Run:
    """Run every cell of a plan and store each sample as it is taken.

    ``diagnosis`` is what the doctor said of this machine, for the header.

    Raises NotAllowed, before anything is done, if a cell sends on a device that is not allowed. An
    interrupt (KeyboardInterrupt) ends the run early: what was measured is stored and
    returned, with ``end`` "interrupted". Raises BenchError when there is nothing to go on with
    (the disk is full, namespaces are forbidden); what was stored until then stays.
    """
    check_allowed(plan.named_devices(planned.cells), allowed)
    native.ensure_built()
    host.raise_file_limit()
    devices = describe(plan.named_devices(planned.cells))
    header = _header(matrix, planned, diagnosis or {}, devices)
    with store.RunWriter(target.path, append=target.resume) as writer:
        earlier = None
        if target.resume:  # read only now that nobody else can write it
            earlier = _resumable(matrix, planned, target, devices)
            matrix = _with_seed_of(earlier, matrix)
        session = _Session(matrix, planned, writer, progress, earlier, allowed)
        started = time.monotonic()
        try:
            if earlier is None:
                writer.header(header, planned.cells, plan.CALIBRATION)
            else:
                writer.resume(_now())
            with cpus.kept_off(session.senders):
                session.run()
            end = "done"
        except KeyboardInterrupt:
            end = "interrupted"
        except (BenchError, OSError) as error:
            reason = told_with_place(error) if isinstance(error, OSError) else error
            if session.is_empty and earlier is None:
                writer.discard()
            else:
                writer.end(f"failed: {reason}", wall_s=round(time.monotonic() - started, 3))
            raise
        writer.end(
            end,
            wall_s=round(time.monotonic() - started, 3),
            windows_s=session.windows_s,
        )
    return store.read(target.path)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _header(
    matrix: Matrix,
    planned: Plan,
    diagnosis: Mapping[str, Any],
    devices: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    core, measure = native.info(), matrix.measure
    return {
        "id": secrets.token_hex(8),
        "started": _now(),
        "matrix": {
            "name": matrix.name,
            "description": matrix.description,
            "text": matrix.text,
            "baseline": matrix.baseline,
        },
        "measure": {
            "window_ns": measure.window_ns,
            "warmup_ns": plan.WARMUP_NS,
            "rounds": {"min": measure.rounds.min, "max": measure.rounds.max},
            "precision": measure.precision,
            "seed": measure.seed,
            "cpus": list(planned.cpus),
            "cpus_why": planned.cpus_why,
            "privileges": privileges.standing(),
        },
        "core": {"hash": core.hash, "compiler": core.compiler},
        "host": host.fingerprint(),
        "devices": devices,
        "doctor": diagnosis,
        "baselines": planned.baselines,
        "thresholds": planned.thresholds,
    }


def _resumable(
    matrix: Matrix, planned: Plan, target: Target, devices: Mapping[str, Mapping[str, Any]]
) -> Run:
    """The stored run, if what would be added to it is comparable with what it has."""
    earlier = store.read(target.path)
    with store.looking_into(f"{target.path}:1"):
        problems = _obstacles(earlier, matrix, planned, target, devices)
    if problems:
        raise UsageError(f"cannot resume {target.path}: {problems[0]}; start a new run")
    return earlier


def _obstacles(
    earlier: Run,
    matrix: Matrix,
    planned: Plan,
    target: Target,
    devices: Mapping[str, Mapping[str, Any]],
) -> list[str]:
    """Why what would be added to a run were not comparable with what it has."""
    known, standing = host.fingerprint(), privileges.standing()
    machine, measure = earlier.header["host"], earlier.header["measure"]
    seed = measure.get("seed", matrix.measure.seed)
    problems = [
        what
        for what, same in {
            "it is finished": earlier.end != "done",
            "it is a run of another matrix": earlier.header["matrix"]["text"] == matrix.text,
            "it has other cells": {c.id for c in earlier.cells} == {c.id for c in planned.cells},
            "the core has changed since": earlier.header["core"]["hash"] == native.info().hash,
            "the kernel is another one": machine["kernel"] == known["kernel"],
            "it is from another machine": machine["hostname"] == known["hostname"],
            f"it ran with other privileges than {standing}": (
                measure.get("privileges", standing) == standing
            ),
            "a device is not as it was": earlier.header.get("devices", {}) == devices,
            f"it is shuffled with seed {seed}, not {target.seed}": target.seed in (None, seed),
        }.items()
        if not same
    ]
    cpus_then = measure.get("cpus", cpus_now := list(planned.cpus))
    if cpus_then != cpus_now:
        problems.append(f"it ran on {_listed(cpus_then)}, not {_listed(cpus_now)}")
    for what, key in {"mitigation of": "mitigations", "sysctl": "sysctls"}.items():
        problems += _changed(what, machine.get(key, known[key]), known[key])
    return problems


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(f"CPU {number}" for number in numbers)


def _changed(what: str, then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    return [
        f"{what} {name} was {then.get(name, 'not there')}, is {now.get(name, 'not there')}"
        for name in names
    ]


def _with_seed_of(earlier: Run, matrix: Matrix) -> Matrix:
    """The matrix as the run has it that is resumed: --seed may have been another than its own."""
    seed = earlier.header["measure"].get("seed", matrix.measure.seed)
    return replace(matrix, measure=replace(matrix.measure, seed=seed))


class _Session:
    """One call of ``run``: what is up, which cells are left, what was measured."""

    def __init__(
        self,
        matrix: Matrix,
        planned: Plan,
        writer: store.RunWriter,
        progress: Progress,
        earlier: Run | None,
        allowed: Allowed,
    ) -> None:
        self._allowed = allowed
        self._matrix, self._plan, self._writer, self._progress = matrix, planned, writer, progress
        self._cells = {cell.id: cell for cell in (*planned.cells, *plan.CALIBRATION)}
        self._memory = {cell.id: plan.memory_of(cell) for cell in self._cells.values()}
        self._budget = int(host.available_memory() * host.MEMORY_SHARE)
        self._samples: list[Sample] = list(earlier.samples) if earlier else []
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
                slice_plan=native.SlicePlan(
                    window_ns=self._matrix.measure.window_ns,
                    warmup_ns=plan.WARMUP_NS,
                    drain_ns=plan.DRAIN_NS,
                ),
                cpus=self._plan.cpus,
                core_hash=native.info().hash,
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
        return not self._samples

    # Setting up

    def _set_up(self, stack: ExitStack) -> list[Topology | None]:
        """Every topology side by side; one that cannot be made fails its cells, not the run."""
        topologies: list[Topology | None] = []
        failures = dict(self._plan.unfit)
        failed: BenchError | None = None
        for index, spec in enumerate(self._plan.topologies):
            try:
                with interrupts.held():  # asyncio, below pyroute2, does not take one midway
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
            return {name: reason for name in sorted(names) if (reason := native.probe(name))}

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
            for other in plan.to_evict(resident, self._memory[cell], self._budget, upcoming):
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
        first = max((sample.round for sample in self._samples), default=-1) + 1
        wanted = list(self._cells)
        for round_ in range(first, rounds.max):
            is_due = round_ == first or (round_ - rounds.min) % PRECISION_CHECK_ROUNDS == 0
            if round_ >= rounds.min and is_due:
                wanted = self._still_wanted(wanted)
            cells = [cell for cell in wanted if cell not in self._failures]
            if not set(cells) - {cell.id for cell in plan.CALIBRATION}:
                break
            self._progress.rounds(len(cells) * ((max(rounds.min, round_ + 1)) - round_))
            order = plan.round_order(cells, seed, round_)
            following = plan.round_order(cells, seed, round_ + 1)
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
        self._samples.append(answer)
        self.windows_s += answer.wall_ns / 1e9
        self._progress.slice(self._cells[cell], answer)

    def _still_wanted(self, cells: Sequence[str]) -> list[str]:
        """Cells that need more rounds, and the baselines that they are compared with.

        Calibration goes on with them.
        """
        so_far = Run(
            path=str(self._writer.path),
            header={"measure": {"rounds": dataclasses.asdict(self._matrix.measure.rounds)}},
            cells=self._plan.cells,
            baselines=self._plan.baselines,
            facts={},
            failures=self._failures,
            samples=tuple(self._samples),
            end="",
        )
        wanted = stats.unprecise(so_far, self._matrix.measure.precision) & set(cells)
        wanted |= {self._plan.baselines[c] for c in wanted if c in self._plan.baselines}
        wanted |= {cell.id for cell in plan.CALIBRATION}
        return [cell for cell in self._cells if cell in wanted]
