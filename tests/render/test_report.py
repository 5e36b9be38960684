"""What a heading says of a run, from its file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bench.model.run import Run
from bench.model.samples import Sample
from bench.render import report
from tests.builders import a_cell, a_run, a_sample, a_thread

CELL = a_cell("c1")


def sample(round_: int, **fields: int) -> Sample:
    return a_sample("c1", round_, threads=(a_thread(completed=5, involuntary=round_),), **fields)


def heading(run: Run) -> dict[str, str]:
    return {fact.label: fact.text for fact in report.make_report(run).facts}


def disturbance(*samples: Sample) -> str:
    """What the heading says was going on beside the senders."""
    return heading(a_run(samples, [CELL])).get("disturbance", "")


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
        assert "in 1 rounds" in heading(a_run(samples, every))["measured"]
        return passes

    assert looks(100) == looks(2)


def test_a_run_whose_samples_do_not_say_what_their_cpus_did_says_what_it_can() -> None:
    old = sample(2)
    assert disturbance(old, replace(old, round=3)) == "4 involuntary switches in 2 slices"
    assert disturbance() == ""


def intervals(rounds: int, openings: int) -> str | None:
    samples = [
        a_sample("c1", number, opening=number // rounds) for number in range(rounds * openings)
    ]
    return heading(a_run(samples, [CELL])).get("intervals")


def test_a_run_of_several_openings_says_what_its_intervals_are_of() -> None:
    assert intervals(5, 3) == "from 3 openings"
    assert intervals(20, 2) == "of the rounds alone: another run may differ by more"
    assert intervals(4, 3) == "of the rounds alone: another run may differ by more"
    assert not intervals(40, 1)
