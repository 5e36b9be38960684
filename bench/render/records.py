"""Every figure of a cell, raw and under a name with its unit, for the formats programs read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType

from bench.base import ids
from bench.base.values import Value
from bench.model.cells import Cell, axes_of
from bench.model.counters import COUNTERS
from bench.model.results import Averages, CellResult, Figures
from bench.render.document import Json, Records

Figure = str | int | float | bool | None
Read = Callable[[CellResult], Figure]


def _estimate(name: str) -> dict[str, Read]:
    """``x``, ``x_low`` and ``x_high`` (its 95 % interval), ``x_n`` (the rounds it is from)."""

    def getter(attribute: str) -> Read:
        return lambda row: getattr(getattr(row.figures, name), attribute, None)

    return {
        name: getter("value"),
        f"{name}_low": getter("low"),
        f"{name}_high": getter("high"),
        f"{name}_n": getter("n"),
    }


def _average(name: str) -> Read:
    return lambda row: getattr(row.averages, name)


def _count(name: str) -> Read:
    return lambda row: row.counts.get(name, 0)


FIGURES: Mapping[str, Read] = {
    "failure": lambda row: row.failure or None,
    "is_baseline": lambda row: row.is_baseline,
    "is_fastest": lambda row: row.is_fastest,
    "rounds": lambda row: row.tally.rounds,
    "invalid_rounds": lambda row: row.tally.invalid,
    "invalid_reason": lambda row: row.tally.invalid_reason or None,
    "moved_rounds": lambda row: row.tally.moved,
    **{key: read for part in fields(Figures) for key, read in _estimate(part.name).items()},
    **{part.name: _average(part.name) for part in fields(Averages)},
    **{counter.name: _count(counter.name) for counter in COUNTERS},
    "sndbuf_bytes": lambda row: row.sndbuf_bytes,
    "slave_shares": lambda row: "/".join(f"{share:.4f}" for share in row.slaves) or None,
}
"""How to read each figure; None where there is none.

``ratio`` is of pps and ``ratio_ns`` of ns/frame, each to the baseline; shares are fractions;
counts are as model/counters.py says.
"""


def axis_fields(cells: Sequence[Cell]) -> dict[str, tuple[str, ...]]:
    """Where records of these cells have their axes."""
    return {axis: ("axes", axis) for axis in axes_of(cells)}


def axis_values(cell: Cell, axes: Iterable[str]) -> dict[str, Value | None]:
    return {axis: cell.values.get(axis) for axis in axes}


def records(
    run: str, rows: Sequence[CellResult], provenance: Mapping[str, Json] = MappingProxyType({})
) -> Records:
    """Each cell with its axes, its figures in the order of FIGURES, and its notes."""
    axes = axis_fields([row.cell for row in rows])
    return Records(
        name="cells",
        fields={
            "cell": ("cell",),
            **axes,
            **{name: (name,) for name in (*FIGURES, "notes")},
        },
        rows=tuple(
            {
                "run": run,
                "cell": ids.shown(row.cell.id),
                "axes": axis_values(row.cell, axes),
                **{name: read(row) for name, read in FIGURES.items()},
                "notes": [str(note) for note in row.notes],
            }
            for row in rows
        ),
        provenance={"run": run, **provenance},
    )
