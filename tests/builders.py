"""Cells, samples and runs for tests: each with what a test does not care about filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bench.base.values import Value
from bench.model.axes import AXES
from bench.model.cells import Cell
from bench.model.header import RunHeader
from bench.model.run import Run
from bench.model.samples import Sample, ThreadSample
from tests.vocabulary import WORDS

WINDOW_NS = 10_000_000


def a_cell(id_: str, **values: Value | None) -> Cell:
    """A cell of one thread; its method bears its id, unless ``values`` say otherwise.

    Of options it has those that are named.
    """
    some: dict[str, Value | None] = {"method": id_, "frame_size": 64, "threads": 1}
    known = dict.fromkeys(AXES) | some | values
    return Cell(id_, {axis: known[axis] for axis in WORDS.axes if axis in known})


def a_thread(**counts: int) -> ThreadSample:
    """A thread that had CPU 1 for a window of 10 ms."""
    return ThreadSample(**({"cpu": 1, "wall_ns": WINDOW_NS, "cpu_ns": WINDOW_NS} | counts))


def a_sample(cell: str = "a", round_: int = 0, pps: float = 1e6, **fields: Any) -> Sample:
    """A slice of 10 ms of one thread at a rate in frames per second, 1000 ns of CPU per frame."""
    completed = int(pps * WINDOW_NS / 1e9)
    thread = a_thread(cpu_ns=completed * 1000, completed=completed, calls=completed)
    some: dict[str, Any] = {
        "at_ns": round_ + 1,
        "wall_ns": WINDOW_NS,
        "threads": (thread,),
        "slice_completed": completed,
        "delivered": completed,
    }
    return Sample(cell, round_, **(some | fields))


def a_header(**fields: Any) -> RunHeader:
    """The header of a run of the matrix m; ``fields`` as JSON has them."""
    some = {"matrix": {"name": "m"}, "baselines": {}}
    return msgspec.convert(some | fields, RunHeader)


def a_run(
    samples: Iterable[Sample] = (),
    cells: Iterable[Cell] = (),
    baselines: Mapping[str, str] | None = None,
    header: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Run:
    """A run that ended; its cells are those of the samples, unless they are given."""
    measured = tuple(samples)
    named = tuple(cells) or [a_cell(id_) for id_ in dict.fromkeys(s.cell for s in measured)]
    some = {"path": "r.jsonl", "facts": {}, "failures": {}, "end": "done"}
    return Run(
        header=a_header(**{"baselines": baselines or {}, **(header or {})}),
        cells=tuple(named),
        samples=measured,
        **(some | fields),
    )
