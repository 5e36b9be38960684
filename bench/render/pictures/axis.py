"""Throughput and cost against one axis: a line for each series of cells that differ in it alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.base.values import Value, distinct, key_of
from bench.model.axes import Role, role_of
from bench.model.cells import Cell
from bench.model.results import CellResult
from bench.render.pictures import figures, layout, theme
from bench.render.pictures.labels import Labels, plain
from bench.render.pictures.layout import Panel, Place
from bench.render.pictures.picture import Choice, Kind, NotDrawn, Picture, Row, Spec, Subject

FIGURES = ("pps", "ns_per_frame")
HEIGHT = 170
LOGARITHMIC = 8
"""From this ratio of the largest to the smallest value on."""
NEVER = ("method", "interface", "threads")
"""Axes that others show: panels, colours, the picture of threads."""


def pictures(subject: Subject, choice: Choice) -> list[Picture]:
    rows = subject.measured
    cells = [row.cell for row in rows]
    labels = Labels(cells)
    names = _axes(cells, labels, choice)
    wanted = [choice.figure] if choice.figure else list(FIGURES)
    made = []
    for axis in names:
        loads = list(dict.fromkeys(labels.workload(cell, but=axis) for cell in cells))
        for load in loads:
            mine = [row for row in rows if labels.workload(row.cell, but=axis) == load]
            if len(distinct(row.cell.values.get(axis) for row in mine)) > 1:
                made.append(_picture(mine, rows, labels, axis, load, wanted))
    if not made:
        raise NotDrawn(f"no two cells with the same work differ in {' or '.join(names)}")
    return made


def _axes(cells: Sequence[Cell], labels: Labels, choice: Choice) -> list[str]:
    """The one that was asked for, or each whose values have an order or a geometry."""
    if choice.x:
        if choice.x not in labels.varying:
            known = ", ".join(labels.varying) or "none"
            raise NotDrawn(f"{choice.x} has not several values here; axes that have: {known}")
        return [choice.x]
    found = [
        axis
        for axis in labels.varying
        if axis not in NEVER
        and role_of(axis) in (Role.WORKLOAD, Role.MEANS)
        and not any(isinstance(cell.values.get(axis), bool | str) for cell in cells)
    ]
    if not found:
        raise NotDrawn("no axis has several sizes or counts; --x names another one")
    return found


@dataclass(frozen=True)
class _Scale:
    """The horizontal axis: how a value is written, and the specification of it."""

    axis: str
    values: Sequence[Value]
    labels: Labels

    @property
    def is_number(self) -> bool:
        return all(isinstance(v, int) and not isinstance(v, bool) for v in self.values)

    def at(self, value: Value) -> float | str:
        return value if self.is_number else plain(self.axis, value, self.values)  # type: ignore[return-value]

    @property
    def spec(self) -> Spec:
        title = {"title": "frame size (bytes)" if self.axis == "frame_size" else self.axis}
        if not self.is_number:
            names = [plain(self.axis, value, self.values) for value in self.values]
            axis = {**title, "labelAngle": 0, "labelLimit": 110, "labelOverlap": "greedy"}
            return {"type": "ordinal", "scale": {"domain": names}, "axis": axis}
        numbers = sorted(int(value) for value in self.values)  # type: ignore[arg-type]
        scale: dict[str, Any] = {"nice": False}
        if numbers[0] > 0 and numbers[-1] / numbers[0] >= LOGARITHMIC:
            scale |= {"type": "log", "base": 2}
            scale["domain"] = [numbers[0] / 1.2, numbers[-1] * 1.2]
        else:
            rest = (numbers[-1] - numbers[0]) * 0.08
            scale["zero"] = False
            scale["domain"] = [numbers[0] - rest, numbers[-1] + rest]
        axis = {**title, "values": numbers, "format": "d", "labelOverlap": "greedy", "grid": False}
        return {"type": "quantitative", "scale": scale, "axis": axis}


def _picture(
    rows: Sequence[CellResult],
    every: Sequence[CellResult],
    labels: Labels,
    axis: str,
    load: str,
    wanted: Sequence[str],
) -> Picture:
    scale = _Scale(axis, distinct(row.cell.values.get(axis) for row in rows), labels)
    places = list(dict.fromkeys(labels.place(row.cell) for row in rows))
    lines = []
    for figure in wanted:
        values = [e.value for row in rows if (e := getattr(row.figures, figure))]
        unit = figures.scale_of(figure, values)
        top = figures.scaled(figure, max(values), unit) * 1.08
        facts = {"unit": unit.label, "top": top}
        panels = []
        for place in places:
            mine = [row for row in rows if labels.place(row.cell) == place]
            made = _rows(mine, labels, scale, figure, figures.scaled(figure, 1.0, unit))
            panels.append(Panel(place, made, facts))
        lines.append(panels)
    methods = list(dict.fromkeys(row.cell.method for row in every))
    what = " and ".join(panel[0].facts["unit"] for panel in lines)
    return Picture(
        title=f"{what} against {axis}",
        variant=" at ".join(filter(None, (axis, load))),
        caption=f"{what} against {axis}{f' ({load})' if load else ''}. Of each method the variant "
        "with most values, the fastest of several, is drawn with its 95 % intervals; its other "
        f"variants are thin. A dashed line is of a method that knows no {axis}.",
        data=layout.data(lines),
        draw=lambda width: _spec(lines, scale, methods, width),
    )


def _rows(
    rows: Sequence[CellResult], labels: Labels, scale: _Scale, figure: str, factor: float
) -> list[Row]:
    """A row for each cell; of a method that does not read the axis only the best one."""
    axis, methods = scale.axis, dict.fromkeys(row.cell.method for row in rows)
    made: list[Row] = []
    for method in methods:
        chains = _chains([row for row in rows if row.cell.method == method], axis)
        best = max(chains, key=lambda chain: (len(chain), _rank(chain)))
        flat = [chain for chain in chains if chain[0].cell.values.get(axis) is None]
        if flat and best in flat:
            best = max(flat, key=_rank)
            chains = [best]
        for chain in chains:
            name = labels.text(chain[0].cell, [a for a in labels.varying if a != axis])
            made += [_row(row, scale, name, chain is best, figure, factor) for row in chain]
    return made


def _chains(rows: Sequence[CellResult], axis: str) -> list[list[CellResult]]:
    """Cells that differ in the axis alone, in its order."""
    found: dict[str, list[CellResult]] = {}
    for row in rows:
        others = {name: value for name, value in row.cell.values.items() if name != axis}
        found.setdefault(key_of(others), []).append(row)
    return [
        sorted(chain, key=lambda row: _order(row.cell.values.get(axis))) for chain in found.values()
    ]


def _order(value: Value | None) -> tuple[bool, float]:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return not is_number, float(value) if is_number else 0.0  # type: ignore[arg-type]


def _rank(chain: Sequence[CellResult]) -> float:
    return statistics.fmean(math.log(row.figures.pps.value) for row in chain if row.figures.pps)


def _row(
    row: CellResult, scale: _Scale, name: str, is_best: bool, figure: str, factor: float
) -> Row:
    estimate = getattr(row.figures, figure)
    value = row.cell.values.get(scale.axis)
    low, high = (estimate.low, estimate.high) if estimate.low is not None else (None, None)
    return {
        "x": None if value is None else scale.at(value),
        "flat": value is None,
        "y": estimate.value * factor,
        "low": None if low is None or not is_best else low * factor,
        "high": None if high is None or not is_best else high * factor,
        "series": row.cell.method,
        "chain": name,
        "best": is_best,
        "tip": "\n".join([scale.labels.whole(row.cell), *figures.told(row)]),
    }


def _spec(
    lines: Sequence[Sequence[Panel]], scale: _Scale, methods: Sequence[str], width: int
) -> Spec:
    drawn = {row["series"] for line in lines for panel in line for row in panel.rows}
    styled = theme.series(methods, drawn, width)

    def draw(panel: Panel, at: Place) -> Spec:
        x = scale.spec if at.is_last else layout.untitled(scale.spec)
        return _panel(panel, at.is_first, x, styled)

    return layout.grid(lines, width, 56, draw)


def _panel(panel: Panel, is_first: bool, x: Spec, styled: Spec) -> Spec:
    y = {
        "field": "y",
        "type": "quantitative",
        "scale": {"domain": [0, panel.facts["top"]], "nice": False},
        "axis": {
            "title": panel.facts["unit"] if is_first else None,
            "tickCount": 5,
            **({} if is_first else {"labels": False}),
        },
    }
    at = {"x": {**x, "field": "x"}, "y": y}
    tip = {"field": "tip", "type": "nominal"}
    sloping = {"filter": "!datum.flat"}
    line = {
        "mark": {"type": "line"},
        "encoding": {
            **at,
            "color": styled["color"],
            "detail": {"field": "chain", "type": "nominal"},
        },
    }
    return {
        "height": HEIGHT,
        "layer": [
            {
                **replace_mark(line, strokeWidth=1, opacity=0.35),
                "transform": [{"filter": "!datum.flat && !datum.best"}],
            },
            {
                **replace_mark(line, strokeWidth=2),
                "transform": [{"filter": "!datum.flat && datum.best"}],
            },
            {
                "mark": {"type": "rule", "strokeWidth": 1.5, "strokeDash": [6, 3]},
                "transform": [{"filter": "datum.flat"}],
                "encoding": {"y": y, "color": styled["color"], "tooltip": tip},
            },
            {
                "mark": {"type": "rule", "strokeWidth": 2},
                "transform": [sloping, {"filter": "isValid(datum.low)"}],
                "encoding": {
                    "x": at["x"],
                    "y": {**y, "field": "low"},
                    "y2": {"field": "high"},
                    "color": styled["color"],
                },
            },
            {
                "mark": {"type": "point", "filled": True},
                "transform": [sloping],
                "encoding": {
                    **at,
                    **styled,
                    "size": {"condition": {"test": "datum.best", "value": 50}, "value": 22},
                    "opacity": {"condition": {"test": "datum.best", "value": 1}, "value": 0.5},
                    "tooltip": tip,
                },
            },
        ],
    }


def replace_mark(layer: Spec, **more: Any) -> Spec:
    return {**layer, "mark": {**layer["mark"], **more}}


KIND = Kind(
    title="Throughput and cost against an axis",
    pictures=pictures,
    reads=("x", "figure"),
)
