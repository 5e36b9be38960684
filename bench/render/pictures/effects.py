"""What each axis is worth: a forest plot, a line of panels for each axis."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.answer import answer_of
from bench.base.values import value_text
from bench.model.answer import NEGLIGIBLE, Effect
from bench.render.effects import TOLD_BY_THE_FASTEST, Names
from bench.render.pictures import figures, forest, layout
from bench.render.pictures.layout import Panel
from bench.render.pictures.picture import Choice, Kind, NotDrawn, Picture, Spec, Subject

MOST = 40
"""Rows of an axis: of more, those nearest to none are left out."""


def pictures(subject: Subject, choice: Choice) -> list[Picture]:
    measured = subject.measured
    cells = [row.cell for row in measured]
    answer = subject.answer or answer_of(subject.run, measured)
    leaves = [e for effect in answer.effects for e in effect.leaves()]
    axes = list(dict.fromkeys(effect.axis for effect in leaves))
    if choice.x and choice.x not in axes:
        raise NotDrawn(f"no effect of {choice.x}; axes that have: {', '.join(axes) or 'none'}")
    if not leaves:
        raise NotDrawn("no two cells with figures differ in one axis alone")
    names = Names(cells)
    inner = [axis for axis in axes if axis not in TOLD_BY_THE_FASTEST]
    wanted = [choice.x] if choice.x else inner or axes
    lines = [_line(axis, [e for e in leaves if e.axis == axis], names) for axis in wanted]
    methods = list(dict.fromkeys(cell.method for cell in cells))
    aligned = [forest.aligned(line) for line in lines]
    left = len([e for e in leaves if e.axis in wanted]) - sum(len(p.rows) for q in lines for p in q)
    scale = forest.Axis("ratio of pps", 1.0, near=NEGLIGIBLE)

    def draw(width: int) -> Spec:
        return forest.spec(aligned, scale, methods, width)

    return [
        Picture(
            title="What each axis is worth",
            variant="",
            caption="pps with a value over pps with the other, in the same rounds, of cells that "
            "differ in nothing else: right of 1 is faster. Bars are 95 % intervals; the band "
            f"is ±{NEGLIGIBLE * 100:g} %, within which nobody need heed an effect."
            + _elsewhere(axes, wanted)
            + (f" {left} weaker effects are left out." if left > 0 else ""),
            data=layout.data(aligned),
            draw=draw,
        )
    ]


def _elsewhere(axes: Sequence[str], wanted: Sequence[str]) -> str:
    """Interfaces and methods differ by so much that other effects could not be seen beside them."""
    rest = [axis for axis in axes if axis not in wanted]
    return f" Effects of {' and '.join(rest)} are not in this picture." if rest else ""


def _line(axis: str, effects: Sequence[Effect], names: Names) -> list[Panel]:
    """A panel for each interface."""
    kept = sorted(effects, key=lambda e: -abs(e.ratio.value - 1))[:MOST]
    groups: dict[str, list[Effect]] = {}
    for effect in effects:
        if effect in kept:
            groups.setdefault(_interface(effect, names), []).append(effect)
    panels = []
    for interface, mine in groups.items():
        rows = [_row(effect, names) for effect in mine]
        title = ": ".join(filter(None, (axis, interface)))
        panels.append(Panel(title, rows, {}))
    return panels


def _interface(effect: Effect, names: Names) -> str:
    value = effect.among.get("interface")
    return "" if value is None else names.value("interface", value)


def _row(effect: Effect, names: Names) -> forest.Row:
    contrast = names.contrast(effect).removeprefix(f"{effect.axis} ")
    method = value_text(effect.among.get("method", effect.value))
    parts = [contrast] if effect.axis == "method" else [contrast, method]
    name = ", ".join(filter(None, (*parts, names.where(effect))))
    pairs = f"{len(effect.pairs)} pair{'s' * (len(effect.pairs) > 1)} of cells"
    ratio = figures.with_interval(effect.ratio, lambda value: f"{value:.3f}")
    where = _interface(effect, names)
    told = ", ".join(filter(None, (names.contrast(effect), method, where, names.where(effect))))
    tip = "\n".join([told, f"ratio {ratio}", f"{effect.worth.value}; {pairs}"])
    return forest.row(name, method, effect.ratio, tip)


KIND = Kind(title="What each axis is worth", pictures=pictures, reads=("x",))
