"""Rows of a table."""

from __future__ import annotations

from dataclasses import dataclass

from bench.model.cells import Cell

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
        return f"{self.count} {self.code}" if self.count else self.code

    def __str__(self) -> str:
        return f"{self.mark}: {self.text}"


@dataclass(frozen=True, slots=True)
class CellResult:
    """One row of the table: a cell and what its samples say.

    ``failure`` is empty for a cell that ran. ``pps`` in frames per second, ``ns_per_frame`` in
    CPU nanoseconds of the sending threads per completed frame; the ratios are to the baseline
    cell, taken within rounds (``ratio`` of pps: above 1 is faster; ``ratio_ns`` of ns/frame:
    below 1 is cheaper). ``cpu_share`` is the fraction of its CPU that the sender got while it was
    not blocked. ``slaves`` are the fractions of the delivered frames that each slave of a bond
    carried. ``is_fastest`` says that its pps is above that of every rival in the same rounds (see
    stats.py). ``disturbed`` samples were left out for what others did to the sender; in ``moved``
    ones a thread that was not pinned ended its window on another CPU than it began on. The shares
    of steal and softirq are of the time of the cell's CPUs, None in a run that did not read them.
    Counts are sums over the valid samples' windows (``interrupts``: slices; ``foreign`` frames: of
    the invalid ones too).
    """

    cell: Cell
    failure: str = ""
    is_baseline: bool = False
    is_fastest: bool = False
    rounds: int = 0
    invalid: int = 0
    invalid_reason: str = ""
    disturbed: int = 0
    moved: int = 0
    pps: Estimate | None = None
    gbps: Estimate | None = None
    ns_per_frame: Estimate | None = None
    ratio: Estimate | None = None
    ratio_ns: Estimate | None = None
    frames_per_call: float | None = None
    cpu_share: float | None = None
    user_share: float | None = None
    steal_share: float | None = None
    softirq_share: float | None = None
    interrupts: int = 0
    involuntary: int = 0
    foreign: int = 0
    completed: int = 0
    lost: int = 0
    drops: int = 0
    eagain: int = 0
    enobufs: int = 0
    full_waits: int = 0
    short_counts: int = 0
    wmem_high: int = 0
    sndbuf: int = 0
    slaves: tuple[float, ...] = ()
    notes: tuple[Note, ...] = ()
