"""Summaries of a folder's runs, kept outside of it, so that a file is read once.

One file for each folder, in the user's cache folder. A run is taken from it as long as its file has
the size and the time of change that it had. All of it can be made again: what is damaged, or of
other sources of bench, is not there; where it cannot be written, there is none.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from bench.base import files
from bench.base.errors import BenchError
from bench.model.cells import Cell
from bench.model.header import RunHeader
from bench.model.summaries import RunSummary
from bench.store.summaries import Column, Table

if TYPE_CHECKING:
    from array import array

T = TypeVar("T")

SOURCES = ("analysis", "model", "store")
"""The folders that decide what a summary is."""


class _Run(msgspec.Struct, array_like=True):
    """A run; what is alike in many is a number of a text. Columns of zeros are empty."""

    name: str
    size: int
    mtime_ns: int
    header: bytes
    cells: int
    calibration: int
    baselines: int
    thresholds: int
    ids: int
    estimates: dict[str, dict[str, memoryview]]
    openings: dict[int, dict[str, memoryview]]
    notes: dict[str, dict[str, int]]
    failures: dict[str, str]
    end: str
    warnings: list[str]


class _Content(msgspec.Struct, array_like=True):
    sources: str
    texts: list[bytes]
    runs: list[_Run]


class Cache:
    """Of a folder of runs; ``get`` and ``put`` runs, then ``save`` what is to be kept."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._path = folder, _path_for(folder)
        content = _read(self._path)
        self._texts: list[bytes] = content.texts
        self._numbers = {text: number for number, text in enumerate(content.texts)}
        self._known: dict[int, tuple[object, int]] = {}
        self._decoded: dict[tuple[int, type], Any] = {}
        self._runs = {run.name: run for run in content.runs}
        self._is_changed = False

    def get(self, path: Path, stat: os.stat_result) -> RunSummary | None:
        """A run as it was put, if its file has not changed since."""
        run = self._runs.get(path.name)
        if run is None or (run.size, run.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            return None
        try:
            return self._summary(path, run)
        except (ValueError, LookupError, TypeError):  # not as ``put`` makes it
            return None

    def put(self, path: Path, stat: os.stat_result, run: RunSummary) -> None:
        table = Table.of(run.summaries)
        header = replace(run.header, baselines={}, thresholds={})
        self._is_changed = True
        self._runs[path.name] = _Run(
            name=path.name,
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            header=msgspec.json.encode(header),
            cells=self._number_of(run.cells),
            calibration=self._number_of(run.calibration),
            baselines=self._number_of(run.header.baselines),
            thresholds=self._number_of(run.header.thresholds),
            ids=self._number_of(table.cells),
            estimates={figure: _bytes(columns) for figure, columns in table.estimates.items()},
            openings={number: _bytes(columns) for number, columns in table.openings.items()},
            notes={cell: dict(notes) for cell, notes in table.notes.items()},
            failures=dict(run.failures),
            end=run.end,
            warnings=[*run.warnings],
        )

    def save(self, names: Iterable[str]) -> None:
        """Keep the runs of these names, if they are not kept as they are."""
        runs = [self._runs[name] for name in names if name in self._runs]
        if self._path is None or not (self._is_changed or len(runs) < len(self._runs)):
            return
        content = msgspec.msgpack.encode(_Content(_sources(), self._texts, runs))
        with suppress(OSError, BenchError):
            files.make_folders(self._path.parent, mode=0o700)
            files.write_bytes(self._path, _checksum(content) + content)

    def _summary(self, path: Path, run: _Run) -> RunSummary:
        ids = self._text(run.ids, tuple[str, ...])
        zeros = memoryview(bytes(8 * len(ids)))
        header = replace(
            msgspec.json.decode(run.header, type=RunHeader),
            baselines=self._text(run.baselines, dict[str, str]),
            thresholds=self._text(run.thresholds, dict[str, float]),
        )
        return RunSummary(
            path=str(path),
            header=header,
            cells=self._text(run.cells, tuple[Cell, ...]),
            calibration=self._text(run.calibration, tuple[Cell, ...]),
            summaries=Table(
                ids,
                {figure: _columns(of, zeros) for figure, of in run.estimates.items()},
                {number: _columns(of, zeros) for number, of in run.openings.items()},
                run.notes,
            ),
            failures=run.failures,
            end=run.end,
            warnings=(*run.warnings,),
        )

    def _number_of(self, value: object) -> int:
        """The number of a value's text; of the same object it is made once."""
        if id(value) not in self._known:
            text = msgspec.json.encode(value)
            if text not in self._numbers:
                self._numbers[text] = len(self._texts)
                self._texts.append(text)
            number = self._numbers[text]
            self._known[id(value)] = (value, number)
        return self._known[id(value)][1]

    def _text(self, number: int, type_: type[T]) -> T:
        """The value of a text; the same for every run that has it."""
        key = (number, type_)
        if key not in self._decoded:
            self._decoded[key] = msgspec.json.decode(self._texts[number], type=type_)
        known: T = self._decoded[key]
        return known


def _path_for(folder: Path) -> Path | None:
    """The file of a folder; None where the user has no home."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    try:
        root = Path(named) if named.startswith("/") else Path.home() / ".cache"
        known = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
    except (RuntimeError, OSError):
        return None
    return root / "bench" / f"{known}.summaries"


def _read(path: Path | None) -> _Content:
    """What a file has; nothing where it is not there, damaged, or made by other sources."""
    with suppress(OSError, msgspec.MsgspecError):
        content = memoryview(path.read_bytes() if path else b"")
        if content[:4] == _checksum(content[4:]):
            found = msgspec.msgpack.decode(content[4:], type=_Content)
            if found.sources == _sources():
                return found
    return _Content(_sources(), [], [])


def _checksum(content: bytes | memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(4, "little")


@cache
def _sources() -> str:
    """A hash of what decides what is kept."""
    root = Path(__file__).parents[1]
    found = sorted(path for name in SOURCES for path in (root / name).glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in found)).hexdigest()


def _bytes(columns: Mapping[str, Column]) -> dict[str, memoryview]:
    return {
        name: memoryview(cast("array[float]", column)).cast("B") if any(column) else memoryview(b"")
        for name, column in columns.items()
    }


def _columns(columns: Mapping[str, memoryview], zeros: memoryview) -> dict[str, Column]:
    """Numbers of 8 bytes each, as long as ``zeros``. Raises ValueError for others."""
    return {name: _column(name, of if len(of) else zeros, zeros) for name, of in columns.items()}


def _column(name: str, of: memoryview, zeros: memoryview) -> Sequence[float]:
    if len(of) != len(zeros):
        raise ValueError(name)
    column: Sequence[float] = of.cast("q" if name in ("n", "rounds") else "d")
    return column
