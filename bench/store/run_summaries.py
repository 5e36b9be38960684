"""Reads of a stored run its header and the summaries of its cells, and no sample.

A run that ends with its summaries is read from both its ends alone: its first line and its last
two. Others (older, killed, still going on) are read whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import IO

import msgspec

from bench.model.cells import Cell
from bench.model.header import RunHeader
from bench.model.run import Run
from bench.model.summaries import RunSummary
from bench.store import reader
from bench.store.content import opened
from bench.store.lines import FORMAT, CellRow, RunValues, decoded
from bench.store.summaries import LEVELS, LevelsLine, Line, Table

Summarise = Callable[[Run], RunSummary]
"""What makes the summary of a run that has none: ``analysis.cell_summaries``."""

NEAR_END = 2**18
"""Bytes of the end that are read first: enough for 500 cells of five openings."""

SUMMARIES, END = b'{"type":"summaries",', b'{"type":"end",'
"""As ``RunWriter`` begins these lines."""


def read_summary(
    path: Path, summarise: Summarise, content: bytes | None = None, only_levels: bool = False
) -> RunSummary:
    """A stored run without its samples. Raises UsageError as ``reader.read`` does.

    ``content`` is the file's where that is not what it has now (an older revision). With
    ``only_levels`` summaries may lack estimates and ratios, which are not decoded then.
    """
    with opened(path, content) as file:
        first, last = file.readline(), _last_lines(file)
    if last is not None and (
        found := _from_ends(path, first, *last, _levels_line if only_levels else _line)
    ):
        return found
    made = summarise(reader.read(path, content))
    return replace(made, summaries=Table.of(made.summaries))


def _last_lines(file: IO[bytes]) -> tuple[bytes, bytes] | None:
    """The lines of type summaries and end, where a file ends with them."""
    size, reach = file.seek(0, 2), NEAR_END
    while True:
        file.seek(max(0, size - reach))
        content = file.read()
        before_end = content.rfind(b"\n", 0, -1)
        if not content.endswith(b"\n") or not content.startswith(END, before_end + 1):
            return None
        before_summaries = content.rfind(b"\n", 0, before_end)
        if before_summaries >= 0 or reach >= size:
            break
        reach *= 4
    if not content.startswith(SUMMARIES, before_summaries + 1):
        return None
    return content[before_summaries + 1 : before_end], content[before_end + 1 : -1]


# The first line and the last two


class _Shared(msgspec.Struct, forbid_unknown_fields=True):
    """The end of a first line, which is alike in all runs of a matrix: all that stands there."""

    baselines: dict[str, str]
    thresholds: dict[str, float]
    cells: list[CellRow]
    calibration: list[CellRow]


class _Version(msgspec.Struct):
    type: str
    format: int


class _End(msgspec.Struct):
    reason: str


SHARED = b',"baselines":{'
"""Where ``RunWriter`` begins that end; in no text, as quotes in it have a backslash before them."""

_version = msgspec.json.Decoder(_Version).decode
_header = msgspec.json.Decoder(RunHeader).decode
_line = msgspec.json.Decoder(Line).decode
_levels_line = msgspec.json.Decoder(LevelsLine).decode
_end = msgspec.json.Decoder(_End).decode


def _from_ends(
    path: Path,
    first: bytes,
    summaries: bytes,
    end: bytes,
    decode: Callable[[bytes], Line | LevelsLine],
) -> RunSummary | None:
    """None where something is amiss, or not as ``RunWriter`` writes it: it is read whole then."""
    at = first.find(SHARED)
    if at < 0:
        return None
    try:
        own = first[:at] + SHARED + b"}}"
        decoded(own.decode())
        version = _version(own)
        if version.type != "run" or version.format > FORMAT:
            return None
        line = decode(summaries)
        if line.levels != LEVELS:
            return None
        baselines, thresholds, cells, calibration = _shared(first[at:])
        return RunSummary(
            path=str(path),
            header=replace(_header(own), baselines=baselines, thresholds=thresholds),
            cells=cells,
            calibration=calibration,
            summaries=Table.of_line(line),
            failures=line.failures,
            end=_end(end).reason,
        )
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors, too
        return None


@lru_cache(maxsize=64)
def _shared(
    text: bytes,
) -> tuple[Mapping[str, str], Mapping[str, float], tuple[Cell, ...], tuple[Cell, ...]]:
    """What is decoded once for all runs that have it, and kept once."""
    text = b"{" + text.removeprefix(b",")
    found = msgspec.json.decode(text, type=_Shared)
    msgspec.json.decode(text, type=RunValues)
    rows = decoded(text.decode())
    cells, calibration = reader.cells_of(rows["cells"]), reader.cells_of(rows["calibration"])
    return found.baselines, found.thresholds, cells, calibration
