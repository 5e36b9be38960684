"""What a check is, what it is given, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from bench.doctor.readings import Watched
from bench.model.needs import Needs
from bench.system.procfs import Machine


class Level(StrEnum):
    """How much a finding spoils, the most serious first."""

    BAD = "bad"
    """Figures mean little until it is mended."""
    WARN = "warn"
    """Figures are noisier or slower than the machine's own."""
    NOTE = "note"
    """Figures hold, but not for a machine on which this is otherwise."""
    UNKNOWN = "unknown"
    """It cannot be seen here."""
    OK = "ok"


class Found(NamedTuple):
    """What one check says: a short clause with its values, and the command that mends it."""

    level: Level
    what: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found by which check, why it matters to a packet sender, and what mends it."""

    level: Level
    check: str
    found: str
    why: str
    mend: str


@dataclass(frozen=True, slots=True)
class Context:
    """What is to be measured: thread i of a cell sends on ``cpus[i]``."""

    cpus: tuple[int, ...]
    needs: Needs | None
    watched: Watched

    @property
    def threads(self) -> int:
        """How many send at a time, at most; one without a matrix."""
        return self.needs.threads if self.needs else 1

    @property
    def senders(self) -> tuple[int, ...]:
        """The CPUs that cells use; without a matrix those that one could use."""
        return self.cpus[: self.needs.threads] if self.needs else self.cpus


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the table.

    ``why`` is the fact of the kernel or of the hardware behind it, in one sentence. ``look``
    finds nothing where the check does not apply. A ValueError or LookupError of it says that
    the kernel's text was not as expected.
    """

    name: str
    why: str
    look: Callable[[Machine, Context], Found | Iterable[Found]]
