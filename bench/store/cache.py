"""Levels of a folder's runs, kept outside of it, so that a file is read once.

A run is taken from it as long as its file has the size and the time of change that it had.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import json

from bench.model.cells import Cell
from bench.model.header import RunHeader
from bench.model.leveled import LeveledRun
from bench.store import kept

T = TypeVar("T")

ENDING = "levels"


class _Run(msgspec.Struct, array_like=True):
    """A run; what is alike in many is a number of a text."""

    name: str
    size: int
    mtime_ns: int
    header: bytes
    cells: int
    calibration: int
    baselines: int
    thresholds: int
    ids: int
    levels: dict[str, memoryview]
    notes: Mapping[str, Mapping[str, int]]
    doubts: dict[str, tuple[str, ...]]
    rounds: int
    failures: dict[str, str]
    end: str
    warnings: list[str]


class _Content(msgspec.Struct, array_like=True):
    texts: list[bytes]
    runs: list[_Run]


class Cache:
    """Of a folder of runs; ``get`` and ``put`` runs, then ``save`` what is to be kept."""

    def __init__(self, folder: Path) -> None:
        self._path = kept.path_for(folder, ENDING)
        content = kept.read(self._path, _Content) or _Content([], [])
        self._texts: list[bytes] = content.texts
        self._numbers = {text: number for number, text in enumerate(content.texts)}
        self._known: dict[int, tuple[object, int]] = {}
        self._decoded: dict[tuple[int, type], Any] = {}
        self._runs = {run.name: run for run in content.runs}
        self._is_changed = False

    def get(self, path: Path, stat: os.stat_result) -> LeveledRun | None:
        """A run as it was put, if its file has not changed since."""
        run = self._runs.get(path.name)
        if run is None or (run.size, run.mtime_ns) != (stat.st_size, stat.st_mtime_ns):
            return None
        try:
            return self._leveled(path, run)
        except (ValueError, LookupError, TypeError):  # not as ``put`` makes it
            return None

    def put(self, path: Path, stat: os.stat_result, run: LeveledRun) -> None:
        header = replace(run.header, baselines={}, thresholds={})
        self._is_changed = True
        self._runs[path.name] = _Run(
            name=path.name,
            size=stat.st_size,
            mtime_ns=stat.st_mtime_ns,
            header=json.encode(header),
            cells=self._number_of(run.cells),
            calibration=self._number_of(run.calibration),
            baselines=self._number_of(run.header.baselines),
            thresholds=self._number_of(run.header.thresholds),
            ids=self._number_of(run.ids),
            levels={figure: of.cast("B") for figure, of in run.levels.items()},
            notes=run.notes,
            doubts=dict(run.doubts),
            rounds=run.rounds,
            failures=dict(run.failures),
            end=run.end,
            warnings=[*run.warnings],
        )

    def save(self, names: Iterable[str]) -> None:
        """Keep the runs of these names, if they are not kept as they are."""
        runs = [self._runs[name] for name in names if name in self._runs]
        if self._is_changed or len(runs) < len(self._runs):
            kept.write(self._path, _Content(self._texts, runs))

    def _leveled(self, path: Path, run: _Run) -> LeveledRun:
        ids = self._text(run.ids, tuple[str, ...])
        header = replace(
            json.decode(run.header, type=RunHeader),
            baselines=self._text(run.baselines, dict[str, str]),
            thresholds=self._text(run.thresholds, dict[str, float]),
        )
        return LeveledRun(
            path=str(path),
            header=header,
            cells=self._text(run.cells, tuple[Cell, ...]),
            calibration=self._text(run.calibration, tuple[Cell, ...]),
            ids=ids,
            levels={figure: _numbers(of, len(ids)) for figure, of in run.levels.items()},
            notes=run.notes,
            doubts=run.doubts,
            rounds=run.rounds,
            failures=run.failures,
            end=run.end,
            warnings=(*run.warnings,),
        )

    def _number_of(self, value: object) -> int:
        """The number of a value's text; of the same object it is made once."""
        if id(value) not in self._known:
            text = json.encode(value)
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
            self._decoded[key] = json.decode(self._texts[number], type=type_)
        known: T = self._decoded[key]
        return known


def _numbers(of: memoryview, count: int) -> memoryview[float]:
    """So many numbers of 8 bytes. Raises ValueError for others."""
    if len(of) != 8 * count:
        raise ValueError(f"{len(of)} bytes of {count} numbers")
    numbers: memoryview[float] = of.cast("d")
    return numbers
