"""Two sides of runs, which arguments name -> what changed from A to B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis import environments, verdicts
from bench.analysis.environments import Difference
from bench.analysis.verdicts import Comparison, Verdict
from bench.base.errors import UsageError
from bench.base.printable import printable
from bench.base.stderr import say
from bench.campaign import sources
from bench.campaign.history import history
from bench.model.summaries import RunSummary


@dataclass(frozen=True, slots=True)
class Policy:
    """How two sides are compared.

    ``min_effect`` is a fraction; None is as the matrix says. ``force`` is for runs of different
    matrices, machines and instruments.
    """

    force: bool = False
    min_effect: float | None = None
    false_discoveries: float = verdicts.FALSE_DISCOVERY_RATE


@dataclass(frozen=True)
class Compared:
    """The runs of two sides, what changed between them, and in what their environments differ."""

    a: tuple[RunSummary, ...]
    b: tuple[RunSummary, ...]
    result: Comparison
    differences: tuple[Difference, ...]


def compare(a: str, b: str, policy: Policy) -> Compared:
    """What changed from the runs that one argument names to those of another.

    A run of B that is among several of A is left out there, and that is said: a folder is so
    compared with a run in it. Raises UsageError for what cannot be compared.
    """
    found_a, found_b = sources.sources(a), sources.sources(b)
    of_b = sources.read(found_b)
    of_a = _without(sources.read(found_a), of_b)
    found = environments.differences([run.header for run in of_a], [run.header for run in of_b])
    _check(of_a, of_b, found, policy.force)
    result = verdicts.compare(
        of_a,
        of_b,
        history([*of_a, *of_b]),
        _thresholds([*of_a, *of_b], policy.min_effect),
        policy.false_discoveries,
        verdicts.MIN_EFFECT if policy.min_effect is None else policy.min_effect,
    )
    if all(row.verdict in (Verdict.MISSING, Verdict.NEW) for row in result.rows):
        raise UsageError(_nothing_in_common({a: of_a, b: of_b}))
    return Compared(tuple(of_a), tuple(of_b), result, found)


def _without(a: Sequence[RunSummary], b: Sequence[RunSummary]) -> list[RunSummary]:
    """The runs of A that are not in B, too. Raises UsageError if none is."""
    of_b = {run.header.identity: run.path for run in b}
    kept = [run for run in a if run.header.identity not in of_b]
    for run in a:
        if path := of_b.get(run.header.identity):
            name = run.path if run.path == path else f"{run.path} (also {path})"
            if not kept:
                raise UsageError(f"{name} is in A and in B; name runs that are in one of them only")
            say(f"{name} is in A and in B: it counts for B")
    return kept


def _check(
    a: Sequence[RunSummary],
    b: Sequence[RunSummary],
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
    bad = [d for d in found if d.incomparable]
    if bad:
        raise UsageError(
            "not comparable: "
            + "; ".join(f"{d.what} is {d.a} in A and {d.b} in B" for d in bad)
            + "; --force compares all the same"
        )


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
