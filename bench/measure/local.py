"""An opening on this machine: topologies in namespaces of their own, and a worker that sends."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from bench.base import signals
from bench.base.errors import BenchError, NotAllowed, UsageError
from bench.engines import own, table
from bench.engines.config import memory_of
from bench.engines.programs import why_missing
from bench.measure.messages import Failure, Open, RunSlice, Setup
from bench.measure.opening import Facts, Setting, Turn
from bench.measure.parties import parties_of
from bench.measure.places import Place, places_of, rivals_of
from bench.measure.residency import Residency
from bench.measure.supervisor import Supervisor
from bench.measure.worker_process import WorkerProcess
from bench.model.cells import Cell
from bench.model.parties import PartyRole, under_test
from bench.model.samples import Sample
from bench.system import host, sysctls
from bench.topology import Topology, entered, peer
from bench.topology.kinds import is_borrowed, shaper, up


class LocalOpening:
    """An Opening (its methods are described there) of these cells on this machine."""

    def __init__(self, setting: Setting, cells: Sequence[Cell]) -> None:
        self._setting = setting
        self._cells = {cell.id: cell for cell in cells}
        self._resources = ExitStack()
        self._aside = os.sched_getaffinity(0)
        lonely = {name for name, method in table.methods().items() if method.alone}
        borrowed = {
            index for index, spec in enumerate(setting.topologies) if is_borrowed(spec.interface)
        }
        self._parties = {cell.id: parties_of(cell, setting.cpus) for cell in cells}
        self._places = places_of(cells, setting.topology_of, lonely, borrowed)
        memory = {cell.id: memory_of(cell).bytes for cell in cells}
        self._residency = Residency(
            memory,
            int(host.available_memory() * setting.memory_share),
            rivals_of(cells, self._places, lonely),
        )
        self._made: tuple[Topology, ...] = ()
        self._supervisor = Supervisor(self._make_worker, self._start_worker, self._residency.clear)

    def _make_worker(self) -> WorkerProcess:
        of = self._setting
        return WorkerProcess(of.core_hash, of.checkout, own.compiled_for(of.checkout), of.cpus)

    def _start_worker(self, worker: WorkerProcess) -> None:
        worker.start(Setup(self._made, self._setting.slice_plan))

    def open(self) -> Mapping[str, BenchError]:
        self._supervisor.prepare()
        made: dict[Place, Topology] = {}
        failures: dict[str, BenchError] = {}
        for place, cells in self._cells_by_place().items():
            try:
                made[place] = self._set_up(place.topology, cells)
                self._receive(made[place], cells)
            except NotAllowed:
                raise
            except BenchError as error:
                failures |= dict.fromkeys(cells, error)
        by_method = self._refused_methods([*made.values()])
        numbers = {place: number for number, place in enumerate(made)}
        self._numbers = {cell: numbers.get(place) for cell, place in self._places.items()}
        self._made = tuple(made.values())
        return {cell: e for cell, e in failures.items() if cell not in by_method} | by_method

    def _cells_by_place(self) -> dict[Place, list[str]]:
        found: dict[Place, list[str]] = {}
        for cell, place in self._places.items():
            found.setdefault(place, []).append(cell)
        return found

    def _set_up(self, index: int, cells: Sequence[str]) -> Topology:
        spec, known = self._setting.topologies[index], table.methods()
        routed = any(known[self._cells[cell].engine].by_route for cell in cells)
        made = up(spec.interface, spec.qdisc, spec.mtu, self._setting.allowed, routed)
        with signals.held():  # asyncio, below pyroute2, does not take one midway
            topology = self._resources.enter_context(made)
        for netns_fd in topology.netns_fds:
            sysctls.write_in(netns_fd, self._setting.sysctls)
        return topology

    def _receive(self, topology: Topology, cells: Sequence[str]) -> None:
        """Start who takes the frames of these cells, which share a topology."""
        parties = (party for cell in cells for party in self._parties[cell])
        engines = {party.engine for party in parties if party.role is PartyRole.RECEIVER}
        for engine in sorted(engines):
            for port in topology.rx:
                self._resources.enter_context(peer.RECEIVERS[engine](port))

    def _refused_methods(self, made: Sequence[Topology]) -> dict[str, BenchError]:
        """Cells whose method the kernel does not let us use; asked where they would run."""
        if not made:
            return {}
        sending = [cell for cell in self._cells if cell in self._setting.topology_of]
        with entered(made[0].tx.netns_fd):
            reasons = {
                name: table.probe(name)
                for name in sorted({self._cells[cell].engine for cell in sending})
            }
        refused: dict[str, BenchError] = {
            cell: UsageError(f"method {name}: {reason}; `bench methods` shows what works here")
            for name, reason in reasons.items()
            for cell in sending
            if reason and self._cells[cell].engine == name
        }
        missing = {cell: why_missing(self._cells[cell]) for cell in sending}
        return refused | {cell: BenchError(reason) for cell, reason in missing.items() if reason}

    def open_cell(self, cell: str) -> Facts | Failure:
        return self._supervisor.ask(lambda worker: self._opened(worker, cell, (), check=True))

    def run_slice(
        self, cell: str, round_: int, upcoming: Sequence[str], then: Turn | None = None
    ) -> Sample | Failure:
        def slice_in(worker: WorkerProcess, then: Turn | None = None) -> Sample | Failure:
            if cell not in self._residency:
                facts = self._opened(worker, cell, upcoming, check=False)
                if isinstance(facts, Failure):
                    return facts
            ahead = RunSlice(*then) if then and self._may_begin(then[0]) else None
            answer = worker.run_slice(RunSlice(cell, round_), ahead)
            return answer if isinstance(answer, Failure) else answer.sample

        if then is None:
            return self._supervisor.ask(slice_in)
        return self._supervisor.ask(lambda worker: slice_in(worker, then), alone=slice_in)

    def _may_begin(self, cell: str) -> bool:
        """Whether a cell may send while the sample before it is told: not on our own CPU."""
        its = under_test(self._parties[cell]).cpus
        return cell in self._residency and self._aside.isdisjoint(its)

    def _opened(
        self, worker: WorkerProcess, id_: str, upcoming: Sequence[str], *, check: bool
    ) -> Facts | Failure:
        """Open a cell, and close others before where both cannot be open."""
        for other in self._residency.to_evict(id_, upcoming):
            worker.close_cell(other)
            self._residency.closed(other)
        cell = self._cells[id_]
        place, held = self._numbers.get(id_), shaper(cell.values)
        answer = worker.open_cell(Open(cell, under_test(self._parties[id_]), place, held, check))
        if isinstance(answer, Failure):
            return answer
        self._residency.opened(id_)
        return answer.facts

    def close(self) -> None:
        try:
            self._supervisor.close()
        finally:
            self._resources.close()
