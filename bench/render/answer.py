"""The answer above a table: who is fastest where, what each axis is worth, what to be wary of."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.analysis.answer import answer_of
from bench.base import ids
from bench.base.values import brief_text, distinct, key_of
from bench.model.answer import NEGLIGIBLE, Answer, Contest, Effect, Worth
from bench.model.cells import Cell, axes_of
from bench.model.results import CellResult, Estimate
from bench.model.run import Run
from bench.render import effects, table
from bench.render.document import Document, Item, Json, Listing
from bench.render.report import Report
from bench.render.scale import si_text

AS_FAST = 0.03
"""A cell that may be slower than the leader by more is not called as fast."""

MOST_EFFECTS = 6
"""So many are in the answer, the strongest, besides those shown to be nil."""

WARY = ("lossy", "clamped", "imprecise", "starved", "stolen", "shared", "failover")
"""Notes that a reader of the answer must know of, the worst first."""

Rows = Mapping[str, CellResult]


def answered(run: Run, report: Report, every: bool = True) -> Document:
    """The document of a report that begins with the answer; ``every`` as of its table."""
    answer, rows = answer_of(run, report.rows), report.rows
    document = table.document_of(report, every)
    blocks = (_fastest(answer, rows), _worth(answer, rows), _wary(answer, rows))
    lead = tuple(block for block in blocks if block.items)
    if not lead:
        lead = (Listing("No cell has figures, so there is no answer."),)
    return replace(document, lead=lead, data={**document.data, "answer": _json(answer, len(rows))})


# Who is fastest


def _fastest(answer: Answer, rows: Sequence[CellResult]) -> Listing:
    known = {row.cell.id: row for row in rows}
    items = tuple(_contest(contest, known, answer.contests) for contest in answer.contests)
    return Listing("Fastest (ratios of pps in the same rounds, with 95 % intervals):", items)


def _contest(contest: Contest, rows: Rows, others: Sequence[Contest]) -> Item:
    group = [rows[contest.leader].cell, *(rows[rival.cell].cell for rival in contest.rivals)]
    details = (
        ("best", ", ".join(_telling(group[0], group))),
        ("as fast", _as_fast(contest, group)),
        ("not told apart", _not_told(contest, group)),
        ("ahead of", _ahead(contest, group) if contest.rivals else "nothing: it has no rival"),
        ("not counted", _lossy(contest, rows)),
    )
    return Item(
        names=(_where(contest, others),),
        text=_leader(contest, rows),
        details=tuple(detail for detail in details if detail[1]),
    )


def _where(contest: Contest, others: Sequence[Contest]) -> str:
    """The place and the workload, as far as contests differ in them."""
    mine = {**contest.place, **contest.workload}
    texts = []
    for axis, value in mine.items():
        among = distinct({**c.place, **c.workload}.get(axis) for c in others)
        if len(among) > 1 or axis == "interface":
            text = brief_text(value, among)
            texts.append(text if isinstance(value, dict) else f"{axis} {text}")
    return ", ".join(texts)


def _leader(contest: Contest, rows: Rows) -> str:
    row = rows[contest.leader]
    told = []
    if row.figures.ratio:
        told.append(f"{_ratio(row.figures.ratio)} times its baseline")
    elif row.is_baseline:
        told.append("the baseline itself")
    if row.figures.pps:
        told.append(si_text(row.figures.pps.value, "pps"))
    told += [code for code in WARY if code in {n.code for n in row.notes} - {"imprecise"}]
    return f"{row.cell.method}: {', '.join(told)}"


def _as_fast(contest: Contest, group: Sequence[Cell]) -> str:
    tied = {
        rival.cell: behind
        for rival in contest.rivals
        if not rival.is_beaten and (behind := _most_behind(rival.lead)) <= AS_FAST
    }
    if not tied:
        return ""
    return f"{_set(tied, group)}, slower by {max(tied.values()) * 100:.1f} % at most"


def _most_behind(lead: Estimate | None) -> float:
    """By what part of the leader's pps a rival may be slower."""
    return 1.0 if lead is None or lead.high is None else 1 - 1 / lead.high


def _not_told(contest: Contest, group: Sequence[Cell]) -> str:
    apart = [
        rival.cell
        for rival in contest.rivals
        if not rival.is_beaten and _most_behind(rival.lead) > AS_FAST
    ]
    return _set(apart, group) if apart else ""


def _ahead(contest: Contest, group: Sequence[Cell]) -> str:
    """The best of each method that is beaten; of a single method the best beaten cell."""
    cells = {cell.id: cell for cell in group}
    level = {cells[contest.leader].method} | {
        cells[rival.cell].method for rival in contest.rivals if not rival.is_beaten
    }
    best: dict[str, str] = {}
    for rival in contest.rivals:
        method = cells[rival.cell].method
        if rival.is_beaten and rival.lead and method not in level:
            best.setdefault(method, f"{method} by {_ratio(rival.lead)}")
    if not best:
        beaten = [r for r in contest.rivals if r.is_beaten and r.lead]
        return "".join(f"{_named(cells[r.cell], group)} by {_ratio(r.lead)}" for r in beaten[:1])
    return ", ".join(best.values())


def _lossy(contest: Contest, rows: Rows) -> str:
    if not contest.lossy:
        return ""
    cells = [rows[cell].cell for cell in contest.lossy]
    return f"{_set(contest.lossy, cells)}: completed frames were dropped"


# Names of cells


def _named(cell: Cell, group: Sequence[Cell]) -> str:
    return _with(cell.method, _telling(cell, group))


def _telling(cell: Cell, group: Sequence[Cell]) -> list[str]:
    """What tells a cell from others of its method in a group; flags that are off are left out."""
    alike = [other for other in group if other.method == cell.method]
    return [
        f"{axis} {brief_text(value, among)}"
        for axis in axes_of(alike)
        if len(among := distinct(other.values.get(axis) for other in alike)) > 1
        and (value := cell.values.get(axis)) is not False
    ]


def _with(method: str, texts: Sequence[str]) -> str:
    return f"{method} with {', '.join(texts)}" if texts else method


def _set(chosen: Collection[str], group: Sequence[Cell]) -> str:
    """Some cells of a group: ``3 cells of tx_ring with burst 64 or 256``, by method."""
    methods = dict.fromkeys(cell.method for cell in group if cell.id in chosen)
    return ", ".join(_of_method(chosen, [c for c in group if c.method == m]) for m in methods)


def _of_method(chosen: Collection[str], group: Sequence[Cell]) -> str:
    """What the chosen cells of a method have in common, and how many they are.

    "3 of 5": as many others are like that, and are not among them.
    """
    mine = [cell for cell in group if cell.id in chosen]
    if len(mine) == 1:
        return _named(mine[0], group)
    texts, alike = [], list(group)
    for axis in axes_of(group):
        every = distinct(cell.values.get(axis) for cell in group)
        keys = {key_of(cell.values.get(axis)) for cell in mine}
        some = [brief_text(value, every) for value in every if key_of(value) in keys]
        if len(some) < len(every):
            texts.append(f"{axis} {' or '.join(some)}")
            alike = [cell for cell in alike if key_of(cell.values.get(axis)) in keys]
    number = f"{len(mine)}" if len(mine) == len(alike) else f"{len(mine)} of {len(alike)}"
    return f"{number} cells of {_with(group[0].method, texts)}"


# What axes are worth


def _worth(answer: Answer, rows: Sequence[CellResult]) -> Listing:
    """The strongest effects, and those that are nil everywhere."""
    alike: dict[str, list[Effect]] = {}
    for effect in answer.effects:
        if effect.axis not in effects.TOLD_BY_THE_FASTEST:
            key = key_of([effect.axis, effect.value, effect.over])
            alike.setdefault(key, []).extend(effect.leaves())
    names = effects.Names([row.cell for row in rows])
    nil = [of for of in alike.values() if all(e.worth is Worth.NEGLIGIBLE for e in of)]
    some = [of for of in alike.values() if of not in nil and max(map(effects.strength, of)) > 0]
    some.sort(key=lambda of: -max(map(effects.strength, of)))
    items = [_from_to(of, names) for of in some[:MOST_EFFECTS]]
    items += [_nil(of, names) for of in nil]
    heading = "Worth of an axis (ratios of pps, all else equal; all of them: bench show --effects):"
    return Listing(heading, tuple(items))


def _from_to(alike: Sequence[Effect], names: effects.Names) -> Item:
    """The weakest and the strongest of an axis' effects that have intervals."""
    known = sorted((e for e in alike if e.ratio.low is not None), key=lambda e: e.ratio.value)
    ends = [known[0], known[-1]] if len(known) > 1 else known
    texts = [" ".join(filter(None, (_ratio(e.ratio), names.bracketed(e)))) for e in ends]
    return Item((names.contrast(known[0]),), " to ".join(texts))


def _nil(alike: Sequence[Effect], names: effects.Names) -> Item:
    bounds = [bound for e in alike for bound in (e.ratio.low, e.ratio.high) if bound is not None]
    most = math.ceil(max(abs(bound - 1) for bound in bounds) * 1000) / 10
    text = f"no effect, within ±{most:.1f} %"
    return Item((names.contrast(alike[0]),), text)


# What to be wary of


def _wary(answer: Answer, rows: Sequence[CellResult]) -> Listing:
    items = [
        Item(("failed" if reason != "not run" else reason,), f"{_share(cells, rows)}: {reason}")
        for reason, cells in answer.failures.items()
    ]
    texts: dict[str, dict[str, None]] = {}
    for note in (note for row in rows for note in row.notes):
        texts.setdefault(note.code, {})[note.text] = None
    items += [
        Item((code,), f"{_share(answer.marked[code], rows)}: {'; '.join(texts[code])}")
        for code in WARY
        if code in answer.marked
    ]
    items += [Item((axis,), "no two cells differ in it alone") for axis in answer.alone]
    return Listing("To be wary of:", tuple(items))


def _share(cells: Collection[str], rows: Sequence[CellResult]) -> str:
    return f"{len(cells)} of {len(rows)} cells"


def _ratio(estimate: Estimate | None) -> str:
    """``1.320 [1.300, 1.332]``."""
    if estimate is None:
        return "?"
    value, low, high = effects.ratio_scale([estimate]).texts(
        (estimate.value, estimate.low, estimate.high)
    )
    if estimate.low is None or estimate.high is None:
        return f"{value} (no interval from {estimate.n} rounds)"
    return f"{value} [{low}, {high}]"


# For programs


def _json(answer: Answer, cells: int) -> Json:
    return {
        "cells": cells,
        "contests": [_contest_json(contest) for contest in answer.contests],
        "effects": [effects.json_of(leaf) for e in answer.effects for leaf in e.leaves()],
        "failures": {reason: _ids(of) for reason, of in answer.failures.items()},
        "marked": {code: _ids(of) for code, of in answer.marked.items()},
        "alone": list(answer.alone),
        "negligible": NEGLIGIBLE,
    }


def _ids(cells: Sequence[str]) -> list[str]:
    return [*map(ids.shown, cells)]


def _contest_json(contest: Contest) -> dict[str, Any]:
    return {
        "place": dict(contest.place),
        "workload": dict(contest.workload),
        "leader": ids.shown(contest.leader),
        "is_decided": contest.is_decided,
        "rivals": [
            {
                "cell": ids.shown(r.cell),
                "is_beaten": r.is_beaten,
                "lead": effects.estimate_json(r.lead),
            }
            for r in contest.rivals
        ],
        "lossy": _ids(contest.lossy),
    }
