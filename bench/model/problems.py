"""Why a sample must not be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """What was wrong, as run files name it."""

    NOT_PINNED = "not_pinned"
    NOT_DRAINED = "not_drained"
    QUEUED_BEFORE = "queued_before"
    STILL_QUEUED = "still_queued"
    FOREIGN = "foreign"
    UNEXPLAINED = "unexplained"
    WRONG_LENGTH = "wrong_length"
    LATE = "late"
    TOO_MANY = "too_many"
    OTHER = "other"
    """A text alone: of a run that had no codes, or of a later version."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong with a sample.

    ``count`` is in frames. UNEXPLAINED: ``delivered`` of ``completed`` frames arrived.
    LATE: ``count`` frames were ours, and left after the wait for them was over. TOO_MANY: of
    ``completed`` frames of a window ``count`` are more than its time lets pass.
    WRONG_LENGTH: ``count`` frames had ``bytes`` in all, and ``meant`` bytes each were sent.
    ``told`` is the text of OTHER.
    """

    code: Code
    count: int = 0
    delivered: int = 0
    completed: int = 0
    bytes: int = 0
    meant: int = 0
    told: str = ""

    @property
    def text(self) -> str:
        match self.code:
            case Code.NOT_PINNED:
                return "a thread was not on its CPU"
            case Code.NOT_DRAINED:
                return "not drained: the kernel still owned frames at the deadline"
            case Code.QUEUED_BEFORE:
                return f"{_frames(self.count)} in the qdisc before the slice"
            case Code.STILL_QUEUED:
                return f"{_frames(self.count)} still in the qdisc"
            case Code.FOREIGN:
                return f"{self.count} foreign frame{'' if self.count == 1 else 's'}"
            case Code.LATE:
                return (
                    f"{_frames(self.count)} of ours left late, when the wait for the queue was over"
                )
            case Code.TOO_MANY:
                return (
                    f"{_frames(self.count)} of {self.completed} more than the shaper lets pass in "
                    "the window: it was held up before, and caught up"
                )
            case Code.UNEXPLAINED:
                arrived = f"delivered {self.delivered} of {self.completed} completed"
                return f"{arrived}, {self.count} unexplained"
            case Code.WRONG_LENGTH:
                length = self.bytes / max(1, self.count)
                return f"wrong length: {length:.10g} bytes per frame, {self.meant} meant"
        return self.told


REASONS = {
    Code.NOT_PINNED: "a thread was not on its CPU",
    Code.NOT_DRAINED: "the kernel still owned frames at the deadline",
    Code.QUEUED_BEFORE: "frames were in the qdisc before",
    Code.STILL_QUEUED: "frames stayed in the qdisc",
    Code.FOREIGN: "foreign frames",
    Code.LATE: "frames of ours left late",
    Code.TOO_MANY: "more frames than the shaper lets pass",
    Code.UNEXPLAINED: "frames are missing",
    Code.WRONG_LENGTH: "frames of a wrong length",
}
"""In a few words without numbers, for what tells of many samples; OTHER has none."""


def joined(problems: Sequence[Problem]) -> str:
    """All of them as one text; empty where there is none."""
    return "; ".join(problem.text for problem in problems)


def commonest(problems: Sequence[Problem]) -> tuple[Code, str]:
    """The commonest kind, and its text at its worst: numbers differ from sample to sample."""
    if not problems:
        return Code.OTHER, ""
    ((kind, times),) = Counter((p.code, p.told) for p in problems).most_common(1)
    alike = [problem for problem in problems if (problem.code, problem.told) == kind]
    worst = max(alike, key=lambda problem: problem.count)
    many = f" (the worst of {times} samples)" if len({*alike}) > 1 else ""
    return worst.code, worst.text + many


def _frames(count: int) -> str:
    return f"{count} frame{'' if count == 1 else 's'}"
