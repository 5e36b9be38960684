"""What `bench ab` measures: every cell of a matrix on two sides, A and B, in one run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.analysis.openings import MIN_OPENING_ROUNDS, MIN_OPENINGS
from bench.base import ids
from bench.base.errors import UsageError
from bench.base.values import Value, key_of, value_text
from bench.engines import build, core
from bench.measure import prepare
from bench.measure.opening import MakeOpening
from bench.measure.sides import Sides, SidesOpening
from bench.model.cells import Cell
from bench.model.header import Side
from bench.model.matrix import Matrix
from bench.plan import plan as plans
from bench.plan.plan import Plan, with_cells
from bench.plan.settings import parse_settings
from bench.plan.shares import in_numbers
from bench.system import sysctls

OPENINGS = 10
"""Where a matrix asks for fewer than show how far openings differ."""

MIN_EFFECT = 0.01
"""Changes below it are no regression. A run of two sides keeps its own, of each cell of B."""

FOLDER = "ab"
"""In the folder of a matrix: its other runs are no runs of two sides."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the sides shall have: checkouts of bench for their cores (None: this bench's), sysctls
    and axes (AXIS=VALUE) of B."""

    core_a: Path | None = None
    core_b: Path | None = None
    sysctls_b: Sequence[str] = ()
    settings_b: Sequence[str] = ()


@dataclass(frozen=True)
class Planned:
    """The matrix as it is measured, the plan of both sides' cells, and what the sides have."""

    matrix: Matrix
    plan: Plan
    sides: tuple[Side, Side]


def planned(
    file: Path,
    filters: Sequence[str],
    seed: int | None,
    wanted: Wanted,
    min_effect: float = MIN_EFFECT,
    settings_of_both: Sequence[str] = (),
) -> Planned:
    """Plan both sides, and build their cores. Nothing is set up. Raises UsageError, BenchError."""
    asked = sysctls.parse(wanted.sysctls_b)
    matrix, of_a = prepare.planned(file, filters, seed, settings_of_both)
    settings = _settings(wanted.settings_b)
    plan = _both(of_a, _of_b(matrix, of_a, settings), settings, min_effect)
    if plan.devices:
        raise UsageError(
            f"device {plan.devices[0]} is there once, and both sides would have it at the same "
            "time; leave it with --filter, or compare two runs with `bench compare`"
        )
    a, b = (_side(label, of) for label, of in (("A", wanted.core_a), ("B", wanted.core_b)))
    return Planned(_with_openings(matrix), plan, (a, replace(b, sysctls=asked, settings=settings)))


@contextmanager
def opened(of: Planned) -> Iterator[MakeOpening]:
    """What opens both sides. At the end the sysctls of the machine are as they were.

    Raises UsageError for a sysctl that cannot be set.
    """
    wanted = sysctls.sort(of.sides[1].sysctls)
    with sysctls.switch(wanted.of_machine) as switch:
        sides = Sides(of.sides, frozenset(of.plan.twins), wanted.of_netns, switch.to_others)
        yield partial(SidesOpening, sides)


def _side(label: str, checkout: Path | None) -> Side:
    if checkout is None:
        return Side(label, core=core.info().hash)
    return Side(label, core=build.built_core_of(checkout), checkout=str(checkout.resolve()))


def _with_openings(matrix: Matrix) -> Matrix:
    """The matrix with openings enough to show how far they differ, if it has rounds for them."""
    measure = matrix.measure
    if measure.openings >= MIN_OPENINGS:
        return matrix
    openings = min(OPENINGS, max(measure.openings, measure.rounds.min // MIN_OPENING_ROUNDS))
    return replace(matrix, measure=replace(measure, openings=openings))


# Axes that B has another value of


def _settings(texts: Sequence[str]) -> dict[str, Value]:
    """``["qdisc=pfifo"]`` as axes with canonical values. Raises UsageError."""
    if not texts:
        return {}
    found = parse_settings(texts, prepare.vocabulary(), "--set-b")
    for (axis, values), text in zip(found.items(), texts, strict=True):
        if len(values) != 1:
            raise UsageError(f"--set-b {text}: {axis} has one value on side B; write one")
    return {axis: values[0] for axis, values in found.items()}


def _of_b(matrix: Matrix, of_a: Plan, settings: Mapping[str, Value]) -> Plan:
    """The plan of a matrix that has these values on their axes."""
    if not settings:
        return of_a
    for axis in settings:
        if any(axis in group for group in matrix.zip):
            raise UsageError(f"--set-b {axis}: it is in a zip, with values for those of others")
    changed = replace(
        matrix,
        axes={**matrix.axes, **{axis: (value,) for axis, value in settings.items()}},
        include=tuple(
            {axis: settings.get(axis, value) for axis, value in row.items()}
            for row in matrix.include
        ),
        baseline=None,
        thresholds=(),
    )
    try:
        words = prepare.vocabulary()
        return plans.make_plan(in_numbers(changed, words.limits, plans.HERE), words)
    except UsageError as error:
        raise UsageError(f"side B (--set-b): {error}") from None


def _both(of_a: Plan, of_b: Plan, settings: Mapping[str, Value], min_effect: float) -> Plan:
    """One plan of the cells of A and their twins, which are alike but for the settings."""
    alike: dict[str, list[Cell]] = {}
    for cell in of_b.cells:
        alike.setdefault(_rest(cell, settings), []).append(cell)
    twins: dict[str, str] = {}
    cells, unfit, device_of = [*of_a.cells], dict(of_a.unfit), dict(of_a.device_of)
    for cell in of_a.cells:
        there = alike.pop(_rest(cell, settings), [])
        if len(there) != 1:
            raise UsageError(
                f"--set-b: cell {ids.shown(cell.id)} ({_named(cell, settings)}) has no one cell on "
                f"side B that differs from it in {' and '.join(settings)} alone; keep one value "
                "of it with --filter, or name another"
            )
        twin = Cell(f"{cell.id}b", there[0].values)
        cells.append(twin)
        twins[twin.id] = cell.id
        if reason := of_b.unfit.get(there[0].id):
            unfit[twin.id] = reason
        if device := of_b.device_of.get(there[0].id):
            device_of[twin.id] = device
    _check_differs(cells, settings)
    both = replace(
        of_a,
        baselines=twins,
        twins=twins,
        unfit=unfit,
        thresholds=dict.fromkeys(twins, min_effect),
        device_of=device_of,
    )
    return with_cells(both, cells)


def _check_differs(cells: Sequence[Cell], settings: Mapping[str, Value]) -> None:
    """Refuse an axis on which no cell of B has another value than its twin: a question that a run
    would not ask, and answer with "unchanged"."""
    sides = cells[: len(cells) // 2], cells[len(cells) // 2 :]
    for axis in settings:
        a, b = ([cell.values.get(axis) for cell in side] for side in sides)
        if a == b:
            why = (
                "side A has that, too"
                if any(value is not None for value in a)
                else "nothing reads it"
            )
            raise UsageError(
                f"--set-b {axis}: {why}, so the sides are alike; name another value, or leave it "
                "out to measure A against A"
            )


def _rest(cell: Cell, settings: Mapping[str, Value]) -> str:
    return key_of({axis: value for axis, value in cell.values.items() if axis not in settings})


def _named(cell: Cell, settings: Mapping[str, Value]) -> str:
    return ", ".join(f"{axis}={value_text(cell.values.get(axis))}" for axis in settings)
