"""What each axis is worth, as a table of its own."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from bench.analysis.answer import answer_of
from bench.analysis.matched import GROUPED_BY
from bench.base import ids
from bench.base.values import brief_text, distinct, key_of
from bench.model.answer import NEGLIGIBLE, Answer, Effect
from bench.model.cells import Cell
from bench.model.results import Estimate
from bench.model.run import Run
from bench.render.document import Column, Document, Fact, Json, Records, Table, text_column
from bench.render.pictures.labels import named
from bench.render.report import Report
from bench.render.scale import Scale, plain

TOLD_BY_THE_FASTEST = GROUPED_BY
"""Axes whose effects the answer does not repeat."""


def strength(effect: Effect) -> float:
    """How far an effect is from none at the least: the nearer end of its interval, as a logarithm;
    0 where the interval reaches what is negligible."""
    low, high = effect.ratio.low, effect.ratio.high
    if low is None or high is None or (low <= 1 + NEGLIGIBLE and high >= 1 - NEGLIGIBLE):
        return 0.0
    return min(abs(math.log(low)), abs(math.log(high)))


class Names:
    """Texts of effects among some cells: values with the options in which they differ."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = cells

    def value(self, axis: str, value: Any) -> str:
        return brief_text(value, distinct(cell.values.get(axis) for cell in self._cells))

    def contrast(self, effect: Effect) -> str:
        """``burst 64 over 1``."""
        value, over = (self.value(effect.axis, v) for v in (effect.value, effect.over))
        return f"{effect.axis} {value} over {over}"

    def where(self, effect: Effect) -> str:
        """The values by which pairs that disagree are apart."""
        return ", ".join(
            named(axis, value, distinct(cell.values.get(axis) for cell in self._cells))
            for axis, value in effect.among.items()
            if axis not in GROUPED_BY
        )

    def contrasts(self, effects: Sequence[Effect]) -> str:
        """What effects of one axis have in common: ``burst over 1``."""
        first = effects[0]
        if len({key_of([e.value, e.over]) for e in effects}) == 1:
            return self.contrast(first)
        if len({key_of(e.over) for e in effects}) == 1:
            return f"{first.axis} over {self.value(first.axis, first.over)}"
        return first.axis

    def bracketed(self, effect: Effect, among: Sequence[Effect]) -> str:
        """Of what an effect is, in brackets, as far as it tells it from others of its axis."""
        texts = []
        if len({key_of([e.value, e.over]) for e in among}) > 1:
            same = len({key_of(e.over) for e in among}) == 1
            value, over = (self.value(effect.axis, v) for v in (effect.value, effect.over))
            texts.append(value if same else f"{value} over {over}")
        for axis in GROUPED_BY:
            if axis in effect.among and len({key_of(e.among.get(axis)) for e in among}) > 1:
                texts.append(self.value(axis, effect.among[axis]))
        texts = list(filter(None, (*texts, self.where(effect))))
        return f"({', '.join(texts)})" if texts else ""


# The document


def document_of(run: Run, report: Report) -> Document:
    """A row for each effect, or for each part of one whose pairs disagree."""
    answer = answer_of(run, report.rows)
    leaves = _in_order([leaf for effect in answer.effects for leaf in effect.leaves()])
    names = Names([row.cell for row in report.rows])
    return Document(
        records=Records(
            name="effects",
            fields={name: (name,) for name in _FIELDS},
            rows=tuple(map(json_of, leaves)),
            provenance={"run": report.run, **report.provenance},
        ),
        name=report.name,
        description=report.description,
        facts=(
            Fact("run", report.run),
            *report.facts,
            Fact(
                "ratio",
                "pps with a value over pps without it, in the same rounds, of cells that differ "
                "in nothing else; the mean over the pairs",
            ),
            Fact(
                "ns/frame",
                "the same ratio of CPU time per frame: below 1 is cheaper; steadier than pps on a "
                "shared machine, and not 1 / ratio where senders wait",
            ),
            Fact("negligible", f"the whole interval is within ±{NEGLIGIBLE * 100:g} %"),
        ),
        blocks=(_table(leaves, names),) if leaves else (),
        notes=tuple(_notes(leaves, answer)),
        data={"run": report.run},
    )


def _notes(leaves: Sequence[Effect], answer: Answer) -> Iterator[str]:
    if not leaves:
        yield "no two cells with figures differ in one axis alone, so no effect is known"
    if any(effect.parts for effect in answer.effects):
        yield (
            "differs by: pairs of an effect disagree beyond chance, so each row has those with "
            "one value of the axis that tells them apart best"
        )
    for axis in answer.alone:
        yield f"{axis}: no two cells differ in it alone, so what it is worth is not known"


def _in_order(leaves: Sequence[Effect]) -> list[Effect]:
    """Those of one contrast beside each other."""
    keys = [key_of([leaf.axis, leaf.value, leaf.over]) for leaf in leaves]
    axes = [leaf.axis for leaf in leaves]
    order = sorted(range(len(leaves)), key=lambda n: (axes.index(axes[n]), keys.index(keys[n])))
    return [leaves[n] for n in order]


def _table(effects: Sequence[Effect], names: Names) -> Table:
    ratios = ratio_scale([e.ratio for e in effects])
    costs = ratio_scale([e.ratio_ns for e in effects])
    by = [
        replace(
            text_column(
                axis,
                [names.value(axis, e.among[axis]) if axis in e.among else "-" for e in effects],
            ),
            stacked="inter-\nface" if axis == "interface" else "",
        )
        for axis in GROUPED_BY
    ]
    columns = (
        replace(text_column("effect", map(names.contrast, effects)), heads=True),
        *by,
        text_column("differs by", map(names.where, effects)),
        Column("pairs", tuple(str(len(e.pairs)) for e in effects), dispensable=1),
        Column(ratios.label, ratios.texts(e.ratio.value for e in effects)),
        text_column("95 % interval", (_interval(e.ratio, ratios) for e in effects)),
        Column("ns/frame", costs.texts(e.ratio_ns.value for e in effects), dispensable=4),
        replace(
            text_column("its interval", (_interval(e.ratio_ns, costs) for e in effects)),
            dispensable=3,
        ),
        replace(text_column("worth", (e.worth.value for e in effects)), dispensable=2),
    )
    axes = [effect.axis for effect in effects]
    return Table(
        columns=tuple(c for c in columns if any(cell not in ("", "-") for cell in c.cells)),
        breaks=frozenset(i for i in range(1, len(axes)) if axes[i] != axes[i - 1]),
    )


def ratio_scale(ratios: Sequence[Estimate]) -> Scale:
    """For ratios and their intervals."""
    return plain([number for r in ratios for number in (r.value, r.low, r.high)], "ratio", 3)


def ratio_text(ratio: Estimate | None) -> str:
    """``1.320 [1.300, 1.332]``."""
    if ratio is None:
        return "?"
    value, low, high = ratio_scale([ratio]).texts((ratio.value, ratio.low, ratio.high))
    if ratio.low is None or ratio.high is None:
        return f"{value} (no interval from {ratio.n} rounds)"
    return f"{value} [{low}, {high}]"


def _interval(ratio: Estimate, scale: Scale) -> str:
    if ratio.low is None or ratio.high is None:
        return f"none (n = {ratio.n})"
    return f"[{scale.text(ratio.low)}, {scale.text(ratio.high)}]"


# For programs

_FIELDS = (
    *("axis", "value", "over", "method", "interface", "where", "pairs", "cells", "over_cells"),
    *("ratio", "ratio_low", "ratio_high", "ratio_n", "worth"),
    *("ratio_ns", "ratio_ns_low", "ratio_ns_high"),
)


def json_of(effect: Effect) -> dict[str, Json]:
    ratio = effect.ratio
    return {
        "axis": effect.axis,
        "value": effect.value,
        "over": effect.over,
        "method": effect.among.get("method"),
        "interface": effect.among.get("interface"),
        "where": {a: v for a, v in effect.among.items() if a not in GROUPED_BY},
        "pairs": len(effect.pairs),
        "cells": [ids.shown(cell) for cell, _ in effect.pairs],
        "over_cells": [ids.shown(over) for _, over in effect.pairs],
        "ratio": ratio.value,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "ratio_n": ratio.n,
        "worth": effect.worth.value,
        "ratio_ns": effect.ratio_ns.value,
        "ratio_ns_low": effect.ratio_ns.low,
        "ratio_ns_high": effect.ratio_ns.high,
    }
