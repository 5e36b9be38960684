"""Runs whose samples are packed: lines of type samples, some 20 bytes a sample.

Only a run that ended is packed. Its file stays JSON Lines, and its other lines stay as they are; of
the first one the format changes, which versions refuse that do not know packed samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.base import files
from bench.base.errors import BenchError, UsageError
from bench.store import coding, reader
from bench.store.content import bytes_of
from bench.store.lines import FORMAT, Record
from bench.store.writer import RunWriter


def pack(path: Path) -> None:
    """Pack the samples of a run that ended: the file is replaced as a whole, or stays as it is.

    What was packed is read again before that. Raises UsageError for a run that did not end or is
    still written, BenchError where the file cannot be replaced.
    """
    if path.suffix == ".gz":
        raise UsageError(f"{path}: gzip packed it; name a .jsonl file")
    with RunWriter(path, append=True):  # nobody goes on with it meanwhile
        run = reader.read(path)
        if not run.end:
            raise UsageError(f"{path}: this run did not end; --resume takes it up")
        if run.warnings:
            raise UsageError(f"{run.warnings[0]}; only a whole run is packed")
        content = bytes_of(path)
        packed = _packed(path, content.decode())
        if reader.read(path, packed.encode()) != run:
            raise BenchError(f"{path}: its samples do not come back as they are; it stays unpacked")
        files.write_text(path, packed)


def _packed(path: Path, text: str) -> str:
    """The same run: its samples stand after its first line, all else in the order it had."""
    samples: list[dict[str, Any]] = []
    others: list[str] = []
    first, *rest = text.removesuffix("\n").split("\n")
    for number, line in enumerate(rest, 2):
        record = Record.of(path, number, line)
        match record.kind:
            case "sample":
                samples.append(record.fields)
            case "samples":
                samples += [sample.fields for sample in record.samples()]
            case _:
                others.append(line)
    header = json.loads(first) | {"format": FORMAT}
    lines = [_line(header), *map(_line, _pieces(samples)), *others]
    return "".join(f"{line}\n" for line in lines)


def _pieces(samples: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(samples), coding.MOST):
        piece = [_without_type(sample) for sample in samples[start : start + coding.MOST]]
        yield {"type": "samples", "count": len(piece), "data": coding.encoded(piece)}


def _without_type(sample: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sample.items() if name != "type"}


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)
