"""The answer above a table: who is fastest where, what each axis is worth, what to be wary of."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from bench.analysis.answer import answer_of
from bench.model.answer import Answer, Effect, Worth
from bench.model.results import CellResult
from bench.model.run import Run
from bench.render import answer_json, contests, effects, table
from bench.render.contests import WARY, some
from bench.render.document import Document, Item, Listing
from bench.render.effects import ratio_text
from bench.render.report import Report

MANY = 5
"""Of more axes or failures the others are counted."""


def answered(run: Run, report: Report, every: bool = True, known: Answer | None = None) -> Document:
    """The document of a report that begins with the answer, which may be ``known``; ``every`` as
    ``table`` has it."""
    answer, rows = known or answer_of(run, report.rows), report.rows
    document = table.document_of(report, every)
    fastest = contests.fastest(answer, rows, report.baselines)
    lead = [block for block in (fastest, _worth(answer, rows)) if block.items]
    if not any(row.is_measured for row in rows):
        lead.append(Listing("No cell has figures, so there is no answer."))
    if (wary := _wary(answer, rows)).items:
        lead.append(wary)
    return replace(
        document,
        lead=tuple(lead),
        data={**document.data, "answer": answer_json.of(answer, len(rows))},
    )


# What axes are worth


def _worth(answer: Answer, rows: Sequence[CellResult]) -> Listing:
    """A line for each axis whose effects are shown, the strongest first, and for those that are
    worth nothing; the others are counted."""
    told = effects.TOLD_BY_THE_FASTEST if answer.contests else ()
    of_axes: dict[str, list[Effect]] = {}
    for effect in answer.effects:
        if effect.axis not in told:
            known = [leaf for leaf in effect.leaves() if leaf.ratio.low is not None]
            of_axes.setdefault(effect.axis, []).extend(known)
    names = effects.Names([row.cell for row in rows])
    order = sorted(of_axes.values(), key=lambda of: -max(map(effects.strength, of), default=0.0))
    nil = [of for of in order if of and _is_nil(of)]
    shown = [of for of in order if of and not _is_nil(of)]
    items = [_of_axis(of, names) for of in shown[:MANY]]
    if weaker := shown[MANY:]:
        items.append(Item(("weaker",), ", ".join(names.contrasts(of) for of in weaker)))
    if nil:
        bounds = (f"{names.contrasts(of)} (within ±{_bound(of):.1f} %)" for of in nil)
        items.append(Item(("no effect",), ", ".join(bounds)))
    heading = "Worth of an axis (ratios of pps, all else equal; all of them: bench show --effects):"
    return Listing(heading, tuple(items))


def _is_nil(known: Sequence[Effect]) -> bool:
    return all(effect.worth is Worth.NEGLIGIBLE for effect in known)


def _of_axis(known: Sequence[Effect], names: effects.Names) -> Item:
    """The weakest and the strongest of an axis' effects."""
    order = sorted(known, key=lambda effect: effect.ratio.value)
    ends = [order[0], order[-1]] if len(order) > 1 else order
    texts = [f"{ratio_text(e.ratio)} {names.bracketed(e, known)}".rstrip() for e in ends]
    shows = {effect.worth for effect in known} & {Worth.FASTER, Worth.SLOWER}
    shown = "" if shows else "no effect shown: "
    return Item((names.contrasts(known),), shown + " to ".join(texts))


def _bound(known: Sequence[Effect]) -> float:
    """In percent, rounded up: what no end of an interval is beyond."""
    bounds = [bound for e in known for bound in (e.ratio.low, e.ratio.high) if bound is not None]
    return math.ceil(max(abs(bound - 1) for bound in bounds) * 1000) / 10


# What to be wary of

_NOT_RUN = "the run ended before the first sample of the cell"


def _wary(answer: Answer, rows: Sequence[CellResult]) -> Listing:
    failures = sorted(answer.failures.items(), key=lambda failure: -len(failure[1]))
    items = [
        Item(("failed",) if reason else ("not run",), f"{_share(of, rows)}: {reason or _NOT_RUN}")
        for reason, of in failures[:MANY]
    ]
    if more := [cell for _, of in failures[MANY:] for cell in of]:
        items.append(Item(("failed",), f"{_share(more, rows)}: for other reasons (see the table)"))
    texts: dict[str, dict[str, None]] = {}
    for note in (note for row in rows for note in row.notes):
        texts.setdefault(note.code, {})[note.text] = None
    items += [
        Item((code,), f"{_share(answer.marked[code], rows)}: {some(texts[code])}")
        for code in WARY
        if code in answer.marked
    ]
    items += [Item((axis,), "no two cells differ in it alone") for axis in answer.alone]
    return Listing("To be wary of:", tuple(items))


def _share(cells: Collection[str], rows: Sequence[CellResult]) -> str:
    return f"{len(cells)} of {len(rows)} cells"
