"""A heat map over two axes: in each field the best cell that has both values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from bench.base.values import Value, distinct, key_of
from bench.model.axes import Role, role_of
from bench.model.results import CellResult
from bench.render.pictures import figures, layout
from bench.render.pictures.labels import Labels, plain, short
from bench.render.pictures.layout import Panel, Place
from bench.render.pictures.picture import Choice, Kind, NotDrawn, Picture, Row, Spec, Subject

ROW, MOST = 26, 400
"""Pixels of a row; fields of a map beyond which it tells nothing any more."""
NONE = "-"


def pictures(subject: Subject, choice: Choice) -> list[Picture]:
    rows = subject.measured
    labels = Labels([row.cell for row in rows])
    figure = choice.figure or "pps"
    made = [_picture(rows, labels, x, y, figure) for x, y in _pairs(rows, labels, choice)]
    return [picture for picture in made if picture is not None]


def _pairs(rows: Sequence[CellResult], labels: Labels, choice: Choice) -> list[tuple[str, str]]:
    """Those that were asked for, or any two axes, the one with more values below the other."""
    wanted = [axis for axis in (choice.x, choice.y) if axis]
    known = [axis for axis in labels.varying if role_of(axis) is not Role.REPLICA]
    for axis in wanted:
        if axis not in labels.varying:
            raise NotDrawn(
                f"{axis} has not several values here; axes that have: {', '.join(known) or 'none'}"
            )
    if len(wanted) == 2:
        if choice.x == choice.y:
            raise NotDrawn(f"a heat map has two axes; {choice.x} is one")
        return [(choice.x, choice.y)]
    if len(known) < 2:
        raise NotDrawn("fewer than two axes have several values")
    first = ["method"] if "method" in known else []
    order = [*first, *(axis for axis in known if axis not in first)]
    pairs = [pair for pair in combinations(order, 2) if set(wanted) <= set(pair)]
    if wanted:
        other = [next(axis for axis in pair if axis != wanted[0]) for pair in pairs]
        return [(choice.x or axis, choice.y or axis) for axis in other]
    return [(b, a) for a, b in pairs]


def _picture(
    rows: Sequence[CellResult], labels: Labels, x: str, y: str, figure: str
) -> Picture | None:
    columns, lines = _values(rows, x), _values(rows, y)
    if len(columns) * len(lines) > MOST:
        raise NotDrawn(f"{x} and {y} have {len(columns)} x {len(lines)} values: too many to read")
    with_figure = [row for row in rows if getattr(row.figures, figure)]
    if not with_figure:
        raise NotDrawn(f"no cell has a {figures.NAMES[figure]}")
    split = "interface" not in (x, y)
    groups = list(dict.fromkeys(labels.place(r.cell) if split else "" for r in with_figure))
    unit = figures.scale_of(figure, [getattr(row.figures, figure).value for row in with_figure])
    factor = figures.scaled(figure, 1.0, unit)
    panels = []
    for group in groups:
        mine = [r for r in with_figure if not split or labels.place(r.cell) == group]
        made = _fields(mine, labels, (x, columns), (y, lines), figure, factor)
        panels.append(Panel(group, made, {}))
    names = [_name(x, value, columns) for value in columns]
    down = [_name(y, value, lines) for value in lines]
    best = "lowest" if figure in figures.LOWER_IS_BETTER else "highest"
    return Picture(
        title=f"{unit.label} over {x} and {y}",
        variant=f"{x} and {y}",
        caption=f"The {best} {unit.label} of all cells with these values of {x} and {y}; a tooltip "
        "names the cell.",
        data=layout.data([panels]),
        draw=lambda width: _spec(panels, (x, names), (y, down), (unit.label, best), width),
    )


def _values(rows: Sequence[CellResult], axis: str) -> list[Value | None]:
    found: list[Value | None] = [*distinct(row.cell.values.get(axis) for row in rows)]
    if any(row.cell.values.get(axis) is None for row in rows):
        found.append(None)
    return found


def _name(axis: str, value: Value | None, among: Sequence[Value | None]) -> str:
    if value is None:
        return NONE
    return short(plain(axis, value, [each for each in among if each is not None]))


def _fields(
    rows: Sequence[CellResult],
    labels: Labels,
    x: tuple[str, Sequence[Value | None]],
    y: tuple[str, Sequence[Value | None]],
    figure: str,
    factor: float,
) -> list[Row]:
    groups: dict[tuple[str, str], list[CellResult]] = {}
    for row in rows:
        values = tuple(key_of(row.cell.values.get(axis)) for axis, _ in (x, y))
        groups.setdefault((values[0], values[1]), []).append(row)
    choose = min if figure in figures.LOWER_IS_BETTER else max
    made: list[Row] = []
    for group in groups.values():
        best = choose(group, key=lambda row: getattr(row.figures, figure).value)
        value = getattr(best.figures, figure).value * factor
        made.append(
            {
                "x": _name(x[0], best.cell.values.get(x[0]), x[1]),
                "y": _name(y[0], best.cell.values.get(y[0]), y[1]),
                "value": value,
                "text": _text(value),
                "tip": "\n".join(
                    [f"best of {len(group)}: {labels.whole(best.cell)}", *figures.told(best)]
                ),
            }
        )
    return made


def _text(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _spec(
    panels: Sequence[Panel],
    x: tuple[str, Sequence[str]],
    y: tuple[str, Sequence[str]],
    of: tuple[str, str],
    width: int,
) -> Spec:
    values = [row["value"] for panel in panels for row in panel.rows]
    low, high = min(values), max(values)
    room = layout.room_for(y[1]) + 14
    scale: Spec = {"scheme": "cividis", "domain": [low, high if high > low else low + 1]}
    if of[1] == "lowest":
        scale["reverse"] = True
    light = f"datum.value {'<' if of[1] == 'lowest' else '>'} {(low + high) / 2}"
    angle = 0 if max(map(len, x[1])) * len(x[1]) * layout.CHARACTER < width / 3 else -40

    def draw(_panel: Panel, place: Place) -> Spec:
        is_first = place.is_first
        at = {
            "x": {
                "field": "x",
                "type": "nominal",
                "scale": {"domain": [*x[1]]},
                "axis": {"title": x[0], "labelAngle": angle, "labelLimit": 110},
            },
            "y": {
                "field": "y",
                "type": "nominal",
                "scale": {"domain": [*y[1]]},
                "axis": {
                    "title": y[0] if is_first else None,
                    "labelLimit": room,
                    **({} if is_first else {"labels": False}),
                },
            },
        }
        legend = {"title": of[0], "orient": "top", "gradientLength": 140}
        return {
            "height": ROW * len(y[1]),
            "layer": [
                {
                    "mark": "rect",
                    "encoding": {
                        **at,
                        "color": {
                            "field": "value",
                            "type": "quantitative",
                            "scale": scale,
                            "legend": legend,
                        },
                        "tooltip": {"field": "tip", "type": "nominal"},
                    },
                },
                {
                    "mark": {"type": "text", "tooltip": None},
                    "encoding": {
                        **at,
                        "text": {"field": "text", "type": "nominal"},
                        "color": {
                            "condition": {"test": light, "value": "#000000"},
                            "value": "#ffffff",
                        },
                    },
                },
            ],
        }

    return layout.grid([panels], width, room, draw)


KIND = Kind(
    title="Heat map",
    pictures=pictures,
    reads=("x", "y", "figure"),
)
