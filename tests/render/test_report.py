"""What a heading says of a run, from its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.model.axes import AXES
from bench.model.cells import Cell
from bench.model.run import Run
from bench.model.samples import Sample, ThreadSample
from bench.render import report
from bench.system import host

CELL = Cell("c1", dict.fromkeys(AXES) | {"method": "send", "frame_size": 64, "threads": 1})


def sample(round_: int, **fields: int) -> Sample:
    thread = ThreadSample(cpu=1, wall_ns=10, cpu_ns=9, completed=5, involuntary=round_)
    return Sample("c1", round_, 0, 10, (thread,), slice_completed=5, delivered=5, **fields)


def a_run(cells: tuple[Cell, ...], samples: tuple[Sample, ...]) -> Run:
    header = {
        "started": "2026-01-02T03:04:05+00:00",
        "matrix": {"name": "m", "description": "", "baseline": None},
        "measure": {"precision": 0.01, "window_ns": 10, "seed": 1},
        "core": {"hash": "h", "compiler": "gcc"},
        "host": host.fingerprint(),
    }
    return Run("r.jsonl", header, cells, {}, {}, {}, samples, end="done")


def disturbance(*samples: Sample) -> str:
    """What the heading says was going on beside the senders."""
    return dict(report.make_report(a_run((CELL,), samples)).facts).get("disturbance", "")


def test_what_disturbed_a_run_is_told_of_all_its_samples() -> None:
    """Of a run that was resumed, too: not of its last part alone."""
    first = sample(1, cpus_ns=100_000_000, steal_ns=10_000_000, interrupts=7)
    second = sample(2, cpus_ns=300_000_000, softirq_ns=20_000_000, interrupts=4)
    said = "steal 2.5%, softirq 5.0% of the senders' CPUs; 11 interrupts, "
    assert disturbance(first, second) == f"{said}3 involuntary switches in 2 slices"


def test_the_samples_are_gone_through_once_however_many_cells_there_are() -> None:
    """Cells times samples took minutes of a large run."""
    passes = 0

    class Samples(tuple[Sample, ...]):
        def __iter__(self) -> Iterator[Sample]:
            nonlocal passes
            passes += 1
            return super().__iter__()

    def looks(cells: int) -> int:
        nonlocal passes
        passes = 0
        every = tuple(replace(CELL, id=f"c{number}") for number in range(cells))
        samples = Samples(replace(sample(1), cell=cell.id) for cell in every)
        heading = dict(report.make_report(a_run(every, samples)).facts)
        assert "in 1 rounds" in heading["measured"]
        return passes

    assert looks(100) == looks(2)


def test_a_run_whose_samples_do_not_say_what_their_cpus_did_says_what_it_can() -> None:
    old = sample(2)
    assert disturbance(old, replace(old, round=3)) == "4 involuntary switches in 2 slices"
    assert disturbance() == ""
