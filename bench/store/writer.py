"""Appends a run to its file as it is measured."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from bench.base import files
from bench.base.errors import BenchError, UsageError, remedy
from bench.model.cells import Cell
from bench.model.header import RunHeader
from bench.model.problems import Problem
from bench.model.samples import Sample, ThreadSample
from bench.model.summaries import CellSummary
from bench.store.lines import FORMAT, PLAIN
from bench.store.summaries import Table

_encoded = msgspec.json.Encoder().encode


def _sparse(record: ThreadSample | Sample | Problem) -> dict[str, Any]:
    """A dataclass as a dict without the zeros and empty texts that most counters are."""
    return {name: value for name in _NAMES[type(record)] if (value := getattr(record, name))}


_NAMES: Mapping[type, tuple[str, ...]] = {
    of: tuple(field.name for field in dataclasses.fields(of))
    for of in (Sample, ThreadSample, Problem)
}


# Writing


class RunWriter:
    """Appends one run to a file. Raises BenchError when the disk will not take it.

    Every line is flushed as it is written: the process may be killed at any time. With ``append``
    the file must be there; nobody else writes it from then on, so that it can be read before
    ``resume()`` begins to.
    """

    def __init__(self, path: Path, append: bool = False) -> None:
        self.path, self._append = path, append
        try:
            if append and not path.is_file():
                reason = os.strerror(errno.EISDIR if path.is_dir() else errno.ENOENT)
                raise UsageError(f"{path}: {reason}; name a run file (.jsonl)")
            self._new_folders = files.make_folders(path.parent)
            self._file = open(path, "ab" if append else "xb")  # noqa: SIM115
            if not append:
                files.hand_over(self._file.fileno(), path.parent)
            self._lock()
        except OSError as error:
            raise self._cannot(error) from error

    def _lock(self) -> None:
        """One writer at a time: a run that is still going on must not be resumed."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UsageError(
                f"{self.path}: this run is still going on; wait for it, or start a new one"
            ) from None
        except OSError:
            pass  # a file system without locks

    def _cannot(self, error: OSError) -> BenchError:
        elsewhere = "start a new run" if self._append else "choose another folder"
        ways = filter(None, [remedy(error), f"{elsewhere} with --results"])
        said = f"cannot write results to {self.path}: {error.strerror}"
        between = "; " if error.errno == errno.EACCES else " or "  # whose it is is no way out
        return BenchError(f"{said}; {between.join(ways)}")

    def write(self, type_: str, record: Mapping[str, Any]) -> None:
        line = _encoded({"type": type_, **record})
        try:
            self._file.write(line + b"\n")
            self._file.flush()
        except OSError as error:
            raise self._cannot(error) from error

    def header(
        self, header: RunHeader, cells: Iterable[Cell], calibration: Iterable[Cell] = ()
    ) -> None:
        rows = {"cells": _cell_rows(cells), "calibration": _cell_rows(calibration)}
        version = FORMAT if header.sides else PLAIN
        self.write("run", {"format": version, **_written(header), **rows})

    def resume(self, at: str, boot_id: str = "") -> None:
        """Go on after the last whole line, maybe after another boot than before."""
        try:
            _drop_partial_line(self.path)
        except OSError as error:
            raise self._cannot(error) from error
        self.write("resume", {"at": at, "boot_id": boot_id})

    def cell(self, cell: str, facts: Mapping[str, Any]) -> None:
        self.write("cell", {"cell": cell, "facts": facts})

    def failure(self, cell: str, reason: str) -> None:
        self.write("failure", {"cell": cell, "reason": reason})

    def sample(self, sample: Sample) -> None:
        threads = [_sparse(thread) for thread in sample.threads]
        always = {"round": sample.round, "at_ns": sample.at_ns, "wall_ns": sample.wall_ns}
        fields = {**_sparse(sample), **always, "threads": threads}
        if sample.problems:  # with their text: older versions know a sample by it as invalid
            problems = [_sparse(problem) for problem in sample.problems]
            fields |= {"problem": sample.problem, "problems": problems}
        self.write("sample", fields)

    def summaries(self, of: Mapping[str, CellSummary], failures: Mapping[str, str]) -> None:
        """Directly before the end: readers of a run's end alone find them there."""
        self.write("summaries", Table.of(of).line(failures))

    def end(self, reason: str, **figures: Any) -> None:
        self.write("end", {"reason": reason, **figures})

    def discard(self) -> None:
        """Take back a file in which there is nothing yet, and the folders made for it."""
        with suppress(OSError):
            self.path.unlink()
            for folder in self._new_folders:
                folder.rmdir()

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise self._cannot(error) from error

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except BenchError:
            if error is None:
                raise


def _written(header: RunHeader) -> dict[str, Any]:
    """The header as JSON has it; a fact of a device that is not known is left out."""
    fields = dataclasses.asdict(header)
    if not header.sides:
        del fields["sides"]
    fields["started"] = header.started.isoformat() if header.started else None
    fields["devices"] = {
        name: {fact: value for fact, value in facts.items() if value not in (None, "", (), {})}
        for name, facts in fields["devices"].items()
    }
    return fields


def _cell_rows(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    return [
        {"id": cell.id, "values": {a: v for a, v in cell.values.items() if v is not None}}
        for cell in cells
    ]


def _drop_partial_line(path: Path) -> None:
    """Cut off what a killed run left of its last line, so that the next begins a line."""
    with open(path, "r+b") as file:
        text = file.read()
        file.truncate(text.rfind(b"\n") + 1)
