"""The figures of one sample, and which samples are used: one definition for every verb."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from bench.analysis.openings import ByOpening
from bench.model.run import Run
from bench.model.samples import Sample

MIN_SHARE = 0.95
"""A sender that got less of its CPU than this is marked as starved."""


DISTURBED = 0.05
"""A sample is disturbed when a sender that wanted its CPU did not have it for more of its window:
another thread ran, or the hypervisor had the CPU (steal is no CPU time where the kernel has
CONFIG_PARAVIRT_TIME_ACCOUNTING)."""


MOST_DISTURBED = 0.10
"""Disturbed samples are left out while they are at most so many. If they are more, the cell does
it to itself (ksoftirqd takes over its receive side, say): leaving them out would flatter it."""


# Figures of one sample


class Timed(Protocol):
    """What the figures of a sample need of each of its threads."""

    @property
    def wall_ns(self) -> int: ...
    @property
    def cpu_ns(self) -> int: ...
    @property
    def blocked_ns(self) -> int: ...
    @property
    def completed(self) -> int: ...


class Measured(Protocol):
    """What the figures of a sample need of it: a Sample has that, and what a file has of one."""

    @property
    def cell(self) -> str: ...
    @property
    def round(self) -> int: ...
    @property
    def wall_ns(self) -> int: ...
    @property
    def threads(self) -> Sequence[Timed]: ...
    @property
    def problem(self) -> str: ...


def pps(sample: Measured) -> float:
    """Completed frames per second of the window."""
    return _completed(sample) * 1e9 / sample.wall_ns


def ns_per_frame(sample: Measured) -> float:
    """CPU nanoseconds of the sending threads per completed frame."""
    return _cpu_ns(sample) / _completed(sample)


def _completed(sample: Measured) -> int:
    threads = sample.threads
    if len(threads) == 1:  # mostly; a page of 500 cells asks a million times
        return threads[0].completed
    return sum([thread.completed for thread in threads])


def _cpu_ns(sample: Measured) -> int:
    threads = sample.threads
    return threads[0].cpu_ns if len(threads) == 1 else sum([t.cpu_ns for t in threads])


def cpu_share(sample: Sample) -> float:
    """CPU time over the time that the threads were not blocked, at most 1."""
    wanted = sample.total("wall_ns") - sample.total("blocked_ns")
    return min(1.0, sample.total("cpu_ns") / wanted) if wanted > 0 else 1.0


def why_unusable(sample: Measured) -> str:
    """Why a sample has no figures; empty where it has."""
    if sample.problem:
        return sample.problem
    if sample.wall_ns <= 0:
        return "the window has no length"
    if _completed(sample) <= 0:
        return "no frame completed in the window"
    if _cpu_ns(sample) <= 0:
        return "the senders' CPU clocks stood still in the window"
    return ""


def is_usable(sample: Measured) -> bool:
    return not why_unusable(sample)


def is_disturbed(sample: Measured) -> bool:
    """Whether others had a sender's CPU for a while: says nothing of how fast it was."""
    return any(
        [t.wall_ns - t.blocked_ns - t.cpu_ns > DISTURBED * t.wall_ns for t in sample.threads]
    )


T = TypeVar("T")


def undisturbed(samples: Sequence[T], disturbed: Callable[[T], bool]) -> list[T]:
    """The samples that estimates are made of; all of them where too many are disturbed."""
    calm = [sample for sample in samples if not disturbed(sample)]
    return calm if len(samples) - len(calm) <= MOST_DISTURBED * len(samples) else list(samples)


# Figures of a cell

FIGURES: Mapping[str, Callable[[Sample], float]] = {"pps": pps, "ns_per_frame": ns_per_frame}


def by_opening(samples: Iterable[Sample], of: Callable[[Sample], float]) -> ByOpening:
    """A figure of samples in round order."""
    found: dict[int, list[float]] = {}
    for sample in samples:
        found.setdefault(sample.opening, []).append(of(sample))
    return found


def within_round_ratios(
    samples: Sequence[Sample], base: Sequence[Sample], figure: str
) -> ByOpening:
    """figure(cell) / figure(baseline) for every round that has both, in round order."""
    of = FIGURES[figure]
    known = {sample.round: of(sample) for sample in base}
    both = [sample for sample in samples if known.get(sample.round)]
    return by_opening(both, lambda sample: of(sample) / known[sample.round])


def by_cell(run: Run) -> dict[str, list[Sample]]:
    """Every sample of each cell, as the run has them."""
    found: dict[str, list[Sample]] = {cell.id: [] for cell in run.cells}
    for sample in run.samples:
        if sample.cell in found:
            found[sample.cell].append(sample)
    return found


def usable_by_cell(run: Run) -> dict[str, list[Sample]]:
    """The samples of each cell that estimates are made of, in round order."""
    return {cell: usable(samples) for cell, samples in by_cell(run).items()}


def usable(samples: Sequence[Sample]) -> list[Sample]:
    """Of one cell's samples those that estimates are made of, in round order."""
    in_order = sorted(filter(is_usable, samples), key=lambda s: (s.round, s.at_ns))
    return undisturbed(in_order, is_disturbed)


def share_of_cpus(samples: Sequence[Sample], part: str) -> float | None:
    """Of the time of the cell's CPUs over the slices; None where it was not read."""
    whole = sum(sample.cpus_ns for sample in samples)
    return sum(getattr(sample, part) for sample in samples) / whole if whole else None
