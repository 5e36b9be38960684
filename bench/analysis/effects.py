"""What each axis is worth: ratios within rounds between cells that differ in it alone.

An effect is the mean over its pairs. Where pairs disagree it says little: so each effect is tested
for that, and split by the axis that tells its pairs apart best, as often as it takes. The level of
all tests of a run together is DISAGREEMENT: a group of k pairs has (k - 1) parts of the sum over
all effects (Meinshausen, Biometrika 95(2), 2008), which the ways in which it may disagree share.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bench.analysis.contests import SENDS_NOTHING
from bench.analysis.intervals import quantile
from bench.analysis.matched import Matched, matched, varying
from bench.base.values import Value, key_of
from bench.model.answer import NEGLIGIBLE, Effect
from bench.model.cells import Cell, axes_of
from bench.model.run import Run
from bench.model.samples import Sample

if TYPE_CHECKING:
    from bench.analysis.contrasts import Pairs

DISAGREEMENT = 0.02
"""So that no more than 5 % of runs without a disagreement show one: errors are estimated, too."""

MATTERS = 0.1
"""Pairs whose difference is a smaller part of their effect agree."""

Pair = tuple[Cell, Cell]
Group = Mapping[int, Pair]
Splits = Mapping[str, Sequence[Group]]


def effects(
    run: Run, usable: Mapping[str, Sequence[Sample]], cells: Sequence[Cell]
) -> tuple[tuple[Effect, ...], tuple[str, ...]]:
    """The effects among some cells, and the axes in which alone no two of them differ."""
    with_figures = [cell for cell in cells if usable[cell.id]]
    senders = [cell for cell in with_figures if cell.method != SENDS_NOTHING]
    measured = senders or with_figures  # a run of nothing else is about the harness
    found = matched(measured, run.header.matrix.baseline or {})
    pairs = [(a.id, b.id) for each in found for a, b in each.pairs]
    alone = tuple(axis for axis in varying(measured) if axis not in {each.axis for each in found})
    if not pairs:
        return (), alone
    from bench.analysis.contrasts import Pairs  # numpy: not before a run has measured

    axes = [each.axis for each in found for _ in each.pairs]
    of_pairs, in_cost = (Pairs(pairs, axes, usable, figure) for figure in ("pps", "ns_per_frame"))
    z = quantile(run.header.measure.rounds.by_precision)
    tests = sum(len(each.pairs) - 1 for each in found)
    made, first = [], 0
    for each in found:
        numbers = range(first, first + len(each.pairs))
        first = numbers.stop
        of = {n: pair for n, pair in zip(numbers, each.pairs, strict=True) if of_pairs.counts[n]}
        if of:
            made.append(_Splitter(each, of_pairs, in_cost, z, tests).effect(of, each.among))
    return tuple(made), alone


class _Splitter:
    """Makes an effect of pairs, by their numbers; ``tests`` is the sum of (k - 1) over all effects
    of the run. ``in_cost`` has the same pairs in ns/frame."""

    def __init__(self, of: Matched, pairs: Pairs, in_cost: Pairs, z: float, tests: int) -> None:
        self._of, self._pairs, self._in_cost = of, pairs, in_cost
        self._z, self._tests = z, tests

    def effect(self, pairs: Group, among: Mapping[str, Value]) -> Effect:
        mean = dict.fromkeys(pairs, 1 / len(pairs))
        ratio = self._pairs.estimate(mean, self._z)
        splits = _splits(pairs)
        split, parts = "", []
        if splits and self._disagree(pairs, splits, abs(math.log(ratio.value))):
            split = max(splits, key=lambda axis: self._told_apart(splits[axis]))
            for group in splits[split]:
                value = _value(next(iter(group.values())), split)
                named = among if value is None else {**among, split: value}
                parts.append(self.effect(group, named))
        return Effect(
            axis=self._of.axis,
            value=self._of.value,
            over=self._of.over,
            among=among,
            pairs=tuple((a.id, b.id) for a, b in pairs.values()),
            ratio=ratio,
            ratio_ns=self._in_cost.estimate(mean, self._z),
            split=split,
            parts=tuple(parts),
        )

    def _disagree(self, pairs: Group, splits: Splits, effect: float) -> bool:
        """Whether some pairs differ from the others beyond chance, and by more than matters."""
        groups = [group.keys() for each in splits.values() for group in each]
        ways = [*_against_the_others(pairs.keys(), [*groups, *({n} for n in pairs)])]
        level = DISAGREEMENT * (len(pairs) - 1) / self._tests / len(ways)
        matters = max(math.log1p(NEGLIGIBLE), MATTERS * effect)
        return any(self._pairs.differs(way, level, matters) for way in ways)

    def _told_apart(self, groups: Sequence[Group]) -> float:
        """The sum of squares between groups, less what as many groups had by chance."""
        every = [self._pairs.value(n) for group in groups for n in group]
        mean = math.fsum(every) / len(every)
        total = math.fsum((value - mean) ** 2 for value in every)
        between = math.fsum(
            math.fsum(self._pairs.value(n) - mean for n in group) ** 2 / len(group)
            for group in groups
        )
        return between - total * (len(groups) - 1) / (len(every) - 1)


def _against_the_others(
    pairs: Collection[int], groups: Iterable[Collection[int]]
) -> Iterator[Mapping[int, float]]:
    """The weights of each group's mean less that of all other pairs; none twice."""
    seen = set()
    for inside in map(frozenset, groups):
        outside = frozenset(pairs) - inside
        if inside not in seen and outside not in seen:
            seen.add(inside)
            yield {n: 1 / len(inside) if n in inside else -1 / len(outside) for n in pairs}


def _splits(pairs: Group) -> Splits:
    """By each axis in which pairs differ from each other, the groups of those with one value."""
    cells = [cell for cell, _ in pairs.values()] if len(pairs) > 1 else []
    splits = {axis: _by_value(pairs, axis) for axis in axes_of(cells)}
    return {axis: groups for axis, groups in splits.items() if len(groups) > 1}


def _by_value(pairs: Group, axis: str) -> list[dict[int, Pair]]:
    groups: dict[str, dict[int, Pair]] = {}
    for number, pair in pairs.items():
        groups.setdefault(key_of(_value(pair, axis)), {})[number] = pair
    return [*groups.values()]


def _value(pair: Pair, axis: str) -> Value | None:
    """What a pair has on another axis than its own: one of its methods may not read it."""
    cell, other = pair
    value = cell.values.get(axis)
    return other.values.get(axis) if value is None else value
