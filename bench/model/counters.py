"""THE table of counters: what summaries count, and records and tables show of each cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.model.samples import Sample


def largest(counts: Iterable[int]) -> int:
    """0 of none."""
    return max(counts, default=0)


@dataclass(frozen=True, slots=True)
class Counter:
    """A count of each sample; a row has them put together by ``over`` (``sum`` or ``largest``).

    Records have it as ``name``, with its unit unless it counts events. A table has a column for it
    if it has a ``label`` and any cell counted something. Only valid samples count, or with
    ``also_invalid`` all.
    """

    name: str
    of: Callable[[Sample], int]
    over: Callable[[Iterable[int]], int] = sum
    label: str = ""
    also_invalid: bool = False


COUNTERS = (
    Counter("interrupts", lambda sample: sample.interrupts),
    Counter("involuntary_switches", lambda sample: sample.total("involuntary")),
    Counter("foreign_frames", lambda sample: sample.foreign, also_invalid=True),
    Counter("completed_frames", lambda sample: sample.total("completed")),
    Counter("drops", lambda sample: sample.drops, label="drops"),
    Counter("eagain", lambda sample: sample.total("eagain"), label="EAGAIN"),
    Counter("enobufs", lambda sample: sample.total("enobufs"), label="ENOBUFS"),
    Counter("malformed_frames", lambda sample: sample.total("malformed"), label="malformed"),
    Counter("full_waits", lambda sample: sample.total("full_waits")),
    Counter("short_counts", lambda sample: sample.total("short_counts")),
    Counter("wmem_high_bytes", lambda sample: sample.most("wmem_high"), over=largest),
)
"""``interrupts`` are of the whole machine over the slices, ``drops`` and ``foreign_frames`` of the
whole slices, the others of the windows."""
