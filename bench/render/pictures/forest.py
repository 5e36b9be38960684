"""A forest plot: a row for each name, a mark with its interval on a common scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.model.results import Estimate
from bench.render.pictures import layout, theme
from bench.render.pictures.layout import Panel, Place
from bench.render.pictures.picture import Row, Spec

__all__ = ["Axis", "Row", "aligned", "row", "spec"]

HEIGHT, TIGHT = 16, 30
"""Pixels of a row, and of one that has its label above it."""
LEFT = 16
"""Pixels at the left without labels."""
MOST_FOR_LABELS = 0.4
"""Of the width of a picture: where labels need more, each stands above its row."""
WIDE = 4.0
"""From this span on a scale is logarithmic: else the smaller values would be one blot."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The common scale: its title, where nothing is changed, and how its labels are written."""

    title: str
    middle: float
    format: str = "~g"
    is_ratio: bool = True
    are_verdicts: bool = False
    """The series are, worst first: their colours say so."""
    near: float = 0.0
    """Changes up to this fraction are in a shaded band."""


def row(name: str, series: str, estimate: Estimate, tip: str) -> Row:
    """``estimate`` may have no interval: its mark is hollow then."""
    has = estimate.low is not None and estimate.high is not None
    return {
        "name": name,
        "series": series,
        "value": estimate.value,
        "low": estimate.low if has else estimate.value,
        "high": estimate.high if has else estimate.value,
        "sure": has,
        "tip": tip,
    }


def spec(lines: Sequence[Sequence[Panel]], axis: Axis, names: Sequence[str], width: int) -> Spec:
    """Panels of a line have their rows in common; ``facts["names"]`` has these, from the top.

    ``names`` are the series in their order.
    """
    rows = [row for line in lines for panel in line for row in panel.rows]
    domain = _domain(rows, axis)
    labels = [name for line in lines for name in line[0].facts["names"]]
    room = layout.room_for(labels)
    styled = theme.series(names, {row["series"] for row in rows}, width)
    if axis.are_verdicts:
        styled["color"]["scale"]["range"] = "ordinal"
    is_tight = room > width * MOST_FOR_LABELS

    def draw(panel: Panel, at: Place) -> Spec:
        beside = room if at.is_first and not is_tight else 0
        titled = axis if at.is_last else replace(axis, title="")
        return _panel(panel, at.width, _Style(titled, domain, beside, is_tight, styled))

    if is_tight:
        return layout.grid(lines, width, LEFT, draw, least=room)
    return layout.grid(lines, width, room, draw)


def aligned(line: Sequence[Panel]) -> list[Panel]:
    """With the names of all panels of a line in each, those of a series together."""
    series = {row["name"]: row["series"] for panel in line for row in panel.rows}
    order = list(dict.fromkeys(series.values()))
    names = sorted(series, key=lambda name: order.index(series[name]))
    return [Panel(panel.title, panel.rows, {"names": names}) for panel in line]


def _domain(rows: Sequence[Row], axis: Axis) -> tuple[float, float]:
    low = min(axis.middle - axis.near, *(row["low"] for row in rows))
    high = max(axis.middle + axis.near, *(row["high"] for row in rows))
    if _is_logarithmic((low, high), axis):
        return low / 1.1, high * 1.1
    rest = (high - low or abs(axis.middle) or 1) * 0.06
    return low - rest, high + rest


def _is_logarithmic(domain: tuple[float, float], axis: Axis) -> bool:
    return axis.is_ratio and domain[0] > 0 and domain[1] / domain[0] > WIDE


@dataclass(frozen=True, slots=True)
class _Style:
    """``beside`` is the room for labels at the left, 0 for none; tight rows have theirs above."""

    axis: Axis
    domain: tuple[float, float]
    beside: int
    is_tight: bool
    series: Spec


def _panel(panel: Panel, width: int, style: _Style) -> Spec:
    names = panel.facts["names"]
    if style.is_tight:  # nothing beside it to be in line with
        here = {row["name"] for row in panel.rows}
        names = [name for name in names if name in here]
    x, y = _x(style, width), _y(style, names)
    tip = {"tooltip": {"field": "tip", "type": "nominal"}}
    sure = {"condition": {"test": "datum.sure", "value": 1}, "value": 0}
    middle = {"x": {**x, "datum": style.axis.middle}}
    span = {"x": {**x, "field": "low"}, "x2": {"field": "high"}, "y": y}
    return {
        "height": (TIGHT if style.is_tight else HEIGHT) * len(names),
        "layer": [
            *([_band(style.axis, x)] if style.axis.near else []),
            {**_NOTHING, "mark": {"type": "rule", "style": "zero"}, "encoding": middle},
            *([_names_above(names, y)] if style.is_tight else []),
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "encoding": {**span, "color": style.series["color"], **tip},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 45, "opacity": 1},
                "encoding": {
                    **{"x": {**x, "field": "value"}, "y": y},
                    **style.series,
                    "fillOpacity": sure,
                    **tip,
                },
            },
        ],
    }


def _band(axis: Axis, x: Spec) -> Spec:
    """Where nothing that matters has changed."""
    low, high = axis.middle - axis.near, axis.middle + axis.near
    return {
        **_NOTHING,
        "mark": {"type": "rect", "style": "band"},
        "encoding": {"x": {**x, "datum": low}, "x2": {"datum": high}},
    }


_NOTHING: Spec = {"data": {"values": [{}]}}
"""For a mark that stands on no row of the data."""


def _x(style: _Style, width: int) -> Spec:
    is_log = _is_logarithmic(style.domain, style.axis)
    form: Spec = {"type": "log"} if is_log else {"zero": False}
    scale: Spec = {"domain": [*style.domain], "nice": False, **form}
    axis: Spec = {
        "title": style.axis.title or None,
        "format": style.axis.format,
        "tickCount": max(4, width // 45),
        "labelOverlap": "greedy",
    }
    if is_log:
        axis["values"] = [v for v in _ROUND if style.domain[0] <= v <= style.domain[1]]
    return {"type": "quantitative", "scale": scale, "axis": axis}


_ROUND = [v * 10.0**n for n in range(-4, 5) for v in (1, 1.5, 2, 3, 5, 7)]
"""Labels of a logarithmic scale."""


def _y(style: _Style, names: Sequence[str]) -> Spec:
    axis = {
        "labelLimit": style.beside,
        "labels": bool(style.beside),
        "labelOverlap": False,
        "ticks": False,
        "domain": False,
        "grid": True,
    }
    scale = {"domain": [*names], "padding": 0.5}
    return {"field": "name", "type": "nominal", "title": None, "scale": scale, "axis": axis}


def _names_above(names: Sequence[str], y: Spec) -> Spec:
    """Labels within the panel, each above its row."""
    return {
        "data": {"values": [{"name": name} for name in names]},
        "mark": {"type": "text", "style": "words", "align": "left", "dy": -9, "dx": 2},
        "encoding": {"x": {"value": 0}, "y": y, "text": {"field": "name", "type": "nominal"}},
    }
