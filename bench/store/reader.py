"""Reads a stored run whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from bench.base.errors import UsageError
from bench.model.axes import names_of
from bench.model.cells import Cell
from bench.model.header import RunHeader
from bench.model.run import Run
from bench.model.samples import Sample
from bench.store.content import bytes_of, cut_off, opened
from bench.store.lines import FORMAT, Record
from bench.store.summaries import table_of


class NewerFormat(UsageError):
    """A later version of bench wrote the file."""


def unfinished(folder: Path, now: datetime) -> list[Path]:
    """The runs of a folder that did not end by themselves, the latest first, whatever their names.

    One that a wrong clock has put after ``now`` comes last. One that was killed before its header
    was whole has nothing to go on with and is passed over. Raises UsageError if there is none.
    """
    found: dict[Path, datetime] = {}
    for path in folder.glob("*.jsonl"):
        with suppress(UsageError):
            run = read(path)
            if run.end != "done":
                found[path] = last_at(run)
    if not found:
        raise UsageError(f"--resume: no unfinished run in {folder}")
    return sorted(found, key=lambda path: (found[path] <= now, found[path], path), reverse=True)


def last_at(run: Run) -> datetime:
    """When the last of a run was measured, as it says itself."""
    started = run.header.started or _NEVER
    ends = [sample.at_ns + sample.wall_ns for sample in (*run.samples, *run.calibration_samples)]
    # What is no time, in a damaged file, is later than anything.
    seconds = min(max(ends, default=0) / 1e9, _LAST_SECOND)
    return max(started, datetime.fromtimestamp(max(0.0, seconds), UTC))


_NEVER, _LAST_SECOND = datetime.fromtimestamp(0, UTC), datetime(9999, 1, 1, tzinfo=UTC).timestamp()


# Reading


def read(path: Path, content: bytes | None = None) -> Run:
    """A stored run. Raises UsageError when the file is not one that can be read.

    A last line that was cut off is left out with a warning, and so is a sample that is there again,
    as where lines were merged: it would count as more evidence. ``content`` is the file's where
    that is not what it has now (an older revision).
    """
    try:
        lines = bytes_of(path, content).decode().split("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a run file: not UTF-8 text") from error
    records = [Record.of(path, number, line) for number, line in enumerate(lines[:-1], 1)]
    return run_of(path, records, cut_off(path, lines))


def run_of(path: Path, records: Sequence[Record], warnings: tuple[str, ...]) -> Run:
    header = _header(path, records[:1])
    first, *rest = records
    samples: dict[tuple[object, ...], Sample] = {}
    again = 0
    slaves: dict[str, int] = {}
    facts, failures, end = {}, {}, ""
    for record in chain.from_iterable(map(_unpacked, rest)):
        record.check()
        fields = record.fields
        match record.kind:
            case "sample":
                sample = record.sample()
                ways = len(sample.per_sink)
                if not sample.problem and slaves.setdefault(sample.cell, ways) != ways:
                    raise record.refusal("`per_sink` is not as long as before")
                again += samples.setdefault(sample.slice, sample) is not sample
            case "run":
                raise UsageError(
                    f"{path}:{record.number}: another run begins here; "
                    "keep each run in a file of its own"
                )
            case "cell":
                facts[fields["cell"]] = fields["facts"]
            case "failure":
                failures[fields["cell"]] = fields["reason"]
            case "summaries":
                table_of(record)
            case "end":
                end = fields["reason"]
            case "resume":
                end = ""
    calibration = cells_of(first.fields.get("calibration", []))
    calibrating = {cell.id for cell in calibration}
    if again:
        warnings += (f"{path}: samples that are there again, and count once: {again}",)
    return Run(
        path=str(path),
        header=header,
        cells=cells_of(first.fields["cells"]),
        facts=facts,
        failures=failures,
        samples=tuple(s for s in samples.values() if s.cell not in calibrating),
        calibration_samples=tuple(s for s in samples.values() if s.cell in calibrating),
        end=end,
        warnings=warnings,
        calibration=calibration,
    )


def _unpacked(record: Record) -> list[Record]:
    return record.samples() if record.kind == "samples" else [record]


def cells_of(rows: Sequence[Mapping[str, Any]]) -> tuple[Cell, ...]:
    axes = names_of(row["values"] for row in rows)
    return tuple(Cell(row["id"], {axis: row["values"].get(axis) for axis in axes}) for row in rows)


def header_of(path: Path) -> RunHeader:
    """The header alone. Raises UsageError as ``read`` does."""
    return _header(path, [_first(path)])


def cells_in(path: Path) -> tuple[Cell, ...]:
    """The cells of a run, of which only the first line is read. Raises UsageError."""
    first = _first(path)
    _header(path, [first])
    return cells_of(first.fields["cells"])


def _first(path: Path) -> Record:
    with opened(path) as file:
        return Record.of(path, 1, file.readline().decode(errors="replace"))


def _header(path: Path, first: Sequence[Record]) -> RunHeader:
    """Of the first line, if there is one. Raises UsageError."""
    if not first or first[0].kind != "run":
        raise UsageError(f"{path}:1: not a run file: it must begin with the line of type run")
    version = first[0].fields.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise NewerFormat(
            f"{path}:1: format {version!r} is newer than this bench reads "
            f"(up to {FORMAT}); update bench"
        )
    return first[0].header()


def is_run(path: Path) -> bool:
    """Whether a file begins as a run does."""
    if not path.is_file():  # to open a pipe would be to wait
        return False
    with suppress(UsageError), opened(path) as file:
        line = file.readline().decode(errors="replace")
        return Record.of(path, 1, line).kind == "run"
    return False
