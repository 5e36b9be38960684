"""Panels side by side, as many as there is room for, on a screen of 390 pixels, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.render.pictures.picture import Row, Spec

GAP = 14
"""Pixels between panels."""
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
ONE_LEGEND: Spec = {"scale": {"color": "shared", "shape": "shared"}}
LEAST = 150
"""Pixels of the narrowest panel that stands beside others."""
CHARACTER = 6.2
"""Pixels of one character of a label, about."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a picture with data of its own; ``facts`` is what its drawing needs to know."""

    title: str
    rows: Sequence[Row]
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel is: its width in pixels, whether it is the first of its line (which has labels
    at its left), and whether it is in the last line (which has the title of x)."""

    width: int
    is_first: bool
    is_last: bool


Draw = Callable[[Panel, Place], Spec]
"""A panel's marks and height."""

Lines = Sequence[Sequence[Panel]]
"""Panels beside each other share the scale of y."""


def name_of(line: int, number: int) -> str:
    return f"panel{line}_{number}"


def data(lines: Lines) -> dict[str, Sequence[Row]]:
    """The datasets that ``grid`` names."""
    return {
        name_of(n, m): panel.rows for n, line in enumerate(lines) for m, panel in enumerate(line)
    }


def grid(lines: Lines, width: int, room: int, draw: Draw, least: int = LEAST) -> Spec:
    """The panels; ``room`` is what the labels at the left need, in pixels."""
    most = max(len(line) for line in lines)
    across = max(1, min(most, (width - room) // (least + GAP)))
    each = int((width - room - (across - 1) * GAP - 10) / across)
    rows = []
    for n, line in enumerate(lines):
        for start in range(0, len(line), across):
            is_last = n == len(lines) - 1 and start + across >= len(line)
            panels = [
                {
                    **({"title": {"text": panel.title, "frame": "group"}} if panel.title else {}),
                    "data": {"name": name_of(n, m)},
                    "width": each,
                    **draw(panel, Place(each, m == start, is_last)),
                }
                for m, panel in enumerate(line[start : start + across], start)
            ]
            rows.append({"hconcat": panels, "spacing": GAP, "resolve": ONE_LEGEND})
    return {"$schema": SCHEMA, "vconcat": rows, "spacing": GAP, "resolve": ONE_LEGEND}


def room_for(texts: Sequence[str]) -> int:
    """Pixels for labels at the left."""
    return int(max(map(len, texts), default=0) * CHARACTER + 16)


def untitled(x: Spec) -> Spec:
    """An axis below which another panel has the same one."""
    return {**x, "axis": {**x["axis"], "title": None}}
