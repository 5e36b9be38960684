"""What a run answers: which cell won where, and what each axis is worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from bench.base.values import Value
from bench.model.results import Estimate

# Contests


@dataclass(frozen=True, slots=True)
class Rival:
    """A cell that the leader is compared with; ``lead`` is the leader's pps over its pps, within
    rounds."""

    cell: str
    lead: Estimate | None

    @property
    def is_beaten(self) -> bool:
        return self.lead is not None and self.lead.low is not None and self.lead.low > 1


@dataclass(frozen=True, slots=True)
class Contest:
    """Cells of one place and workload, which compete; ids of cells.

    ``leader`` has the highest median pps, ``rivals`` are in the order of theirs. ``lossy`` ones
    completed frames that were dropped: they compete only where every cell is one.
    """

    place: Mapping[str, Value]
    workload: Mapping[str, Value]
    leader: str
    rivals: tuple[Rival, ...] = ()
    lossy: tuple[str, ...] = ()

    @property
    def is_decided(self) -> bool:
        """Whether the leader was faster than every rival."""
        return bool(self.rivals) and all(rival.is_beaten for rival in self.rivals)


# Effects

NEGLIGIBLE = 0.01
"""An effect whose whole interval is nearer to 1 is none that anybody need heed."""


class Worth(Enum):
    """What an effect's interval shows."""

    FASTER = "faster"
    SLOWER = "slower"
    NEGLIGIBLE = "negligible"
    """The interval lies within 1 ± NEGLIGIBLE."""
    OPEN = "open"
    """The interval holds 1 and more, or there is none."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a value of an axis is worth over another: the ratio of pps, all else equal.

    ``pairs`` are ids of cells that differ in the axis alone: with the value, and without it.
    ``ratio`` is the mean over the pairs (of logarithms of medians over rounds), ``n`` the rounds of
    the pair with the fewest. ``among`` is what the pairs have in common: method, interface, and
    the values by which parts differ. Pairs that disagree beyond chance are in ``parts``, by the
    values of the axis ``split``: then the mean says little. ``ratio_ns`` is that of ns/frame over
    the same pairs; whether they disagree is asked of pps alone.
    """

    axis: str
    value: Value
    over: Value
    among: Mapping[str, Value]
    pairs: tuple[tuple[str, str], ...]
    ratio: Estimate
    ratio_ns: Estimate
    split: str = ""
    parts: tuple[Effect, ...] = ()

    def leaves(self) -> Iterator[Effect]:
        """Itself, or its parts as far as they are split."""
        if not self.parts:
            yield self
        for part in self.parts:
            yield from part.leaves()

    @property
    def worth(self) -> Worth:
        low, high = self.ratio.low, self.ratio.high
        if low is None or high is None:
            return Worth.OPEN
        if low >= 1 - NEGLIGIBLE and high <= 1 + NEGLIGIBLE:
            return Worth.NEGLIGIBLE
        if low <= 1 <= high:
            return Worth.OPEN
        return Worth.FASTER if low > 1 else Worth.SLOWER


# The answer


@dataclass(frozen=True, slots=True)
class Answer:
    """``failures`` maps reasons to the cells without figures ("": not run); ``marked`` the code of
    a note to the cells that have it. ``alone`` are axes with several values, and no two cells that
    differ in one of them alone."""

    contests: tuple[Contest, ...] = ()
    effects: tuple[Effect, ...] = ()
    failures: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    marked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    alone: tuple[str, ...] = ()
