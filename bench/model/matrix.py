"""A matrix file after validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.base.values import Value

# The matrix


@dataclass(frozen=True, slots=True)
class Rounds:
    min: int = 40
    max: int = 400

    @property
    def by_precision(self) -> bool:
        """Whether precision decides how many rounds a cell gets."""
        return self.min < self.max


@dataclass(frozen=True, slots=True)
class Measure:
    """How long and how often; these are the defaults of a matrix file."""

    window_ns: int = 10_000_000
    rounds: Rounds = field(default_factory=Rounds)
    openings: int = 1
    """Among which the rounds are shared: each in fresh processes, with fresh namespaces, sockets,
    rings and memory."""
    precision: float = 0.01
    """Half-width of the 95 % interval of the ratio to the baseline, as a fraction."""
    seed: int = 1
    cpus: tuple[int, ...] | None = None
    """CPU numbers, thread i on ``cpus[i]``; None is ``auto``: all that may be used."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a matrix file; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Matrix:
    """A matrix file after validation.

    ``axes`` has only the axes that the file names, each with its canonical values in order.
    ``zip`` lists groups of axes that advance together. ``exclude`` rules map an axis to the
    values any of which matches; ``include`` rows map an axis to one value. ``thresholds`` are such
    rules with the minimum effect (a fraction) of the cells that they match. ``marks`` maps a
    path into the file (``("axes", "frame_size", 1)``, ``("exclude", 0, "method")``) to its
    place, for the errors of later checks. ``settings`` has the axes whose values are the command
    line's, each with what it says there (``--set burst=1,64``).
    """

    file: str
    text: str
    name: str
    description: str
    axes: Mapping[str, tuple[Value, ...]]
    zip: tuple[tuple[str, ...], ...]
    exclude: tuple[Mapping[str, tuple[Value, ...]], ...]
    include: tuple[Mapping[str, Value], ...]
    measure: Measure
    baseline: Mapping[str, Value] | None
    marks: Mapping[tuple[str | int, ...], Mark] = field(repr=False)
    thresholds: tuple[tuple[Mapping[str, tuple[Value, ...]], float], ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)

    def mark(self, *path: str | int) -> Mark:
        """The place of a path, or of its innermost ancestor that the file has."""
        ancestors = (path[:end] for end in range(len(path), -1, -1))
        return next((self.marks[p] for p in ancestors if p in self.marks), Mark(1, 1))

    def where(self, *path: str | int) -> str:
        """``file:line:column`` of ``mark()``, to begin an error with; or what set the values."""
        match path:
            case ("axes", str() as axis, *_) if axis in self.settings:
                return self.settings[axis]
        mark = self.mark(*path)
        return f"{self.file}:{mark.line}:{mark.column}"
