"""A check, its context, and its findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bench.doctor.readings import Watched
from bench.model.needs import Needs
from bench.system.procfs import ProcFs


class Level(StrEnum):
    """The damage that a finding does, the most serious first."""

    BAD = "bad"
    """Figures mean little until it is mended."""
    WARN = "warn"
    """Figures are noisier or slower than the machine's own."""
    NOTE = "note"
    """Figures hold, but not for a machine that differs in this."""
    UNKNOWN = "unknown"
    """It cannot be seen here."""
    OK = "ok"


class Found(NamedTuple):
    """A check's answer: a short clause with its values, and the command that mends it."""

    level: Level
    what: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A check's answer with its name, and why it matters to a packet sender."""

    level: Level
    check: str
    found: str
    why: str
    mend: str


@dataclass(frozen=True, slots=True)
class Context:
    """The planned measurement: thread i of a cell sends on ``cpus[i]``."""

    cpus: tuple[int, ...]
    needs: Needs | None
    watched: Watched

    @property
    def threads(self) -> int:
        """The most senders at a time; one without a matrix."""
        return self.needs.threads if self.needs else 1

    @property
    def senders(self) -> tuple[int, ...]:
        """The CPUs that cells use; without a matrix, all that a cell could use."""
        return self.cpus[: self.needs.threads] if self.needs else self.cpus


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table.

    ``why`` is the fact about kernel or hardware behind it, in one sentence. ``look`` finds
    nothing if the check does not apply. It raises ValueError or LookupError if the kernel's text
    was not as expected.
    """

    name: str
    why: str
    look: Callable[[ProcFs, Context], Found | Iterable[Found]]
