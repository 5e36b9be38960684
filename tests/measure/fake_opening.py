"""An opening that measures nothing: its samples are a function's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from bench.base.errors import BenchError
from bench.measure.messages import Failure
from bench.measure.opening import Facts, Setting, Turn
from bench.model.cells import Cell
from bench.model.samples import Sample, ThreadSample

WINDOW_NS = 1_000_000


def steady(cell: Cell, round_: int) -> Sample:
    """A slice at one frame a microsecond."""
    return at_rate(cell, round_, 1e6)


def at_rate(cell: Cell, round_: int, pps: float) -> Sample:
    completed = int(pps * WINDOW_NS / 1e9)
    thread = ThreadSample(
        cpu=0, wall_ns=WINDOW_NS, cpu_ns=WINDOW_NS, completed=completed, calls=completed
    )
    return Sample(
        cell=cell.id,
        round=round_,
        at_ns=0,
        wall_ns=WINDOW_NS,
        threads=(thread,),
        slice_completed=completed,
        delivered=completed,
    )


@dataclass
class FakeOpening:
    """Gives samples of ``sample(cell, round)``, and notes what it is asked.

    ``refused`` maps methods to why they have nothing to run on, ``unopenable`` to why their cells
    cannot be opened; ``broken`` is raised by ``open``; ``facts`` gives what a cell has in an
    opening, which is otherwise its place in the order. Call it as the class of an opening is.
    """

    sample: Callable[[Cell, int], Sample | Failure] = steady
    refused: Mapping[str, BenchError] = field(default_factory=dict)
    unopenable: Mapping[str, str] = field(default_factory=dict)
    broken: BenchError | None = None
    facts: Callable[[Cell, int], int] | None = None
    opened: list[str] = field(default_factory=list)
    slices: list[tuple[int, str, tuple[str, ...]]] = field(default_factory=list)
    """Round, cell, and those to come after it."""
    announced: list[tuple[Turn, Turn | None]] = field(default_factory=list)
    """Each slice, and the one that may begin at once."""
    cells_of: list[list[str]] = field(default_factory=list)
    """The cells of each opening that was made."""
    is_open: bool = False
    closed: int = 0

    def __call__(self, setting: Setting, cells: Sequence[Cell]) -> Self:
        assert not self.is_open
        self.cells_of.append([cell.id for cell in cells])
        self.opened.clear()
        self.setting, self.cells = setting, {cell.id: cell for cell in cells}
        return self

    def open(self) -> Mapping[str, BenchError]:
        if self.broken:
            raise self.broken
        self.is_open = True
        return {
            cell.id: self.refused[cell.method]
            for cell in self.cells.values()
            if cell.method in self.refused
        }

    def open_cell(self, cell: str) -> Facts | Failure:
        assert self.is_open
        self.opened.append(cell)
        reason = self.unopenable.get(self.cells[cell].method)
        if reason:
            return Failure(reason)
        own = self.facts and self.facts(self.cells[cell], len(self.cells_of))
        return {"sndbuf": own or len(self.opened)}

    def run_slice(
        self, cell: str, round_: int, upcoming: Sequence[str], then: Turn | None = None
    ) -> Sample | Failure:
        assert self.is_open
        assert cell in self.opened
        self.slices.append((round_, cell, tuple(upcoming)))
        self.announced.append(((cell, round_), then))
        answer = self.sample(self.cells[cell], round_)
        if isinstance(answer, Failure):
            return answer
        return replace(answer, at_ns=len(self.slices))  # one after the other

    def is_of(self, turn: Turn, method: str) -> bool:
        return self.cells[turn[0]].method == method

    def close(self) -> None:
        self.is_open = False
        self.closed += 1
