"""Parquet: every sample of a run, a row each, for notebooks.

pyarrow writes it: polars keeps no metadata of a column, which has its unit.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.analysis.figures import is_usable, ns_per_frame, pps
from bench.base.errors import BenchError
from bench.base.ids import shown
from bench.base.values import Value, yaml_text
from bench.model.axes import AXES, Size
from bench.model.cells import axes_of
from bench.model.samples import Sample, ThreadSample

if TYPE_CHECKING:
    from bench.render.export.measured import Measured

MISSING = "--format parquet needs pyarrow: pip install 'bench[parquet]'"

OWN = ("cell", "round", "opening", "at_ns", "problems", "per_sink", "threads")
"""Fields of a sample that become columns one by one."""

COUNTS = tuple(f.name for f in fields(Sample) if f.name not in OWN and f.type == "int")
"""Fields of a sample that are columns as they are."""

TOTALS = tuple(f.name for f in fields(ThreadSample) if f.name not in ("cpu", "moved", "wall_ns"))
"""Counters of threads: a column has the sum over a sample's threads, of wmem_high the largest."""

UNITS = {
    "softirq_tx": "softirqs",
    "softirq_rx": "softirqs",
    "interrupts": "interrupts",
    "calls": "calls",
    "short_counts": "calls",
    "eagain": "calls",
    "enobufs": "calls",
    "full_waits": "waits",
    "voluntary": "switches",
    "involuntary": "switches",
    "wmem_high": "bytes",
}
"""Of counters; those called ``_ns`` are in nanoseconds, all others count frames."""


class Column(NamedTuple):
    """``kind`` is a key of ``_types``."""

    name: str
    kind: str
    values: Sequence[Any]
    unit: str = ""


def make(measured: Measured) -> bytes:
    """The table as a file. Raises BenchError without pyarrow."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise BenchError(MISSING) from None
    columns, types = _columns(measured), _types(arrow)
    schema = arrow.schema(
        [
            arrow.field(column.name, types[column.kind], metadata={"unit": column.unit})
            for column in columns
        ],
        metadata={"bench": json.dumps(_about(measured))},
    )
    arrays = [arrow.array(column.values, types[column.kind]) for column in columns]
    file = io.BytesIO()
    parquet.write_table(arrow.table(arrays, schema=schema), file)
    return file.getvalue()


def _types(arrow: Any) -> dict[str, Any]:
    threads = arrow.struct([(field.name, arrow.int64()) for field in fields(ThreadSample)])
    return {
        "text": arrow.string(),
        "flag": arrow.bool_(),
        "whole": arrow.int64(),
        "number": arrow.float64(),
        "time": arrow.timestamp("us", tz="UTC"),  # Python knows no finer one
        "wholes": arrow.list_(arrow.int64()),
        "threads": arrow.list_(threads),
    }


def _about(measured: Measured) -> dict[str, Any]:
    """The header of the run and the notes of its cells, for whoever has the file alone."""
    header = asdict(measured.run.header)
    started = measured.run.header.started
    notes = {cell.shown_id: cell.marks for cell in measured.cells if cell.marks}
    return header | {"started": started.isoformat() if started else None, "notes": notes}


# Columns


def _columns(measured: Measured) -> list[Column]:
    own = _of_samples(measured)
    return [*own[:1], *_of_axes(measured, {column.name for column in own}), *own[1:]]


def _of_samples(measured: Measured) -> list[Column]:
    rows = _rows(measured)
    used = {id(sample) for cell in measured.cells for sample in cell.samples}
    sides = {cell.id: cell.side for cell in measured.cells}
    return [
        Column("cell", "text", [shown(sample.cell) for sample in rows]),
        *([Column("side", "text", [sides[s.cell] for s in rows])] if any(sides.values()) else []),
        Column("round", "whole", [sample.round for sample in rows]),
        Column("opening", "whole", [sample.opening for sample in rows]),
        Column("at", "time", [sample.at_ns // 1000 for sample in rows]),
        Column("is_used", "flag", [id(sample) in used for sample in rows]),
        Column("problem", "text", [sample.problem or None for sample in rows]),
        Column("pps", "number", _figures(rows, pps), "frames/s"),
        Column("ns_per_frame", "number", _figures(rows, ns_per_frame), "ns/frame"),
        *(_counts(name, [getattr(sample, name) for sample in rows]) for name in COUNTS),
        *(_counts(name, [_over_threads(sample, name) for sample in rows]) for name in TOTALS),
        Column("per_sink", "wholes", [sample.per_sink for sample in rows], "frames"),
        Column("per_thread", "threads", [[*map(asdict, sample.threads)] for sample in rows]),
    ]


def _rows(measured: Measured) -> list[Sample]:
    """Every sample of the cells, also those that figures leave out."""
    cells = {cell.id for cell in measured.cells}
    return [sample for sample in measured.run.samples if sample.cell in cells]


def _figures(rows: Sequence[Sample], of: Callable[[Sample], float]) -> list[float | None]:
    return [of(sample) if is_usable(sample) else None for sample in rows]


def _counts(name: str, values: Sequence[int]) -> Column:
    return Column(
        name, "whole", values, UNITS.get(name, "ns" if name.endswith("_ns") else "frames")
    )


def _over_threads(sample: Sample, counter: str) -> int:
    return sample.most(counter) if counter == "wmem_high" else sample.total(counter)


def _of_axes(measured: Measured, taken: Collection[str]) -> Iterator[Column]:
    """A column for each axis; one whose name is taken is called ``axis_...``."""
    cells = {cell.id: cell.result.cell for cell in measured.cells}
    for axis in axes_of([*cells.values()]):
        values = {id_: cell.values.get(axis) for id_, cell in cells.items()}
        kind = _kind(values.values())
        texts = {id_: _plain(value, kind) for id_, value in values.items()}
        name = f"axis_{axis}" if axis in taken else axis
        unit = "bytes" if axis in AXES and isinstance(AXES[axis].type, Size) else ""
        yield Column(name, kind, [texts[sample.cell] for sample in _rows(measured)], unit)


def _kind(values: Iterable[Value | None]) -> str:
    types = {type(value) for value in values if value is not None}
    return "flag" if types == {bool} else "whole" if types == {int} else "text"


def _plain(value: Value | None, kind: str) -> Value | None:
    if value is None or kind != "text":
        return value
    return yaml_text(value)
