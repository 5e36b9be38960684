"""Colours and shapes of pictures, for light and for dark screens.

Series differ in colour and shape. Colours of each palette keep apart for the colour-blind, too, and
stand out from the background by 3:1 (tests/render/pictures/test_theme.py holds both).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from bench.render.pictures.picture import Spec

FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
SIZE = 11
"""Of labels, in pixels."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """``series`` in the order of use; ``good`` and ``bad`` are of verdicts.

    The range ``ordinal`` has colours of verdicts in their order, the worst first.
    """

    background: str
    ink: str
    muted: str
    faint: str
    good: str
    bad: str
    series: tuple[str, ...]


LIGHT = Scheme(
    background="#ffffff",
    ink="#1b1f24",
    muted="#59636e",
    faint="#d8dee4",
    good="#0b63c5",
    bad="#b3261e",
    series=("#013688", "#ad8a0f", "#2c9cbf", "#6d0a48", "#277f6a", "#7c4c06"),
)
DARK = Scheme(
    background="#14171c",
    ink="#e6e9ed",
    muted="#a4adb7",
    faint="#363d46",
    good="#58a6ff",
    bad="#ff8077",
    series=("#1076ff", "#e18f52", "#2ccbdd", "#cc109f", "#c9f8b6", "#827610"),
)
SCHEMES = {"light": LIGHT, "dark": DARK}

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
"""One more than colours: a seventh series has the colour of the first and a shape of its own."""


def config(scheme: Scheme) -> Spec:
    """How everything looks that a specification does not say itself; ``style`` has our classes."""
    text = {"labelColor": scheme.muted, "titleColor": scheme.ink, "labelFontSize": SIZE}
    return {
        "background": None,
        "font": FONT,
        "padding": 4,
        "view": {"stroke": scheme.faint},
        "range": {
            "category": [*scheme.series],
            "ordinal": [scheme.bad, scheme.series[1], scheme.good, scheme.muted],
        },
        "axis": {
            **text,
            "titleFontSize": SIZE,
            "titleFontWeight": "normal",
            "gridColor": scheme.faint,
            "domainColor": scheme.muted,
            "tickColor": scheme.muted,
        },
        "legend": {
            **text,
            "labelColor": scheme.ink,
            "titleFontSize": SIZE,
            "titleFontWeight": "normal",
            "symbolSize": 70,
            "symbolStrokeWidth": 1.5,
        },
        "title": {
            "color": scheme.ink,
            "subtitleColor": scheme.muted,
            "fontSize": SIZE + 1,
            "subtitleFontSize": SIZE,
            "anchor": "start",
        },
        "text": {"fontSize": SIZE, "color": scheme.ink},
        "line": {"strokeWidth": 1.5},
        "style": {
            "ink": {"color": scheme.ink, "stroke": scheme.ink},
            "words": {"color": scheme.muted, "fill": scheme.muted, "fontSize": SIZE},
            "zero": {"color": scheme.ink, "stroke": scheme.ink, "strokeDash": [4, 3]},
            "mark": {"color": scheme.muted, "stroke": scheme.muted, "strokeDash": [2, 2]},
            "band": {"color": scheme.muted, "fill": scheme.muted, "opacity": 0.15},
            "good": {"color": scheme.good, "stroke": scheme.good},
            "bad": {"color": scheme.bad, "stroke": scheme.bad},
        },
    }


def series(names: Sequence[str], drawn: Collection[str], width: int) -> dict[str, Any]:
    """The encoding of series by colour and shape, with one legend above the picture.

    A name has its colour by its place among ``names``, whether the others are drawn or not.
    """
    shown = [name for name in names if name in drawn]
    room = max(map(len, shown), default=1) * 6.2 + 34
    legend = {
        "title": None,
        "orient": "top",
        "values": shown,
        "columns": max(1, min(len(shown), int(width / room))),
        "symbolOpacity": 1,
        "labelLimit": width - 40,
    }
    where = {"field": "series", "type": "nominal"}
    shapes = [SHAPES[number % len(SHAPES)] for number in range(len(names))]
    scale = {"domain": [*names]}
    return {
        "color": {**where, "scale": scale, "legend": legend},
        "shape": {**where, "scale": {**scale, "range": shapes}, "legend": legend},
    }
