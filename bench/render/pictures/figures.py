"""Figures of cells as pictures name, scale and tell them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bench.base.values import Value, value_text
from bench.model.results import CellResult, Estimate
from bench.render.scale import Scale, plain, si, si_text

NAMES: Mapping[str, str] = {
    "pps": "pps",
    "gbps": "Gb/s",
    "ns_per_frame": "ns/frame",
    "ratio": "ratio",
}
"""Figures by the names that JSON has them under."""

LOWER_IS_BETTER = ("ns_per_frame",)


def scale_of(figure: str, values: Iterable[float]) -> Scale:
    """The unit of some values of a figure."""
    if figure == "pps":
        return si(values, "pps")
    if figure == "gbps":
        return si((value * 1e9 for value in values), "b/s")
    return plain(values, NAMES[figure], 3 if figure == "ratio" else 1)


def scaled(figure: str, value: float, scale: Scale) -> float:
    """A value in the unit."""
    return value * (1e9 if figure == "gbps" else 1.0) / scale.factor


def told(row: CellResult) -> list[str]:
    """Lines of a tooltip: each figure with its interval."""
    figures = row.figures
    lines = [
        _line(figures.pps, lambda v: si_text(v, "pps")),
        _line(figures.gbps, lambda v: si_text(v * 1e9, "b/s")),
        _line(figures.ns_per_frame, lambda v: f"{v:.1f} ns/frame"),
        _line(figures.ratio, lambda v: f"ratio {v:.3f}"),
    ]
    notes = ", ".join(note.mark for note in row.notes)
    return [*filter(None, lines), *([notes] if notes else [])]


def _line(estimate: Estimate | None, text: Callable[[float], str]) -> str:
    return "" if estimate is None else with_interval(estimate, text)


def with_interval(estimate: Estimate, text: Callable[[float], str]) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{text(estimate.value)} (no interval)"
    return f"{text(estimate.value)} [{text(estimate.low)}, {text(estimate.high)}]"


def setting(axis: str, value: Value) -> str:
    return f"{axis} {value_text(value)}"
