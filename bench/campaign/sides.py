"""Two sides of runs, which arguments name -> what changed from A to B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bench.analysis import environments, verdicts
from bench.analysis.environments import Difference
from bench.analysis.verdicts import Comparison, RunFigures, Verdict
from bench.base.errors import UsageError
from bench.base.printable import printable
from bench.campaign import sources
from bench.campaign.history import history
from bench.model.run import Rates


@dataclass(frozen=True, slots=True)
class Policy:
    """How two sides are compared.

    ``min_effect`` is a fraction; None is as the matrix says. ``normalise`` None is where both
    sides have the same kernel and the calibration cells.
    """

    force: bool = False
    min_effect: float | None = None
    false_discoveries: float = verdicts.FALSE_DISCOVERY_RATE
    normalise: bool | None = None


def compare(a: str, b: str, policy: Policy) -> tuple[Comparison, tuple[Difference, ...]]:
    """The verdicts on the runs that two arguments name, and in what their environments differ.

    Raises UsageError for what cannot be compared.
    """
    found_a, found_b = sources.sources(a), sources.sources(b)
    rates_a, rates_b = sources.read(found_a), sources.read(found_b)
    _refuse_overlap(rates_a, rates_b)
    sides = [*rates_a, *rates_b]
    normalise, why_not = _normalising(sides, policy.normalise)
    runs_a, runs_b = (
        [verdicts.figures_of(run, normalise) for run in side] for side in (rates_a, rates_b)
    )
    differences = environments.differences(runs_a, runs_b)
    _check(runs_a, runs_b, differences, policy.force)
    result = verdicts.compare(
        runs_a,
        runs_b,
        history(sides, normalise),
        _thresholds([*runs_a, *runs_b], policy.min_effect),
        policy.false_discoveries,
    )
    if all(row.verdict in (Verdict.MISSING, Verdict.NEW) for row in result.rows):
        raise UsageError(_nothing_in_common({a: runs_a, b: runs_b}))
    return replace(result, normalised=normalise, why_not_normalised=why_not), differences


def _normalising(sides: Sequence[Rates], wanted: bool | None) -> tuple[bool, str]:
    """Whether figures are normalised, and why not where nobody has said. Raises UsageError."""
    if wanted is None:
        why_not = verdicts.why_not_normalise(sides)
        return not why_not, why_not
    if wanted and (reason := verdicts.uncalibrated(sides)):
        raise UsageError(f"--normalise: {reason}")
    return wanted, ""


def _refuse_overlap(a: Sequence[Rates], b: Sequence[Rates]) -> None:
    """Raise UsageError where a run is on both sides: it would be told to be as it is."""
    of_b = {run.header.identity: run.path for run in b}
    for run in a:
        if path := of_b.get(run.header.identity):
            name = run.path if run.path == path else f"{run.path} (also {path})"
            raise UsageError(f"{name} is in A and in B; name runs that are in one of them only")


def _check(
    a: Sequence[RunFigures],
    b: Sequence[RunFigures],
    found: Sequence[Difference],
    force: bool,
) -> None:
    """Refuse what is not comparable, unless forced. Raises UsageError."""
    names = {printable(run.header.matrix.name) for run in (*a, *b)}
    if len(names) > 1:
        raise UsageError(f"runs of different matrices: {', '.join(sorted(names))}")
    bad = [d for d in found if d.incomparable]
    if bad and not force:
        raise UsageError(
            "not comparable: "
            + "; ".join(f"{d.what} is {d.a} in A and {d.b} in B" for d in bad)
            + "; --force compares all the same"
        )


def _thresholds(runs: Sequence[RunFigures], given: float | None) -> dict[str, float]:
    """The minimum effect of cells: the one given, else as the matrix of the last run says."""
    if given is not None:
        return {cell: given for run in runs for cell in run.cells}
    return dict(runs[-1].header.thresholds)


def _nothing_in_common(sides: dict[str, list[RunFigures]]) -> str:
    for text, side in sides.items():
        if not any(run.figures for run in side):
            return f"{text} has no valid sample: there is nothing to compare"
    return f"{' and '.join(sides)} have no cell in common; compare runs of one matrix"
