"""The speed-up with threads, against the ideal: a line for each series."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.scaling import SpeedUp, speed_ups
from bench.render.pictures import layout, theme
from bench.render.pictures.labels import Labels
from bench.render.pictures.layout import Panel, Place
from bench.render.pictures.picture import Choice, Kind, NotDrawn, Picture, Row, Spec, Subject

HEIGHT = 220


def pictures(subject: Subject, _choice: Choice) -> list[Picture]:
    cells = [row.cell for row in subject.measured]
    if len({cell.threads for cell in cells}) == 1:
        raise NotDrawn("all cells have the same number of threads")
    found = speed_ups(subject.run, cells)
    if not found:
        raise NotDrawn("no cell with several threads has one like it with one thread")
    labels = Labels([up.cell for up in found] + [up.base for up in found])
    names = {up.cell.id: _series(up, labels) for up in found}
    lines = [
        [
            Panel(", ".join(filter(None, (place, load))), rows, {})
            for place in dict.fromkeys(labels.place(up.cell) for up in found)
            if (rows := _rows(found, labels, (place, load), names))
        ]
        for load in dict.fromkeys(labels.workload(up.cell, but="threads") for up in found)
    ]
    most = max(cell.threads for cell in cells)
    top = max(most, *(up.ratio.high or up.ratio.value for up in found)) * 1.05
    series = list(dict.fromkeys(names.values()))
    return [
        Picture(
            title="Scaling with threads",
            variant="",
            caption="Speed-up against one thread, within rounds. The dashed line is the ideal: "
            "as many times faster as there are threads. Bars are 95 % intervals.",
            data=layout.data(lines),
            draw=lambda width: _spec(lines, most, top, series, width),
        )
    ]


def _series(up: SpeedUp, labels: Labels) -> str:
    """Method and means; the colour of a picture of threads tells these apart, too."""
    return labels.means(up.cell)


def _rows(
    found: Sequence[SpeedUp], labels: Labels, where: tuple[str, str], names: dict[str, str]
) -> list[Row]:
    mine = [
        up
        for up in found
        if (labels.place(up.cell), labels.workload(up.cell, but="threads")) == where
    ]
    begun: list[Row] = [
        {"threads": 1, "value": 1, "low": 1, "high": 1, "series": name, "tip": "1 thread"}
        for name in dict.fromkeys(names[up.cell.id] for up in mine)
    ]
    return begun + [
        {
            "threads": up.cell.threads,
            "value": up.ratio.value,
            "low": up.ratio.low if up.ratio.low is not None else up.ratio.value,
            "high": up.ratio.high if up.ratio.high is not None else up.ratio.value,
            "series": names[up.cell.id],
            "tip": f"{labels.whole(up.cell)}\n{_text(up)} of one thread",
        }
        for up in mine
    ]


def _text(up: SpeedUp) -> str:
    value, low, high = up.ratio.value, up.ratio.low, up.ratio.high
    return f"{value:.2f} times" if low is None else f"{value:.2f} [{low:.2f}, {high:.2f}] times"


def _spec(
    lines: Sequence[Sequence[Panel]], most: int, top: float, series: Sequence[str], width: int
) -> Spec:
    styled = theme.series(series, series, width)
    counts = sorted({row["threads"] for line in lines for panel in line for row in panel.rows})
    x = {
        "type": "quantitative",
        "scale": {"domain": [0.8, most + 0.2], "nice": False, "zero": False},
        "axis": {"title": "threads", "values": counts, "format": "d", "grid": False},
    }

    def draw(_panel: Panel, place: Place) -> Spec:
        is_first = place.is_first
        y = {
            "type": "quantitative",
            "scale": {"domain": [0, top], "nice": False},
            "axis": {
                "title": "speed-up" if is_first else None,
                **({} if is_first else {"labels": False}),
                "tickCount": 5,
            },
        }
        at = {"x": {**x, "field": "threads"}, "y": {**y, "field": "value"}}
        color = {"color": styled["color"]}
        ideal = [{"threads": 1, "value": 1}, {"threads": most, "value": most}]
        return {
            "height": HEIGHT,
            "layer": [
                {
                    "data": {"values": ideal},
                    "mark": {"type": "line", "style": "zero"},
                    "encoding": at,
                },
                {"mark": "line", "encoding": {**at, **color}},
                {
                    "mark": {"type": "rule", "strokeWidth": 2},
                    "encoding": {
                        "x": at["x"],
                        "y": {**y, "field": "low"},
                        "y2": {"field": "high"},
                        **color,
                    },
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 50, "opacity": 1},
                    "encoding": {
                        **at,
                        **styled,
                        "tooltip": {"field": "tip", "type": "nominal"},
                    },
                },
            ],
        }

    return layout.grid(lines, width, 56, draw)


KIND = Kind(
    title="Scaling with threads",
    pictures=pictures,
)
