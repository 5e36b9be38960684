"""Go's benchmark format (golang.org/design/14313-benchmark-format), for benchstat.

A line is an opening, because benchstat takes lines for independent measurements, which rounds are
not. There is no configuration line: benchstat makes a table of its own of lines whose configuration
differs, and would compare nothing with a run of another kernel. What was measured is in comments.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.analysis.figures import ns_per_frame, pps
from bench.base.printable import printable
from bench.model.samples import Sample

if TYPE_CHECKING:
    from bench.render.export.measured import Measured, MeasuredCell

UNITS = ("Unit frames/s better=higher", "Unit ns/frame better=lower")


def make(measured: Measured) -> bytes:
    """Comments, units, and a line for each opening of each cell."""
    lines = [
        *(f"# {printable(' '.join(text.split()))}" for text in _comments(measured)),
        *UNITS,
        *(line for cell in measured.with_figures for line in _lines(cell)),
    ]
    return ("\n".join(lines) + "\n").encode()


def _comments(measured: Measured) -> Iterator[str]:
    header = measured.run.header
    host = header.host
    yield f"bench: matrix {measured.matrix}, run {measured.name}, started {header.started}"
    yield f"kernel {host.kernel} {host.kernel_version}, CPU {host.cpu}, core {header.core.hash}"
    for cell in measured.cells:
        if marks := cell.marks:
            yield f"{cell.name}: {', '.join(marks)}"


def _lines(cell: MeasuredCell) -> Iterator[str]:
    openings: dict[int, list[Sample]] = {}
    for sample in cell.samples:
        openings.setdefault(sample.opening, []).append(sample)
    for _, samples in sorted(openings.items()):
        yield _line(cell.name, samples)


def _line(name: str, samples: Sequence[Sample]) -> str:
    """The medians over the rounds of an opening; its iterations are frames."""
    frames = sum(sample.total("completed") for sample in samples)
    rate, cost = (statistics.median(map(of, samples)) for of in (pps, ns_per_frame))
    return f"Benchmark{name[0].upper()}{name[1:]} {frames} {rate:.7g} frames/s {cost:.7g} ns/frame"
