"""Pictures of a run: one file and one row in KINDS each.

A picture is a Vega-Lite specification: data and a grammar. The same one is drawn in a page by
Vega's own code, and as SVG or PNG without a browser (``convert``). Texts of run files are in its
data, its titles and its labels only, never in field names or expressions: nothing of them is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.render.pictures.picture import Kind

KINDS: Mapping[str, str] = {
    "effects": "what each axis is worth, with intervals (--x: one axis)",
    "ratio": "each cell against its baseline, with intervals",
    "axis": "throughput and ns/frame against an axis (--x)",
    "threads": "the speed-up with threads, against the ideal",
    "heat": "a heat map over two axes (--x, --y)",
    "time": "the run in time: drift, openings, disturbed slices",
    "history": "the history that the run belongs to, with its change points",
    "comparison": "what changed from one run to another, or between the sides of `bench ab`",
}
"""What each is, by name, in the order in which a report shows them; a kind is in the file of its
name, which is read when it is drawn."""


def kind(name: str) -> Kind:
    found: Kind = import_module(f"{__name__}.{name}").KIND
    return found
