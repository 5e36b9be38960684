"""The history that a run belongs to: series over nights, their change points, and the marks."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.campaign.changed import Changed
from bench.campaign.timeline import Line, Timeline
from bench.render.pictures import figures, layout
from bench.render.pictures.labels import Labels, short
from bench.render.pictures.layout import Panel, Place
from bench.render.pictures.picture import Choice, Kind, NotDrawn, Picture, Row, Spec, Subject

FEWEST = 3
"""Nights that are a history."""
MOST = 12
"""Series of a picture."""
HEIGHT = 110
FIGURE = "ns_per_frame"
"""CPU time is steadier than pps where the machine is shared."""


def pictures(subject: Subject, choice: Choice) -> list[Picture]:
    made = subject.timeline
    if made is None or len(made.nights) < FEWEST:
        raise NotDrawn(f"it takes {FEWEST} runs of one matrix in the folder of the run")
    figure = choice.figure or FIGURE
    lines = [line for line in made.lines if line.figure == figure]
    shifts = [line for line in lines if line.cell is None]
    ids = {row.cell.id for row in subject.rows}
    cells = [line for line in lines if line.cell and line.cell.id in ids and line.level]
    cells.sort(key=lambda line: -line.last.night if line.last else 0)
    if not cells:
        raise NotDrawn("no night has figures of these cells")
    few = cells[:MOST]
    which = f"{len(few)} of {len(cells)} cells" if len(cells) > MOST else "each cell"
    order = " (the latest changed first)" if any(line.last for line in cells) else ""
    return [_picture(made, [*shifts, *few], which + order, figure)]


def _picture(made: Timeline, lines: Sequence[Line], which: str, figure: str) -> Picture:
    labels = Labels(made.cells)
    panels = [_panel(made, line, labels, figure) for line in lines]
    grid = [panels[n : n + 2] for n in range(0, len(panels), 2)]
    marks = [_mark(made, mark.night, mark.text) for mark in made.marks]
    return Picture(
        title="History",
        variant="",
        caption=f"{figures.NAMES[figure]} of what cells share, then of {which}, beyond that; a "
        "point for each night. Full lines with a "
        "number are change points, dotted ones are marks: another kernel, core or matrix. "
        + _told(made),
        data={**layout.data(grid), "marks": marks},
        draw=lambda width: _spec(grid, bool(marks), width),
    )


def _told(made: Timeline) -> str:
    """The marks in words: nobody should have to hover."""
    texts = [f"{made.nights[mark.night].started:%Y-%m-%d}: {mark.text}" for mark in made.marks[-3:]]
    return f"The last marks: {'; '.join(texts)}." if texts else ""


def _panel(made: Timeline, line: Line, labels: Labels, figure: str) -> Panel:
    name = labels.whole(line.cell) if line.cell else _shared(line.series)
    undone = math.exp if line.cell else math.expm1
    cuts = [*made.cuts]
    rows: list[Row] = []
    for number, value in enumerate(line.values.tolist()):
        if not math.isnan(value):
            night = made.nights[number].started
            shown = undone(value)
            text = f"{shown:.1f} ns/frame" if line.cell else f"{shown:+.1%}"
            rows.append(
                {
                    "kind": "night",
                    "night": night.isoformat(),
                    "value": shown,
                    "strand": sum(cut <= number for cut in cuts),
                    "tip": f"{name}\n{night:%Y-%m-%d %H:%M}: {text}",
                }
            )
    values = [row["value"] for row in rows]
    top = max(values, default=1.0)
    rows += [_change(made, change, name, top) for change in line.changes]
    facts = {"unit": figures.NAMES[figure] if line.cell else "shift", "is_cell": bool(line.cell)}
    return Panel(short(name), rows, facts)


def _shared(series: str) -> str:
    return "all cells" if series == "all" else f"all of {series}"


def _change(made: Timeline, change: Changed, name: str, top: float) -> Row:
    night = made.nights[change.night].started
    why = f"\nacknowledged: {change.why}" if change.why else ""
    return {
        "kind": "change",
        "night": night.isoformat(),
        "value": top,
        "text": f"{change.size:+.1%}",
        "tip": f"{name}\nsince {night:%Y-%m-%d}: {change.size:+.1%} "
        f"[{change.low:+.1%}, {change.high:+.1%}]{why}",
    }


def _mark(made: Timeline, night: int, text: str) -> Row:
    started = made.nights[night].started
    return {"night": started.isoformat(), "tip": f"{started:%Y-%m-%d}: {text}"}


def _spec(lines: Sequence[Sequence[Panel]], has_marks: bool, width: int) -> Spec:
    x = {
        "field": "night",
        "type": "temporal",
        "scale": {"type": "utc"},
        "axis": {
            "title": None,
            "format": "%d %b",
            "tickCount": 4,
            "labelOverlap": "greedy",
            "grid": False,
        },
    }
    tip = {"tooltip": {"field": "tip", "type": "nominal"}}

    def draw(panel: Panel, _at: Place) -> Spec:
        form = {} if panel.facts["is_cell"] else {"format": "+.2~%"}
        y = {
            "field": "value",
            "type": "quantitative",
            "scale": {"zero": False},
            "axis": {"title": panel.facts["unit"], "tickCount": 4, **form},
        }
        nights = [{"filter": "datum.kind === 'night'"}]
        changes = [{"filter": "datum.kind === 'change'"}]
        marks = {
            "data": {"name": "marks"},
            "mark": {"type": "rule", "style": "mark"},
            "encoding": {"x": x, **tip},
        }
        return {
            "height": HEIGHT,
            "layer": [
                *([marks] if has_marks else []),
                {
                    "transform": nights,
                    "mark": {"type": "line", "style": "good", "strokeWidth": 1},
                    "encoding": {"x": x, "y": y, "detail": {"field": "strand", "type": "nominal"}},
                },
                {
                    "transform": nights,
                    "mark": {"type": "point", "filled": True, "size": 14, "style": "good"},
                    "encoding": {"x": x, "y": y, **tip},
                },
                {
                    "transform": changes,
                    "mark": {"type": "rule", "style": "bad", "strokeWidth": 1.5},
                    "encoding": {"x": x, **tip},
                },
                {
                    "transform": changes,
                    "mark": {"type": "text", "align": "right", "dx": -4, "baseline": "top"},
                    "encoding": {
                        "x": x,
                        "y": {"value": 2},
                        "text": {"field": "text", "type": "nominal"},
                        **tip,
                    },
                },
            ],
        }

    return layout.grid(lines, width - 46 * len(lines[0]), 12, draw)


KIND = Kind(
    title="History",
    pictures=pictures,
    reads=("figure",),
)
