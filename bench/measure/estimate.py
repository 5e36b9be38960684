"""How long a plan takes, from what its cells do in it.

The constants are of a virtual machine of two CPUs (AMD EPYC, Linux 6.18) with nothing else to do;
``benchmarks/estimates.py`` sets what is told against what is needed. What a shaper makes of a cell
is computed: its queue leaves at the shaper's rate, in each slice and at each burst of the frame
check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from operator import itemgetter
from typing import Any, NamedTuple

from bench.engines.config import Asking, call_ns
from bench.model.cells import Cell
from bench.model.matrix import Matrix
from bench.model.needs import Memory
from bench.model.programs import EXEC
from bench.model.vocabulary import DEVICE, SHAPED
from bench.plan import calibration
from bench.plan.plan import Plan
from bench.plan.queue import Queue, queue_of
from bench.plan.schedule import DRAIN_NS, WARMUP_NS
from bench.system.host import MEMORY_SHARE
from bench.system.procfs import ProcFs
from bench.topology.kinds import shaper

START_NS = 950_000_000
"""From the shell to the first cell and from the last one back, without interfaces: most of it are
imports in two processes, and a look at the machine for disturbance."""


FIRST_TOPOLOGY_NS = 130_000_000
"""Beside what each takes: importing pyroute2."""


TOPOLOGY_NS = 30_000_000
"""One that is set up and taken away."""


WORKER_NS = 200_000_000
"""Starting a further process that sends, for a further opening."""


CELL_NS = 1_500_000
"""Its lines of the tables."""


CLOSE_NS = 1_000_000


OPEN_NS = 500_000


MAPPED_NS = 1.0
"""Making, filling and giving back a byte of rings and buffers."""


SLICE_NS = 450_000
"""Threads, questions and answers, the way to the disk."""


PROGRAM_SLICE_NS, PROGRAM_START_NS = 9_000_000, 400_000_000
"""Of a program: until it sends again and until it rests, in each slice; and until it rests after it
has started."""


CROWDED_NS = 3_000_000
"""Where every CPU sends: who ends the window has to wait for one, until a tick (CONFIG_HZ) takes it
from a sender (kernel/sched/fair.c, ``RUN_TO_PARITY``)."""


COUNTED_NS = 200_000
"""The counters of an interface around a slice."""


SAMPLE_NS = 85_000
"""Reading a sample of the stored run and making figures of it, at the end."""


PRECISION_NS, PRECISION_ROUNDS = 9_000, 10
"""Looking at a sample again for who needs more rounds, and after how many rounds that is done."""


SEND_NS, SEND_BYTE_NS, NULL_NS = 1_100, 0.1, 50
"""Handing a frame over, and each of its bytes; one that goes nowhere."""


CHECKED_TURN_NS = 4_000


CAPTURED_TURN_NS, CAPTURED_NS, SENT_TOGETHER = 60_000, 8_000, 16
"""Of the check: beside its frames, what a turn takes; where they are captured, what it takes more,
and a frame, from the capturing socket to the comparison. Of a ring, turns of fewer frames than that
are sent together."""


UNCAPTURED = frozenset({"ifb", "dummy", DEVICE})
"""Interfaces whose frames are checked by counters alone."""


SINGLE_TURN = 16
"""FRAMES_PER_TURN: methods of one frame a call send so many between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Nanoseconds with the least and with the most rounds, and bytes of rings and buffers.

    ``opening_ns`` is the part in which cells are opened and their frames checked, and after the
    first opening also the part that sets up another one.
    """

    least_ns: int
    most_ns: int
    opening_ns: int
    memory: int


def estimate(planned: Plan, matrix: Matrix, machine: ProcFs) -> Estimate:
    """What a run of a plan will take on a machine that has nothing else to do."""
    runnable = planned.runnable
    cells = (*runnable, *calibration.CALIBRATION)
    window_ns, rounds = matrix.measure.window_ns, matrix.measure.rounds
    openings = matrix.measure.openings
    takes = _takes(cells, len(planned.cpus), window_ns, machine)
    memory = sum(each.memory for each in takes)
    start_ns = START_NS + len(planned.topologies) * TOPOLOGY_NS
    start_ns += FIRST_TOPOLOGY_NS if planned.topologies else 0
    start_ns += len(cells) * (CELL_NS + CLOSE_NS)
    opening_ns = openings * sum(each.open_ns + each.check_ns for each in takes)
    again_ns = WORKER_NS + len(planned.topologies) * TOPOLOGY_NS + len(cells) * CLOSE_NS
    opening_ns += (openings - 1) * again_ns
    slices_ns = [each.slice_ns + SAMPLE_NS for each in takes]
    interval = calibration.interval(len(runnable), rounds.min, openings)
    calibrating_ns = sum(slices_ns[len(runnable) :])
    round_ns = sum(slices_ns) - calibrating_ns * (1 - 1 / interval)
    round_ns += _reopening_share(memory, machine) * sum(each.open_ns for each in takes)

    def until(count: int) -> int:
        looks = range(rounds.min, count, PRECISION_ROUNDS)
        looking_ns = PRECISION_NS * len(runnable) * sum(looks)
        return round(start_ns + opening_ns + count * round_ns + looking_ns)

    return Estimate(until(rounds.min), until(rounds.max), round(opening_ns), memory)


def _reopening_share(memory: int, machine: ProcFs) -> float:
    """Of the cells, those that are closed when their turn comes, as not all have room."""
    available = machine.memory_available()
    budget = memory if available is None else available * MEMORY_SHARE
    return max(0.0, 1 - budget / memory) if memory else 0.0


# A cell as far as it takes time


class _Takes(NamedTuple):
    """Nanoseconds of a cell's opening, its frame check and a slice, and bytes."""

    open_ns: float
    check_ns: float
    slice_ns: float
    memory: int


_TIMED = (*SHAPED, "method", "threads", "burst", "socket", "sndbuf", "msg_dontwait")
"""The axes that, with a cell's memory, say what it takes."""


def _takes(cells: Sequence[Cell], cpus: int, window_ns: int, machine: ProcFs) -> list[_Takes]:
    """Of each cell. Cells share their values: what those that are alike take is reckoned once."""
    known: dict[tuple[int, ...], _Takes] = {}
    asking, timed, found = Asking(), itemgetter(*_TIMED), []
    for cell in cells:
        memory = asking.memory(cell.values)
        alike = (memory.bytes, memory.ring_frames, *map(id, timed(cell.values)))
        takes = known.get(alike)
        if takes is None:
            sender = _sender(cell, memory, cpus, machine)
            times = sender.open_ns(), sender.check_ns(), sender.slice_ns(window_ns)
            takes = known[alike] = _Takes(*times, memory.bytes)
        found.append(takes)
    return found


@dataclass(frozen=True, slots=True)
class _Sender:
    """Of each thread: a turn is what it sends between two looks at the clock, a call what it sends
    between two looks at the stop flag, ``checked`` the frames of the frame check, of which at least
    ``together`` are sent before the receiver looks. ``call_ns`` is what a call waits that sends
    through a whole slice, ``start_ns`` what a program needs until it sends and rests again."""

    threads: int
    turn: int
    call: int
    send_ns: float
    call_ns: int
    overhead_ns: int
    start_ns: int
    slots: int
    checked: int
    is_captured: bool
    together: int
    memory: int
    queue: Queue | None

    def open_ns(self) -> float:
        return OPEN_NS + self.start_ns + self.memory * MAPPED_NS

    def check_ns(self) -> float:
        """Turn by turn, and each one leaves before the next."""
        turns = ceil(self.checked / self.turn) * self.threads
        frames = turns * self.turn
        leaving_ns = frames * self.send_ns
        if self.queue:
            leaving_ns = max(leaving_ns, (frames - self.queue.free) * self.queue.frame_ns)
        checking_ns = turns * (CHECKED_TURN_NS + self.call_ns) + leaving_ns
        if self.is_captured:
            captures = frames / max(self.turn, self.together)
            checking_ns += captures * CAPTURED_TURN_NS + frames * CAPTURED_NS
        return checking_ns

    def slice_ns(self, window_ns: int) -> float:
        """Time is up in the midst of a turn, and of a call, on average, which is then brought to
        its end; the warm-up has one turn more, and passes a ring once, but in no longer time than
        the window has."""
        turn_ns, call_ns = self.turn * self.send_ns, self.call * self.send_ns
        pass_ns = 0.0 if self.queue else min(self.slots * self.send_ns, window_ns)
        sending_ns = max(WARMUP_NS + turn_ns / 2, 2 * turn_ns, pass_ns + turn_ns / 2) + turn_ns
        sending_ns += max(window_ns + call_ns / 2, call_ns)
        if self.queue:
            shaped_ns = self.queue.slice_ns(
                WARMUP_NS,
                window_ns,
                self.send_ns / self.threads,
                self.turn * self.threads,
                self.call * self.threads,
            )
            sending_ns = max(sending_ns, min(shaped_ns, sending_ns + 2 * DRAIN_NS))
        return self.overhead_ns + self.call_ns + sending_ns


def _sender(cell: Cell, memory: Memory, cpus: int, machine: ProcFs) -> _Sender:
    values, interface = cell.values, cell.values["interface"]
    burst, flows = int(values["burst"] or 1), int(values["flows"] or 1)  # type: ignore[arg-type]
    slots, held = memory.ring_frames, shaper(values)
    is_program = cell.engine == EXEC
    is_captured = interface is not None and _mapping(interface)["kind"] not in UNCAPTURED
    return _Sender(
        threads=cell.threads,
        turn=burst if values["burst"] else SINGLE_TURN,
        call=burst,
        send_ns=SEND_NS + SEND_BYTE_NS * cell.frame_size if interface else NULL_NS,
        call_ns=call_ns(cell.engine),
        overhead_ns=SLICE_NS
        + (PROGRAM_SLICE_NS if is_program else 0)
        + (COUNTED_NS if interface else 0)
        + (CROWDED_NS if 1 < cpus <= cell.threads else 0),
        start_ns=PROGRAM_START_NS if is_program else 0,
        slots=slots,
        checked=max(slots, flows) + 2 * burst if interface else 0,
        is_captured=is_captured,
        together=min(slots, SENT_TOGETHER),
        memory=memory.bytes,
        queue=queue_of(values, held, slots, machine) if held else None,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
