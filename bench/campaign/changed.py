"""What changed in the series of a history, strand by strand; kept until a night is added.

To find changes in a year of 500 cells takes half a second. They depend on the levels, the strands
and the cells alone, so they are kept under a hash of these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from bench.analysis.changes import FALSE_ALARMS, ChangePoint, courses
from bench.analysis.panel import Array
from bench.analysis.series import medians, taken_apart
from bench.campaign.judging import scope_names
from bench.model.cells import Cell
from bench.store import kept

CHANCE = 0.05
"""Of a single false change in all series of a strand and figure."""

ENDING = "changes"

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Changed:
    """A change point: the index of its night, of the one before it, and its size with the 95 %
    interval (fractions); ``why`` is that of an acknowledgement."""

    night: int
    before: int
    size: float
    low: float
    high: float
    why: str = ""

    @property
    def where(self) -> tuple[int, int, str]:
        """What changes of one cause have in common."""
        return self.night, self.before, self.why


@dataclass(frozen=True)
class Found:
    """Of each series by name (cells, then shifts): its values over all nights, (series, nights),
    and its changes in order, where it has some."""

    names: tuple[str, ...]
    values: Array
    changes: Mapping[str, list[Changed]]

    @classmethod
    def of(cls, raw: Array, strands: Sequence[Indices], cells: Sequence[Cell]) -> Self:
        """``raw`` has the levels (nights, cells)."""
        names: tuple[str, ...] = ()
        values = np.empty((0, len(raw)))
        changes: dict[str, list[Changed]] = {}
        for strand in strands:
            apart = taken_apart(raw[strand], len(strand), cells)
            rows = np.vstack([apart.cells + medians(raw[strand])[:, None], apart.shifts])
            if not names:
                names = (*(cell.id for cell in cells), *scope_names(cells, apart.scopes))
                values = np.full((len(names), len(raw)), np.nan)
            values[:, strand] = rows
            known = courses(rows, min(FALSE_ALARMS, CHANCE / len(rows)))
            for name, row, course in zip(names, rows, known, strict=True):
                if course.changes:
                    found = [_changed(change, row, strand) for change in course.changes]
                    changes.setdefault(name, []).extend(found)
        return cls(names, values, changes)


def _changed(change: ChangePoint, row: Array, strand: Indices) -> Changed:
    earlier = np.flatnonzero(np.isfinite(row[: change.night]))
    size, low, high = np.expm1([change.after - change.before, change.low, change.high]).tolist()
    return Changed(int(strand[change.night]), int(strand[earlier[-1]]), size, low, high)


# What is kept


class _Kept(msgspec.Struct, array_like=True):
    """What was found; ``values`` are the bytes of numbers of 8 bytes, row by row."""

    names: tuple[str, ...]
    nights: int
    values: bytes
    changes: dict[str, list[Changed]]

    def found(self) -> Found:
        values = np.frombuffer(self.values).reshape(len(self.names), self.nights)
        return Found(self.names, values, self.changes)


class Changes:
    """Finds what changed, of a folder of runs only what was not found before.

    What is found is kept when ``save`` is called, and what nobody asked for is kept no longer.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._path = kept.path_for(folder, ENDING) if folder else None
        self._before = kept.read(self._path, dict[bytes, _Kept]) or {}
        self._now: dict[bytes, _Kept] = {}

    def of(self, raw: Array, strands: Sequence[Indices], cells: Sequence[Cell]) -> Found:
        """As ``Found.of``."""
        key = _key(raw, strands, cells)
        known = self._before.get(key)
        if known is None:
            found = Found.of(raw, strands, cells)
            known = _Kept(found.names, len(raw), found.values.tobytes(), dict(found.changes))
        self._now[key] = known
        return known.found()

    def save(self) -> None:
        if self._now.keys() != self._before.keys():
            kept.write(self._path, self._now)


def _key(raw: Array, strands: Sequence[Indices], cells: Sequence[Cell]) -> bytes:
    """A hash of all that decides what is found."""
    places = [(cell.id, cell.values["interface"]) for cell in cells]
    head = msgspec.json.encode([raw.shape, [strand.tolist() for strand in strands], places])
    return hashlib.sha256(head + b"\n" + np.ascontiguousarray(raw).tobytes()).digest()
