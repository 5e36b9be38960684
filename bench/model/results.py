"""Rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.model.cells import Cell
from bench.model.problems import Code

LARGEST_INTEGER = 2**63 - 1
"""That a run file has: one of any length may be too large for a float."""


# Results


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median over rounds with its 95 % interval; ``low`` is None where there is none."""

    value: float
    low: float | None
    high: float | None
    n: int

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, relative to the value."""
        if self.low is None or self.high is None or self.value == 0:
            return None
        return (self.high - self.low) / 2 / abs(self.value)


def mark_of(code: str, count: int) -> str:
    """A note in short: ``starved``, ``3 disturbed``."""
    return f"{count} {code}" if count else code


@dataclass(frozen=True, slots=True)
class Note:
    """What a reader must know of a row: a word for it, its explanation, and how many samples.

    ``count`` is 0 where it is of the row as a whole.
    """

    code: str
    text: str
    count: int = 0

    @property
    def mark(self) -> str:
        """As a row shows it: rows with different counts share an explanation."""
        return mark_of(self.code, self.count)

    def __str__(self) -> str:
        return f"{self.mark}: {self.text}"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many samples of a cell its figures are made of (``rounds``), and how many are left out.

    ``invalid`` ones cannot be used; ``invalid_reason`` is the commonest reason, of
    the kind ``invalid_code``. ``disturbed`` ones
    were left out for what others did to the sender. ``moved`` ones are among the ``rounds``: in
    them a thread ended its window on another CPU than it began on.
    """

    rounds: int = 0
    invalid: int = 0
    invalid_reason: str = ""
    invalid_code: Code = Code.OTHER
    disturbed: int = 0
    moved: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What is estimated of a cell, with intervals; None where it cannot be.

    ``pps`` in frames per second, ``ns_per_frame`` in CPU nanoseconds of the sending threads per
    completed frame; the ratios are to the baseline cell, taken within rounds (``ratio`` of pps:
    above 1 is faster; ``ratio_ns`` of ns/frame: below 1 is cheaper).
    """

    pps: Estimate | None = None
    gbps: Estimate | None = None
    ns_per_frame: Estimate | None = None
    ratio: Estimate | None = None
    ratio_ns: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Averages:
    """One number for all valid samples of a cell; None where there is none, or it was not read.

    Shares are fractions: ``cpu_share`` of its CPU, what the sender got while it was not blocked;
    ``user_share`` of the sender's CPU time, what it spent outside the kernel; ``steal_share`` and
    ``softirq_share`` of the time of the cell's CPUs.
    """

    frames_per_call: float | None = None
    cpu_share: float | None = None
    user_share: float | None = None
    steal_share: float | None = None
    softirq_share: float | None = None


@dataclass(frozen=True, slots=True)
class CellResult:
    """One row of the table: a cell and what its samples say.

    ``failure`` is empty for a cell that ran. ``is_fastest`` says that its pps is above that of
    every rival in the same rounds (analysis.contests). ``counts`` has the rows of COUNTERS by name;
    what is not there was not counted. ``sndbuf_bytes`` is the send buffer that the kernel gave.
    ``slaves`` are the fractions of the delivered frames that each slave of a bond carried.
    """

    cell: Cell
    failure: str = ""
    is_baseline: bool = False
    is_fastest: bool = False
    tally: Tally = Tally()
    figures: Figures = Figures()
    averages: Averages = Averages()
    counts: Mapping[str, int] = field(default_factory=dict)
    sndbuf_bytes: int = 0
    slaves: tuple[float, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def is_measured(self) -> bool:
        """Whether it has figures: there was a valid sample."""
        return self.figures.pps is not None
