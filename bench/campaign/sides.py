"""Sides of runs, which arguments name -> what changed from A to each of the others."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bench.analysis import compared, environments, verdicts
from bench.analysis.environments import Difference
from bench.analysis.verdicts import Comparison, Verdict
from bench.base import ids
from bench.base.errors import UsageError
from bench.base.printable import printable
from bench.base.stderr import say
from bench.base.values import value_text
from bench.campaign import sources
from bench.campaign.history import history
from bench.model.summaries import RunSummary
from bench.model.vocabulary import axes_of


@dataclass(frozen=True, slots=True)
class Policy:
    """How sides are compared.

    ``min_effect`` is a fraction; None is as the matrix says. ``force`` is for runs of different
    matrices, machines and instruments. ``last`` is how many of a side's runs count, the latest
    ones; None is all of them.
    """

    force: bool = False
    last: int | None = None
    min_effect: float | None = None
    false_discoveries: float = verdicts.FALSE_DISCOVERY_RATE


@dataclass(frozen=True)
class Compared:
    """The runs of A and of another side, what changed from A to it, and in what their environments
    differ. ``name`` is the other side's: B, C ..."""

    name: str
    a: tuple[RunSummary, ...]
    b: tuple[RunSummary, ...]
    result: Comparison
    differences: tuple[Difference, ...]


NAMES = "BCDEFGHIJKLMNOPQRSTUVWXYZ"


def compare(a: str, others: Sequence[str], policy: Policy) -> list[Compared]:
    """What changed from the runs that one argument names to those of each other.

    A run that is in A and in another side counts for the one that has no other, and that is said:
    so a folder is compared with a run in it. Raises UsageError for what cannot be compared.
    """
    if len(others) > len(NAMES):
        raise UsageError(f"{len(others)} sides beside A; {len(NAMES)} are the most")
    found = [sources.sources(text) for text in (a, *others)]
    of_a, *sides = map(sources.read, found)
    for number, (name, side) in enumerate(zip(NAMES, sides, strict=False)):
        if _holds(side, of_a):
            sides[number] = _latest(_without(side, of_a, name, "A"), policy.last)
        else:
            sides[number] = _latest(side, policy.last)
            of_a = _without(of_a, sides[number], "A", name)
    of_a = _latest(of_a, policy.last)
    like_a = history([*of_a, *(run for side in sides for run in side)])
    return [
        _compared((a, of_a), (text, side), name, like_a, policy)
        for text, side, name in zip(others, sides, NAMES, strict=False)
    ]


Named = tuple[str, list[RunSummary]]
"""The argument, and the runs that it names."""


def _compared(
    a: Named, b: Named, name: str, like_a: Sequence[RunSummary], policy: Policy
) -> Compared:
    (text_a, of_a), (text_b, of_b) = a, b
    found = environments.differences([run.header for run in of_a], [run.header for run in of_b])
    _check(of_a, of_b, name, found, policy.force)
    result = compared.compare(
        of_a,
        of_b,
        like_a,
        _thresholds([*of_a, *of_b], policy.min_effect),
        policy.false_discoveries,
        verdicts.MIN_EFFECT if policy.min_effect is None else policy.min_effect,
        name,
    )
    if all(row.verdict in (Verdict.MISSING, Verdict.NEW) for row in result.rows):
        raise UsageError(_nothing_in_common({text_a: of_a, text_b: of_b}))
    return Compared(name, tuple(of_a), tuple(of_b), result, found)


def _latest(runs: list[RunSummary], last: int | None) -> list[RunSummary]:
    return sources.in_order(runs)[-last:] if last else runs


def _holds(side: Sequence[RunSummary], a: Sequence[RunSummary]) -> bool:
    """Whether all runs of A are in a side that has others, too: a run is compared with its
    folder."""
    of_side, of_a = ({run.header.identity for run in runs} for runs in (side, a))
    return of_a < of_side


def _without(
    runs: Sequence[RunSummary], others: Sequence[RunSummary], name: str, other: str
) -> list[RunSummary]:
    """The runs of a side that are not in another, too. Raises UsageError if none is."""
    known = {run.header.identity: run.path for run in others}
    kept = [run for run in runs if run.header.identity not in known]
    for run in runs:
        if path := known.get(run.header.identity):
            which = run.path if run.path == path else f"{run.path} (also {path})"
            both = f"{which} is in {' and in '.join(sorted((name, other)))}"
            if not kept:
                raise UsageError(f"{both}; name runs that are in one of them only")
            say(f"{both}: it counts for {other}")
    return kept


def _check(
    a: Sequence[RunSummary],
    b: Sequence[RunSummary],
    name: str,
    found: Sequence[Difference],
    force: bool,
) -> None:
    """Refuse what is not comparable, unless forced. Raises UsageError."""
    if force:
        return
    names = {printable(run.header.matrix.name) for run in (*a, *b)}
    if len(names) > 1:
        raise UsageError(
            f"runs of different matrices: {', '.join(sorted(names))}; --force compares the cells "
            "that they share"
        )
    if contradiction := _contradiction(a, b):
        raise UsageError(f"{contradiction}; --force compares all the same")
    bad = [d for d in found if d.incomparable]
    if bad:
        raise UsageError(
            "not comparable: "
            + "; ".join(f"{d.what} is {d.a} in A and {d.b} in {name}" for d in bad)
            + "; --force compares all the same"
        )


def _contradiction(a: Sequence[RunSummary], b: Sequence[RunSummary]) -> str:
    """Cells of one id that are not the same, which only a later version or an editor writes."""
    of_a = {cell.id: cell for run in a for cell in run.cells}
    for ours, cell in ((of_a[cell.id], cell) for run in b for cell in run.cells if cell.id in of_a):
        for axis in {**ours.values, **cell.values}:
            one, other = ours.values.get(axis), cell.values.get(axis)
            both = f"{value_text(one)} in A, {value_text(other)} in B"
            texts = f"cell {ids.shown(cell.id)} has {axis} {both}"
            # An option that was added since is there on one side, and an id leaves out its default.
            if None not in (one, other) and type(one) is not dict and one != other:
                return f"{texts}: they are two cells of one id"
            if (one is None) is not (other is None) and axis not in _axes():
                return f"{texts}, and this bench knows no axis {axis}: update it"
    return ""


@functools.cache
def _axes() -> Collection[str]:
    from bench.engines import core

    return axes_of(core.methods())


def _thresholds(runs: Sequence[RunSummary], given: float | None) -> dict[str, float]:
    """The minimum effect of cells: the one given, else as the matrix of the last run says."""
    if given is not None:
        return {cell.id: given for run in runs for cell in run.cells}
    return dict(runs[-1].header.thresholds)


def _nothing_in_common(sides: dict[str, list[RunSummary]]) -> str:
    for text, side in sides.items():
        if not any(run.summaries for run in side):
            return f"{text} has no valid sample: there is nothing to compare"
    return f"{' and '.join(sides)} have no cell in common; compare runs of one matrix"
