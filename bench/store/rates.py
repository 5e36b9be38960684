"""Reads of a stored run only what its figures are made of."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.analysis.figures import DISTURBED_DELAY, undisturbed
from bench.model.run import Rates
from bench.store.lines import Int, Record
from bench.store.reader import bytes_of, cut_off, run_of


class _SlimThread(msgspec.Struct):
    wall_ns: Int = 0
    cpu_ns: Int = 0
    run_delay_ns: Int = 0
    completed: Int = 0


class _SlimSample(msgspec.Struct):
    """The fields of a sample that its figures are made of; the decoder passes over the others."""

    cell: str
    round: Int
    wall_ns: Int
    threads: list[_SlimThread]
    problem: str = ""


def read_rates(path: Path, text: bytes | None = None) -> Rates:
    """The figures of a run, several times faster and smaller than ``read``.

    ``text`` is its content where it is not that of the file (an older revision). Raises
    UsageError as ``read`` does.
    """
    decode = msgspec.json.Decoder(_SlimSample).decode
    lines = (bytes_of(path) if text is None else text).split(b"\n")
    whole = lines[:-1]
    found: dict[str, list[tuple[int, float, float, bool]]] = {}
    others: list[Record] = []
    for number, line in enumerate(whole, 1):
        if not line.startswith(b'{"type":"sample",'):
            record = Record.of(path, number, line.decode(errors="replace"))
            if record.kind != "sample":
                others.append(record)
                continue
        try:
            sample = decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            record = Record.of(path, number, line.decode(errors="replace"))
            raise record.misfit(record.fields, _SlimSample) from None
        completed = sum(thread.completed for thread in sample.threads)
        cpu_ns = sum(thread.cpu_ns for thread in sample.threads)
        if completed > 0 and cpu_ns > 0 and sample.wall_ns > 0 and not sample.problem:
            cost = cpu_ns / completed
            rate = completed * 1e9 / sample.wall_ns
            late = any(t.run_delay_ns > DISTURBED_DELAY * t.wall_ns for t in sample.threads)
            found.setdefault(sample.cell, []).append((sample.round, rate, cost, late))
    warnings = cut_off(path, lines)
    run = run_of(path, others, warnings)
    calm = {
        cell: undisturbed(sorted(figures), lambda figure: figure[3])
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
