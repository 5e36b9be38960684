"""Reads of a stored run only what its figures are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from bench.model.run import Rates, Series
from bench.store.content import bytes_of, cut_off
from bench.store.lines import Int, Record
from bench.store.reader import run_of


class SlimThread(msgspec.Struct, frozen=True, gc=False):
    wall_ns: Int = 0
    cpu_ns: Int = 0
    run_delay_ns: Int = 0
    completed: Int = 0


class SlimSample(msgspec.Struct, frozen=True):
    """The fields of a sample that its figures are made of; the decoder passes over the others."""

    cell: str
    round: Int
    wall_ns: Int
    threads: list[SlimThread]
    problem: str = ""
    opening: Int = 0


def read_rates(
    path: Path, series: Callable[[Iterable[SlimSample]], Series], text: bytes | None = None
) -> Rates:
    """The figures of a run, several times faster and smaller than ``read``.

    ``series`` makes them of the samples, which are not kept (see ``analysis.figures``). ``text`` is
    its content where it is not that of the file (an older revision). Raises UsageError as ``read``
    does.
    """
    lines = bytes_of(path, text).split(b"\n")
    others: list[Record] = []
    figures = series(_samples(path, lines[:-1], others))
    run = run_of(path, others, cut_off(path, lines))
    return Rates(
        path=str(path),
        header=run.header,
        cells=run.cells,
        calibration=run.calibration,
        series=figures,
        warnings=run.warnings,
    )


def _samples(path: Path, lines: Iterable[bytes], others: list[Record]) -> Iterator[SlimSample]:
    """Every sample of a file; the other lines are added to ``others``."""
    decode = msgspec.json.Decoder(SlimSample).decode
    for number, line in enumerate(lines, 1):
        if not line.startswith(b'{"type":"sample",'):
            record = Record.of(path, number, line.decode(errors="replace"))
            if record.kind != "sample":
                others.append(record)
                continue
        try:
            sample = decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            record = Record.of(path, number, line.decode(errors="replace"))
            raise record.misfit(record.fields, SlimSample) from None
        yield sample
