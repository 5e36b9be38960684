"""Who is fastest where: a sentence for each contest, or for each method that leads many."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.base.values import distinct
from bench.model.answer import Answer, Contest, Rival
from bench.model.cells import Cell, axes_of
from bench.model.results import CellResult, Estimate
from bench.render import cell_names
from bench.render.document import Item, Listing
from bench.render.effects import ratio_text
from bench.render.pictures.labels import named
from bench.render.scale import si_text

AS_FAST = 0.03
"""A cell that may be slower than the leader by more is not called as fast."""

MANY_CONTESTS = 8
"""More than these are told together where the same method leads."""

MANY_TEXTS = 3
"""Of more reasons, texts of a note or workloads the others are counted."""

WARY = ("lossy", "clamped", "imprecise", "starved", "stolen", "shared", "failover")
"""Notes that a reader of the answer must know of, the worst first."""

TELLS_OF_THE_LEADER = frozenset(WARY) - {"imprecise"}
"""Its interval shows that."""

Rows = Mapping[str, CellResult]


def fastest(answer: Answer, rows: Sequence[CellResult], baselines: Mapping[str, str]) -> Listing:
    """An item for each contest; of many contests one for each method that leads on a place."""
    known, contests = {row.cell.id: row for row in rows}, answer.contests
    if len(contests) > MANY_CONTESTS:
        items = tuple(_together(alike, known, contests) for alike in _alike(contests, known))
    else:
        items = tuple(
            _contest(contest, known, contests, baselines.get(contest.leader, ""))
            for contest in contests
        )
    return Listing("Fastest (ratios of pps in the same rounds, with 95 % intervals):", items)


def _contest(contest: Contest, rows: Rows, others: Sequence[Contest], baseline: str) -> Item:
    """A sentence; its details name the cells that the sentence counts."""
    group = [rows[contest.leader].cell, *(rows[rival.cell].cell for rival in contest.rivals)]
    level = _Level.of(contest)
    sentence = ", ".join(
        [
            f"{_name(group[0], group)}: {_level_of(rows[contest.leader])}",
            *_leads(contest, rows, baseline),
        ]
    )
    counts = (
        _counted(_within("as fast", level.tied), level.tied, group),
        _counted(_within("not told apart", level.open), level.open, group),
        _counted("lossy", contest.lossy, [rows[cell].cell for cell in contest.lossy]),
    )
    details = (
        ("as fast", _several(level.tied, group)),
        ("not told apart", _several(level.open, group)),
        ("ahead of", _ahead(contest, rows)),
        ("lossy", _lossy(contest, rows)),
    )
    return Item(
        names=(_where(contest, others),),
        text="; ".join(filter(None, (sentence, *counts))),
        details=tuple(detail for detail in details if detail[1]),
    )


def _where(contest: Contest, others: Sequence[Contest]) -> str:
    """The place and the workload, as far as contests differ in them, and always the interface."""
    texts = []
    for axis, value in {**contest.place, **contest.workload}.items():
        among = distinct({**c.place, **c.workload}.get(axis) for c in others)
        if len(among) > 1 or axis == "interface":
            texts.append(named(axis, value, among))
    return ", ".join(texts) or "here"


def _name(cell: Cell, group: Sequence[Cell]) -> str:
    """``tx_ring with burst 64, prefilled``."""
    alike = [other for other in group if other.method == cell.method]
    texts = [
        named(axis, value, among)
        for axis in axes_of(alike)
        if len(among := distinct(other.values.get(axis) for other in alike)) > 1
        and (value := cell.values.get(axis)) not in (None, False)
    ]
    return f"{cell.method} with {', '.join(texts)}" if texts else cell.method


def _level_of(row: CellResult) -> str:
    told = [si_text(row.figures.pps.value, "pps")] if row.figures.pps else []
    told += [note.code for note in row.notes if note.code in TELLS_OF_THE_LEADER]
    return ", ".join(told)


def _leads(contest: Contest, rows: Rows, baseline: str) -> Iterator[str]:
    """The leader over its baseline, and over the next best that it beats."""
    row = rows[contest.leader]
    following = _beaten(contest, rows)[:1]
    if row.figures.ratio:
        name = "its baseline"
        if following and following[0].cell == baseline:
            following, name = [], f"{rows[baseline].cell.method}, its baseline"
        yield f"{ratio_text(row.figures.ratio)} times {name}"
    elif row.is_baseline:
        yield "the baseline itself"
    for rival in following:
        beaten = rows[rival.cell].cell
        name = (
            beaten.method if beaten.method != row.cell.method else _name(beaten, [row.cell, beaten])
        )
        yield f"{ratio_text(rival.lead)} times {name}"
    if not contest.rivals:
        yield "without a rival"


@dataclass(frozen=True)
class _Level:
    """Rivals that are not beaten, each with the part of the leader's pps by which it may be
    slower."""

    tied: Mapping[str, float]
    open: Mapping[str, float]

    @classmethod
    def of(cls, contest: Contest) -> _Level:
        behind = {r.cell: _most_behind(r.lead) for r in contest.rivals if not r.is_beaten}
        return cls(
            {cell: most for cell, most in behind.items() if most <= AS_FAST},
            {cell: most for cell, most in behind.items() if most > AS_FAST},
        )


def _most_behind(lead: Estimate | None) -> float:
    """By what part of the leader's pps a rival may be slower."""
    return 1.0 if lead is None or lead.high is None else 1 - 1 / lead.high


def _within(what: str, behind: Mapping[str, float]) -> str:
    most = max(behind.values(), default=1.0)
    return f"{what} ({'no interval' if most == 1 else f'within {_percent(most)}'})"


def _percent(part: float) -> str:
    return f"{part * 100:.{1 if part <= AS_FAST else 0}f} %"


def _counted(what: str, chosen: Collection[str], group: Sequence[Cell]) -> str:
    """``as fast: 3 cells of tx_ring, sendmmsg``."""
    texts = []
    for method in dict.fromkeys(cell.method for cell in group if cell.id in chosen):
        number = sum(cell.method == method and cell.id in chosen for cell in group)
        is_all = number == 1 == sum(cell.method == method for cell in group)
        texts.append(method if is_all else f"{number} cell{'s' * (number > 1)} of {method}")
    return f"{what}: {', '.join(texts)}" if texts else ""


def _several(behind: Mapping[str, float], group: Sequence[Cell]) -> str:
    if not behind:
        return ""
    most = max(behind.values())
    why = "no interval of the ratio" if most == 1 else f"slower by {_percent(most)} at most"
    return f"{cell_names.several(behind, group)}; {why}"


def _beaten(contest: Contest, rows: Rows) -> list[Rival]:
    """The best of each method that is beaten; of a single method the best beaten cell."""
    beaten = [rival for rival in contest.rivals if rival.is_beaten]
    level = {rows[contest.leader].cell.method} | {
        rows[rival.cell].cell.method for rival in contest.rivals if not rival.is_beaten
    }
    best: dict[str, Rival] = {}
    for rival in beaten:
        if (method := rows[rival.cell].cell.method) not in level:
            best.setdefault(method, rival)
    return [*best.values()] or beaten[:1]


def _ahead(contest: Contest, rows: Rows) -> str:
    leader = rows[contest.leader].cell
    texts = []
    for rival in _beaten(contest, rows):
        cell = rows[rival.cell].cell
        name = cell.method if cell.method != leader.method else _name(cell, [leader, cell])
        texts.append(f"{name} by {ratio_text(rival.lead)}")
    return ", ".join(texts)


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
    workloads = [_where(replace(contest, place={}), others) for contest in alike]
    told = [f"in {len(alike)} of {len(of_place)} workloads"]
    if len(alike) < len(of_place):
        told[0] += f" ({some(workloads, '; ' if ', ' in workloads[0] else ', ')})"
    if ends:
        told.append(f"{' to '.join(map(ratio_text, _ends(ends)))} times its baseline")
    elif any(rows[contest.leader].is_baseline for contest in alike):
        told.append("the baseline itself")
    told.append(f"ahead of every other cell in {decided}")
    named_all = len(alike) < len(of_place) and len(alike) > MANY_TEXTS + 1
    details = (("workloads", "; ".join(workloads)),) if named_all else ()
    return Item((where,), f"{method}: {', '.join(told)}", details)


def _ends(ordered: Sequence[Estimate]) -> Sequence[Estimate]:
    return ordered if len(ordered) == 1 else (ordered[0], ordered[-1])


def some(texts: Collection[str], between: str = "; ") -> str:
    """The first of some texts, the others counted, where they are several."""
    several = len(texts) > MANY_TEXTS + 1
    first = [*texts][: MANY_TEXTS if several else None]
    return between.join([*first, f"{len(texts) - len(first)} more"] if several else first)
