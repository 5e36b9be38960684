"""Every figure of a cell, raw and under a name with its unit, for the formats programs read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.model.axes import AXES
from bench.model.results import CellResult
from bench.render.document import Records

Figure = str | int | float | bool | None


def _estimate(name: str) -> dict[str, Callable[[CellResult], Figure]]:
    """``x``, ``x_low`` and ``x_high`` (its 95 % interval), ``x_n`` (the rounds it is from)."""

    def getter(attribute: str) -> Callable[[CellResult], Figure]:
        return lambda row: getattr(getattr(row, name), attribute, None)

    return {
        name: getter("value"),
        f"{name}_low": getter("low"),
        f"{name}_high": getter("high"),
        f"{name}_n": getter("n"),
    }


FIGURES: Mapping[str, Callable[[CellResult], Figure]] = {
    "failure": lambda row: row.failure or None,
    "is_baseline": lambda row: row.is_baseline,
    "is_fastest": lambda row: row.is_fastest,
    "rounds": lambda row: row.rounds,
    "invalid_rounds": lambda row: row.invalid,
    "invalid_reason": lambda row: row.invalid_reason or None,
    "moved_rounds": lambda row: row.moved,
    **_estimate("pps"),
    **_estimate("gbps"),
    **_estimate("ns_per_frame"),
    **_estimate("ratio"),
    **_estimate("ratio_ns"),
    "frames_per_call": lambda row: row.frames_per_call,
    "cpu_share": lambda row: row.cpu_share,
    "user_share": lambda row: row.user_share,
    "steal_share": lambda row: row.steal_share,
    "softirq_share": lambda row: row.softirq_share,
    "interrupts": lambda row: row.interrupts,
    "involuntary_switches": lambda row: row.involuntary,
    "foreign_frames": lambda row: row.foreign,
    "completed_frames": lambda row: row.completed,
    "drops": lambda row: row.drops,
    "eagain": lambda row: row.eagain,
    "enobufs": lambda row: row.enobufs,
    "full_waits": lambda row: row.full_waits,
    "short_counts": lambda row: row.short_counts,
    "wmem_high_bytes": lambda row: row.wmem_high,
    "sndbuf_bytes": lambda row: row.sndbuf,
    "slave_shares": lambda row: "/".join(f"{share:.4f}" for share in row.slaves) or None,
}
"""How to read each figure; None where there is none.

``ratio`` is of pps and ``ratio_ns`` of ns/frame, each to the baseline; shares are fractions;
counts are sums over the windows of the valid samples (``interrupts``: of the whole machine over
their slices; ``foreign_frames``: of the invalid ones too).
"""


AXIS_FIELDS: Mapping[str, tuple[str, ...]] = {axis: ("axes", axis) for axis in AXES}
"""Where records of cells have their axes."""


def records(run: str, rows: Sequence[CellResult]) -> Records:
    """Each cell with its axes, its figures in the order of FIGURES, and its notes."""
    names = ("run", "cell", *AXES, *FIGURES, "notes")
    return Records(
        name="cells",
        fields={name: AXIS_FIELDS.get(name, (name,)) for name in names},
        rows=tuple(
            {
                "run": run,
                "cell": row.cell.id,
                "axes": dict(row.cell.values),
                **{name: read(row) for name, read in FIGURES.items()},
                "notes": [str(note) for note in row.notes],
            }
            for row in rows
        ),
    )
