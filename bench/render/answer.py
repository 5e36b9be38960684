"""The answer above a table: who is fastest where, what each axis is worth, what to be wary of."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from bench.analysis.answer import answer_of
from bench.base.values import brief_text, distinct
from bench.model.answer import Answer, Contest, Effect, Worth
from bench.model.cells import Cell
from bench.model.results import CellResult, Estimate
from bench.model.run import Run
from bench.render import answer_json, cell_names, effects, table
from bench.render.document import Document, Item, Listing
from bench.render.report import Report
from bench.render.scale import si_text

AS_FAST = 0.03
"""A cell that may be slower than the leader by more is not called as fast."""

MANY_CONTESTS = 8
"""More than these are told together where the same method leads."""

WARY = ("lossy", "clamped", "imprecise", "starved", "stolen", "shared", "failover")
"""Notes that a reader of the answer must know of, the worst first."""

TELLS_OF_THE_LEADER = frozenset(WARY) - {"imprecise"}
"""Its interval shows that."""

Rows = Mapping[str, CellResult]


def answered(run: Run, report: Report, every: bool = True, known: Answer | None = None) -> Document:
    """The document of a report that begins with the answer, which may be ``known``; ``every`` as
    ``table`` has it."""
    answer, rows = known or answer_of(run, report.rows), report.rows
    document = table.document_of(report, every)
    lead = [block for block in (_fastest(answer, rows), _worth(answer, rows)) if block.items]
    if not any(row.is_measured for row in rows):
        lead.append(Listing("No cell has figures, so there is no answer."))
    if (wary := _wary(answer, rows)).items:
        lead.append(wary)
    return replace(
        document,
        lead=tuple(lead),
        data={**document.data, "answer": answer_json.of(answer, len(rows))},
    )


# Who is fastest


def _fastest(answer: Answer, rows: Sequence[CellResult]) -> Listing:
    known, contests = {row.cell.id: row for row in rows}, answer.contests
    if len(contests) > MANY_CONTESTS:
        items = tuple(_together(alike, known, contests) for alike in _alike(contests, known))
    else:
        items = tuple(_contest(contest, known, contests) for contest in contests)
    return Listing("Fastest (ratios of pps in the same rounds, with 95 % intervals):", items)


def _contest(contest: Contest, rows: Rows, others: Sequence[Contest]) -> Item:
    group = [rows[contest.leader].cell, *(rows[rival.cell].cell for rival in contest.rivals)]
    details = (
        ("best", ", ".join(cell_names.telling(group[0], group))),
        ("as fast", _as_fast(contest, group)),
        ("not told apart", _not_told(contest, group)),
        ("ahead of", ", ".join(_ahead(contest, group))),
        ("lossy", _lossy(contest, rows)),
    )
    return Item(
        names=(_where(contest, others),),
        text=_leader(contest, rows),
        details=tuple(detail for detail in details if detail[1]),
    )


def _where(contest: Contest, others: Sequence[Contest]) -> str:
    """The place and the workload, as far as contests differ in them, and always the interface."""
    texts = []
    for axis, value in {**contest.place, **contest.workload}.items():
        among = distinct({**c.place, **c.workload}.get(axis) for c in others)
        if len(among) > 1 or axis == "interface":
            text = brief_text(value, among)
            texts.append(text if isinstance(value, dict) else f"{axis} {text}")
    return ", ".join(texts) or "here"


def _leader(contest: Contest, rows: Rows) -> str:
    row = rows[contest.leader]
    told = []
    if row.figures.ratio:
        told.append(f"{_ratio(row.figures.ratio)} times its baseline")
    elif row.is_baseline:
        told.append("the baseline itself")
    if row.figures.pps:
        told.append(si_text(row.figures.pps.value, "pps"))
    told += [note.code for note in row.notes if note.code in TELLS_OF_THE_LEADER]
    if not contest.rivals:
        told.append("without a rival")
    return f"{row.cell.method}: {', '.join(told)}"


def _as_fast(contest: Contest, group: Sequence[Cell]) -> str:
    tied = {
        rival.cell: behind
        for rival in contest.rivals
        if not rival.is_beaten and (behind := _most_behind(rival.lead)) <= AS_FAST
    }
    if not tied:
        return ""
    most = f"slower by {max(tied.values()) * 100:.1f} % at most"
    return f"{cell_names.several(tied, group)}; {most}"


def _most_behind(lead: Estimate | None) -> float:
    """By what part of the leader's pps a rival may be slower."""
    return 1.0 if lead is None or lead.high is None else 1 - 1 / lead.high


def _not_told(contest: Contest, group: Sequence[Cell]) -> str:
    apart = {
        rival.cell: _most_behind(rival.lead)
        for rival in contest.rivals
        if not rival.is_beaten and _most_behind(rival.lead) > AS_FAST
    }
    if not apart:
        return ""
    most = max(apart.values())
    why = "no interval from so few rounds" if most == 1 else f"slower by {most * 100:.0f} % at most"
    return f"{cell_names.several(apart, group)}; {why}"


def _ahead(contest: Contest, group: Sequence[Cell]) -> Iterator[str]:
    """The best of each method that is beaten; of a single method the best beaten cell."""
    cells = {cell.id: cell for cell in group}
    beaten = [(cells[r.cell], r.lead) for r in contest.rivals if r.is_beaten]
    level = {cells[contest.leader].method} | {
        cells[rival.cell].method for rival in contest.rivals if not rival.is_beaten
    }
    best: dict[str, Estimate | None] = {}
    for cell, lead in beaten:
        if cell.method not in level:
            best.setdefault(cell.method, lead)
    for method, lead in best.items():
        yield f"{method} by {_ratio(lead)}"
    if not best:
        for cell, lead in beaten[:1]:
            yield f"{cell_names.one(cell, group)} by {_ratio(lead)}"


def _lossy(contest: Contest, rows: Rows) -> str:
    """Those that do not compete, and how much the best of them seemed to send."""
    if not contest.lossy:
        return ""
    cells = [rows[cell].cell for cell in contest.lossy]
    best = rows[contest.lossy[0]].figures.pps
    most = f"; up to {si_text(best.value, 'pps')} completed, not all delivered" if best else ""
    return cell_names.several(contest.lossy, cells) + most


# Many contests


def _alike(contests: Sequence[Contest], rows: Rows) -> list[list[Contest]]:
    """Contests of one place that the same method leads."""
    groups: list[tuple[object, list[Contest]]] = []
    for contest in contests:
        key = (contest.place, rows[contest.leader].cell.method)
        found = next((group for known, group in groups if known == key), None)
        if found is None:
            groups.append((key, [contest]))
        else:
            found.append(contest)
    return [group for _, group in groups]


def _together(alike: Sequence[Contest], rows: Rows, others: Sequence[Contest]) -> Item:
    """How often a method leads on a place, and over which range of ratios to the baselines."""
    place = alike[0].place
    of_place = [contest for contest in others if contest.place == place]
    where = _where(replace(alike[0], workload={}), others)
    method = rows[alike[0].leader].cell.method
    decided = sum(contest.is_decided for contest in alike)
    ratios = [ratio for contest in alike if (ratio := rows[contest.leader].figures.ratio)]
    ends = sorted(ratios, key=lambda ratio: ratio.value)
    told = [f"in {len(alike)} of {len(of_place)} workloads"]
    if ends:
        told.append(f"{' to '.join(map(_ratio, _ends(ends)))} times its baseline")
    elif any(rows[contest.leader].is_baseline for contest in alike):
        told.append("the baseline itself")
    told.append(f"ahead of every other cell in {decided}")
    which = "" if len(alike) == len(of_place) else _workloads(alike, others)
    details = (("which", which),) if which else ()
    return Item((where,), f"{method}: {', '.join(told)}", details)


def _workloads(alike: Sequence[Contest], others: Sequence[Contest]) -> str:
    return "; ".join(_where(replace(contest, place={}), others) for contest in alike)


def _ends(ordered: Sequence[Estimate]) -> Sequence[Estimate]:
    return ordered if len(ordered) == 1 else (ordered[0], ordered[-1])


# What axes are worth


def _worth(answer: Answer, rows: Sequence[CellResult]) -> Listing:
    """A line for each axis: over what range it is worth something, or that it is worth nothing."""
    told = effects.TOLD_BY_THE_FASTEST if answer.contests else ()
    of_axes: dict[str, list[Effect]] = {}
    for effect in answer.effects:
        if effect.axis not in told:
            known = [leaf for leaf in effect.leaves() if leaf.ratio.low is not None]
            of_axes.setdefault(effect.axis, []).extend(known)
    names = effects.Names([row.cell for row in rows])
    order = sorted(of_axes.values(), key=lambda of: -max(map(effects.strength, of), default=0.0))
    heading = "Worth of an axis (ratios of pps, all else equal; all of them: bench show --effects):"
    return Listing(heading, tuple(_of_axis(of, names) for of in order if of))


def _of_axis(known: Sequence[Effect], names: effects.Names) -> Item:
    """The weakest and the strongest of an axis' effects."""
    name = names.contrasts(known)
    worths = {effect.worth for effect in known}
    if worths == {Worth.NEGLIGIBLE}:
        return Item((name,), f"no effect, within ±{_bound(known):.1f} %")
    order = sorted(known, key=lambda effect: effect.ratio.value)
    ends = [order[0], order[-1]] if len(order) > 1 else order
    texts = [f"{_ratio(e.ratio)} {names.bracketed(e, known)}".rstrip() for e in ends]
    shown = "" if worths & {Worth.FASTER, Worth.SLOWER} else "no effect shown: "
    return Item((name,), shown + " to ".join(texts))


def _bound(known: Sequence[Effect]) -> float:
    """In percent, rounded up: what no end of an interval is beyond."""
    bounds = [bound for e in known for bound in (e.ratio.low, e.ratio.high) if bound is not None]
    return math.ceil(max(abs(bound - 1) for bound in bounds) * 1000) / 10


# What to be wary of

_NOT_RUN = "the run ended before the first sample of the cell"


def _wary(answer: Answer, rows: Sequence[CellResult]) -> Listing:
    items = [
        Item(("failed",) if reason else ("not run",), f"{_share(of, rows)}: {reason or _NOT_RUN}")
        for reason, of in answer.failures.items()
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
