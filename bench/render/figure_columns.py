"""The columns of a table that have figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bench.model.counters import COUNTERS, Counter
from bench.model.results import CellResult, Estimate
from bench.render import scale
from bench.render.document import Column
from bench.render.scale import NONE, Scale

EXACT_BELOW = 1_000_000
"""Smaller counts are shown to the last digit."""


def figure_columns(rows: Sequence[CellResult]) -> list[Column]:
    """Each in one unit, which its label names."""
    figures = [row.figures for row in rows]
    rates, bits = [f.pps for f in figures], [_bits_of(f.gbps) for f in figures]
    calls = [row.averages.frames_per_call for row in rows]
    shares = [_percent(row.averages.cpu_share) for row in rows]
    ratios = scale.plain(_numbers([f.ratio for f in figures]), "ratio", 3)
    pps, per_call = scale.si(_numbers(rates), "pps"), scale.plain(calls, "frames/call", 1)
    bits_per_second, used = scale.si(bits, "b/s", 2), scale.plain(shares, "CPU share", 0)
    return [
        Column(pps.label, pps.texts(map(_value, rates))),
        *_level_column(rows, pps),
        Column(bits_per_second.label, bits_per_second.texts(bits), dispensable=6),
        _ns_column([_value(f.ns_per_frame) for f in figures]),
        Column("ratio", tuple(_ratio(row, ratios) for row in rows)),
        Column(
            "95 % interval",
            tuple(_interval(row, ratios) for row in rows),
            right=False,
            dispensable=7,
        ),
        Column(per_call.label, per_call.texts(calls), stacked="frames/\ncall", dispensable=2),
        Column(
            used.label,
            tuple(NONE if s is None else f"{used.text(s)} %" for s in shares),
            stacked="CPU\nshare",
            dispensable=1,
        ),
        *_slaves_column(rows),
        *_count_columns(rows),
    ]


def _level_column(rows: Sequence[CellResult], pps: Scale) -> list[Column]:
    """The intervals of pps, in a run that has no ratios."""
    if any(row.figures.ratio or row.is_baseline for row in rows) or not any(
        row.figures.pps and row.figures.pps.low for row in rows
    ):
        return []
    cells = tuple(_bounds(row.figures.pps, pps) for row in rows)
    return [Column("95 % interval", cells, right=False, dispensable=7)]


def _slaves_column(rows: Sequence[CellResult]) -> list[Column]:
    """How a bond spread the frames over its slaves, if there is one."""
    if not any(row.slaves for row in rows):
        return []
    shares = scale.plain((100 * share for row in rows for share in row.slaves), "slaves %", 0)
    cells = ("/".join(shares.text(100 * share) for share in row.slaves) or NONE for row in rows)
    return [Column(shares.label, tuple(cells), stacked="slaves\n%", dispensable=5)]


def _ns_column(values: Sequence[float | None]) -> Column:
    """Tenths of a nanosecond mean nothing beside a frame that takes ten microseconds."""
    digits = 0 if any(value and value >= 10_000 for value in values) else 1
    ns = scale.plain(values, "ns/frame", digits)
    return Column(ns.label, ns.texts(values), stacked="ns/\nframe")


def _numbers(estimates: Iterable[Estimate | None]) -> Iterator[float | None]:
    """Each estimate's value and bounds, for one scale of them all."""
    for estimate in estimates:
        if estimate is not None:
            yield from (estimate.value, estimate.low, estimate.high)


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def _bits_of(gbps: Estimate | None) -> float | None:
    return None if gbps is None else gbps.value * 1e9


def _percent(share: float | None) -> float | None:
    return None if share is None else share * 100


def _ratio(row: CellResult, ratios: Scale) -> str:
    if row.is_baseline and row.is_measured:
        return ratios.text(1.0)
    return ratios.text(_value(row.figures.ratio))


def _interval(row: CellResult, ratios: Scale) -> str:
    if row.is_baseline and row.is_measured:
        return "baseline"
    return _bounds(row.figures.ratio, ratios)


def _bounds(estimate: Estimate | None, unit: Scale) -> str:
    if estimate is None:
        return NONE
    if estimate.low is None or estimate.high is None:
        return f"none (n = {estimate.n})"
    return f"[{unit.text(estimate.low)}, {unit.text(estimate.high)}]"


_DISPENSABLE = {"drops": 5, "enobufs": 4}
"""Of the columns of counters; the others are given up sooner."""


def _count_columns(rows: Sequence[CellResult]) -> list[Column]:
    """The columns of COUNTERS, of each that has a label, if anything was counted."""
    columns = []
    for counter in COUNTERS:
        # Without a valid sample there is none to count in.
        counts = [row.counts.get(counter.name, 0) if row.is_measured else None for row in rows]
        if counter.label and any(counts):
            columns.append(_count_column(counter, counts))
    return columns


def _count_column(counter: Counter, counts: Sequence[int | None]) -> Column:
    exact = max(filter(None, counts)) < EXACT_BELOW
    unit = Scale("") if exact else scale.si(counts, "", 1)
    labels = [counter.label, *([f"({unit.label})"] if unit.label else [])]
    return Column(
        " ".join(labels),
        unit.texts(counts),
        stacked="\n".join(labels),
        dispensable=_DISPENSABLE.get(counter.name, 3),
    )
