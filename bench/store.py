"""Runs on disk: versioned JSON Lines, appended as they are measured (docs/results.md).

A killed run loses at most the line that was being written; a reader takes every whole line before
it and says so.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import json
import math
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, TypeVar

import msgspec

from bench import interrupts, stats
from bench.errors import BenchError, UsageError, remedy, told
from bench.misfits import misfit
from bench.model import AXES, LARGEST_INTEGER, Cell, Run, Sample

FORMAT = 1
"""The version of the format; a reader refuses a newer one."""

T = TypeVar("T")


def results_folder(root: Path, machine: str, matrix: str) -> Path:
    """``<root>/<machine>/<matrix>``; the machine's name is made fit for a folder."""
    return root / (re.sub(r"[^A-Za-z0-9_.-]+", "-", machine).strip("-.") or "machine") / matrix


def _sparse(record: Any) -> dict[str, Any]:
    """A dataclass as a dict without the zeros and empty texts that most counters are."""
    return {
        field.name: value
        for field in dataclasses.fields(record)
        if (value := getattr(record, field.name)) not in (0, "", ())
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
            self._new_folders = [folder for folder in path.parents if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a" if append else "x", encoding="utf-8")  # noqa: SIM115
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
        return BenchError(f"{said}; {' or '.join(ways)}")

    def write(self, type_: str, record: Mapping[str, Any]) -> None:
        line = json.dumps({"type": type_, **record}, separators=(",", ":"), ensure_ascii=False)
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            raise self._cannot(error) from error

    def header(
        self, header: Mapping[str, Any], cells: Iterable[Cell], calibration: Iterable[Cell] = ()
    ) -> None:
        rows = {"cells": _cell_rows(cells), "calibration": _cell_rows(calibration)}
        self.write("run", {"format": FORMAT, **header, **rows})

    def resume(self, at: str) -> None:
        """Go on after the last whole line."""
        try:
            _drop_partial_line(self.path)
        except OSError as error:
            raise self._cannot(error) from error
        self.write("resume", {"at": at})

    def cell(self, cell: str, facts: Mapping[str, Any]) -> None:
        self.write("cell", {"cell": cell, "facts": facts})

    def failure(self, cell: str, reason: str) -> None:
        self.write("failure", {"cell": cell, "reason": reason})

    def sample(self, sample: Sample) -> None:
        threads = [_sparse(thread) for thread in sample.threads]
        self.write("sample", {**_sparse(sample), "round": sample.round, "threads": threads})

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


def new_run_path(folder: Path, now: datetime | None = None) -> Path:
    """``<UTC time>-<id>.jsonl`` in a folder; the id keeps simultaneous runs apart."""
    time = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    return folder / f"{time}-{secrets.token_hex(3)}.jsonl"


def latest_unfinished(folder: Path) -> Path:
    """The newest run of a folder that did not end by itself. Raises UsageError if none.

    One that was killed before its header was whole has nothing to go on with and is passed over.
    """
    for path in sorted(folder.glob("*.jsonl"), reverse=True):
        with suppress(UsageError):
            if read(path).end != "done":
                return path
    raise UsageError(f"--resume: no unfinished run in {folder}")


# Reading


def read(path: Path) -> Run:
    """A stored run. Raises UsageError when the file is not one that can be read.

    A last line that was cut off is left out with a warning.
    """
    try:
        lines = _bytes_of(path).decode().split("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a run file: not UTF-8 text") from error
    records = [_Record.of(path, number, line) for number, line in enumerate(lines[:-1], 1)]
    return _run(path, records, _cut_off(path, lines))


_Int = Annotated[int, msgspec.Meta(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]


class _SlimThread(msgspec.Struct):
    wall_ns: _Int = 0
    cpu_ns: _Int = 0
    run_delay_ns: _Int = 0
    completed: _Int = 0


class _SlimSample(msgspec.Struct):
    """The fields of a sample that its figures are made of; the decoder passes over the others."""

    cell: str
    round: _Int
    wall_ns: _Int
    threads: list[_SlimThread]
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class Rates:
    """A run without its counters: per cell, in round order, the figures of its valid samples."""

    path: str
    header: Mapping[str, Any]
    cells: tuple[Cell, ...]
    calibration: tuple[Cell, ...]
    pps: Mapping[str, list[float]]
    ns_per_frame: Mapping[str, list[float]]
    warnings: tuple[str, ...]

    @property
    def identity(self) -> tuple[object, ...]:
        """What only copies of one run have in common, wherever they are and however far it got.

        Runs of older versions have no id: they are told apart by when and where they began.
        """
        if id_ := self.header.get("id"):
            return (id_,)
        matrix, host, measure = (self.header.get(key, {}) for key in ("matrix", "host", "measure"))
        at = self.header.get("started"), host.get("hostname"), measure.get("seed")
        return (*map(str, at), matrix["name"])


def read_rates(path: Path, text: bytes | None = None) -> Rates:
    """The figures of a run, several times faster and smaller than ``read``.

    ``text`` is its content where it is not that of the file (an older revision). Raises
    UsageError as ``read`` does.
    """
    decode = msgspec.json.Decoder(_SlimSample).decode
    lines = (_bytes_of(path) if text is None else text).split(b"\n")
    whole = lines[:-1]
    found: dict[str, list[tuple[int, float, float, bool]]] = {}
    others: list[_Record] = []
    for number, line in enumerate(whole, 1):
        if not line.startswith(b'{"type":"sample",'):
            record = _Record.of(path, number, line.decode(errors="replace"))
            if record.kind != "sample":
                others.append(record)
                continue
        try:
            sample = decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            record = _Record.of(path, number, line.decode(errors="replace"))
            raise record.misfit(record.fields, _SlimSample) from None
        completed = sum(thread.completed for thread in sample.threads)
        cpu_ns = sum(thread.cpu_ns for thread in sample.threads)
        if completed > 0 and cpu_ns > 0 and sample.wall_ns > 0 and not sample.problem:
            cost = cpu_ns / completed
            rate = completed * 1e9 / sample.wall_ns
            late = any(t.run_delay_ns > stats.DISTURBED_DELAY * t.wall_ns for t in sample.threads)
            found.setdefault(sample.cell, []).append((sample.round, rate, cost, late))
    warnings = _cut_off(path, lines)
    run = _run(path, others, warnings)
    calm = {
        cell: stats.undisturbed(sorted(figures), lambda figure: figure[3])
        for cell, figures in found.items()
    }
    return Rates(
        path=str(path),
        header=run.header,
        cells=run.cells,
        calibration=run.calibration,
        pps={cell: [figure[1] for figure in figures] for cell, figures in calm.items()},
        ns_per_frame={cell: [figure[2] for figure in figures] for cell, figures in calm.items()},
        warnings=warnings,
    )


@contextmanager
def looking_into(header: str) -> Iterator[None]:
    """For code that takes more of a run's header for granted than ``read`` has checked.

    Raises UsageError, where that is not there or is something else, with the place ``header``.
    """
    try:
        yield
    except KeyError as error:
        raise UsageError(f"{header}: not the header of a run: {error} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{header}: not the header of a run: {error}") from error


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a run file (.jsonl)") from error


def _cut_off(path: Path, lines: Sequence[object]) -> tuple[str, ...]:
    """The warning about what follows the last line feed, if anything does."""
    if not lines[-1]:
        return ()
    return (f"{path}:{len(lines)}: the last line is cut off and left out",)


# Lines


class _Options(msgspec.Struct):
    """Of an axis value; the others are only shown."""

    kind: str = ""


class _Required(msgspec.Struct):
    method: str
    frame_size: int
    threads: int


_AXES = [axis for axis in AXES if axis not in _Required.__struct_fields__]
_Values = msgspec.defstruct(
    "_Values",
    [(axis, str | int | bool | _Options | None, None) for axis in _AXES],
    bases=(_Required,),
)


class _Cell(msgspec.Struct):
    id: str
    values: _Values  # type: ignore[valid-type]


class _Matrix(msgspec.Struct):
    name: str
    description: str = ""
    baseline: dict[str, Any] | None = None


class _Rounds(msgspec.Struct):
    min: int = 0
    max: int = 0


class _Measure(msgspec.Struct):
    rounds: _Rounds = msgspec.field(default_factory=_Rounds)
    precision: float = 0.0


class _Host(msgspec.Struct):
    virtualisation: str = ""


class _Header(msgspec.Struct):
    """What readers look into: the line itself is what they are given."""

    matrix: _Matrix
    cells: list[_Cell]
    baselines: dict[str, str]
    id: str = ""
    calibration: list[_Cell] = []
    thresholds: dict[str, float] = {}
    measure: _Measure = msgspec.field(default_factory=_Measure)
    host: _Host = msgspec.field(default_factory=_Host)
    core: dict[str, Any] = {}
    devices: dict[str, dict[str, Any]] = {}


class _Facts(msgspec.Struct):
    sndbuf: int = 0


class _CellLine(msgspec.Struct):
    cell: str
    facts: _Facts


class _FailureLine(msgspec.Struct):
    cell: str
    reason: str


class _EndLine(msgspec.Struct):
    reason: str


_LINES: Mapping[str, type[msgspec.Struct]] = {
    "run": _Header,
    "cell": _CellLine,
    "failure": _FailureLine,
    "end": _EndLine,
}
"""What lines must have, by type; samples are converted, types that are not known are left out."""


def _bounded(digits: str) -> int:
    """An integer that can be computed with; refuses NaN and Infinity, too."""
    number = int(digits)
    if abs(number) > LARGEST_INTEGER:
        raise ValueError
    return number


def _finite(digits: str) -> float:
    """A number with a point or an exponent; 1e999 would be infinite."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError
    return number


_decode = json.JSONDecoder(parse_int=_bounded, parse_float=_finite, parse_constant=_bounded).decode


@dataclasses.dataclass(frozen=True, slots=True)
class _Record:
    """A line that is an object with a type, and its place for what is wrong with it."""

    path: Path
    number: int
    kind: str
    fields: dict[str, Any]

    @classmethod
    def of(cls, path: Path, number: int, line: str) -> _Record:
        try:
            fields = _decode(line)
            if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
                raise ValueError
        except (ValueError, RecursionError):
            raise UsageError(f"{path}:{number}: not a line of a run file") from None
        return cls(path, number, fields["type"], fields)

    def check(self) -> None:
        """Raise UsageError where it lacks what a line of its type has."""
        if self.kind in _LINES:
            self._converted(self.fields, _LINES[self.kind])

    def sample(self) -> Sample:
        """Fields that a later version of the format adds are ignored; zeros are not written."""
        threads = self._converted(self.fields.get("threads"), list[dict[str, Any]], "threads")
        whole = [{"cpu": 0, "wall_ns": 0, "cpu_ns": 0} | thread for thread in threads]
        fields = {"slice_completed": 0, "delivered": 0, **self.fields, "threads": whole}
        return self._converted(fields, Sample)

    def _converted(self, value: object, to: type[T], name: str = "") -> T:
        try:
            return msgspec.convert(value, to)
        except (msgspec.ValidationError, UnicodeEncodeError):
            raise self.misfit(value, to, name) from None

    def misfit(self, value: object, type_: object, name: str = "") -> UsageError:
        """What to raise where msgspec refuses a value; what fits has a lone surrogate in it."""
        return self.refusal(misfit(value, type_, name) or "it has text that is not Unicode")

    def refusal(self, why: object) -> UsageError:
        return UsageError(f"{self.path}:{self.number}: not a line of type {self.kind}: {why}")


def _run(path: Path, records: Sequence[_Record], warnings: tuple[str, ...]) -> Run:
    if not records or records[0].kind != "run":
        raise UsageError(f"{path}:1: not a run file: it must begin with the line of type run")
    header = records[0].fields
    if not isinstance(header.get("format"), int) or header["format"] > FORMAT:
        raise UsageError(
            f"{path}:1: format {header.get('format')!r} is newer than this bench reads "
            f"(up to {FORMAT}); update bench"
        )
    samples: list[Sample] = []
    slaves: dict[str, int] = {}
    facts, failures, end = {}, {}, ""
    for record in records:
        record.check()
        fields = record.fields
        match record.kind:
            case "sample":
                sample = record.sample()
                ways = len(sample.per_sink)
                if not sample.problem and slaves.setdefault(sample.cell, ways) != ways:
                    raise record.refusal("`per_sink` is not as long as before")
                samples.append(sample)
            case "cell":
                facts[fields["cell"]] = fields["facts"]
            case "failure":
                failures[fields["cell"]] = fields["reason"]
            case "end":
                end = fields["reason"]
            case "resume":
                end = ""
    calibration = _cells(header.get("calibration", []))
    calibrating = {cell.id for cell in calibration}
    return Run(
        path=str(path),
        header=header,
        cells=_cells(header["cells"]),
        baselines=header["baselines"],
        facts=facts,
        failures=failures,
        samples=tuple(s for s in samples if s.cell not in calibrating),
        calibration_samples=tuple(s for s in samples if s.cell in calibrating),
        end=end,
        warnings=warnings,
        calibration=calibration,
    )


def _cells(rows: Iterable[Mapping[str, Any]]) -> tuple[Cell, ...]:
    return tuple(Cell(row["id"], {axis: row["values"].get(axis) for axis in AXES}) for row in rows)


def is_run(path: Path) -> bool:
    """Whether a file begins as a run does."""
    if not path.is_file():  # to open a pipe would be to wait
        return False
    with suppress(OSError, UsageError), path.open("rb") as file:
        line = file.readline().decode(errors="replace")
        return _Record.of(path, 1, line).kind == "run"
    return False


def write_text(path: Path, text: str) -> None:
    """Write a whole file or none: to a name beside it first. Raises BenchError.

    What is there and is no regular file (/dev/stdout, a pipe) is written to, never replaced.
    """
    try:
        if _is_special(path):
            path.write_text(text, encoding="utf-8", errors="replace")
        else:
            _replace(path, text)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {told(error)}") from error


def check_writable(path: Path) -> None:
    """Raise BenchError where ``write_text`` would, as far as it can be seen before."""
    try:
        if not _is_special(path):  # to open a pipe would be to write to it
            with _beside(path) as temporary:
                temporary.touch(exist_ok=False)
    except OSError as error:
        raise BenchError(f"cannot write {path}: {told(error)}") from error


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _replace(path: Path, text: str) -> None:
    with _beside(path) as temporary:
        with open(temporary, "x", encoding="utf-8", errors="replace") as file:
            file.write(text)
        temporary.replace(os.path.realpath(path))  # a link keeps pointing to its file


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A name in the folder of a file, or of what a link points to; nothing is left under it."""
    target = Path(os.path.realpath(path))
    # Not to be guessed, or somebody could put a link there to what is not his.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    with interrupts.held():
        try:
            yield temporary
        finally:
            with suppress(OSError):
                temporary.unlink()
