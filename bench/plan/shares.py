"""Numbers of threads that a matrix gives as a share of the CPUs that may be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from bench.base.errors import UsageError
from bench.base.values import Value
from bench.model.matrix import Matrix
from bench.model.vocabulary import Limits
from bench.system import cpus
from bench.system.procfs import ProcFs

AXIS = "threads"


def in_numbers(matrix: Matrix, limits: Limits, machine: ProcFs) -> Matrix:
    """The matrix with the number of threads that each share comes to on this machine.

    So the ids of cells are of numbers. Shares are of the CPUs that ``measure`` names, or else of
    all that may be used. Raises UsageError for more threads than the core takes.
    """
    here = len(matrix.measure.cpus or cpus.allowed(machine))

    def number(value: Value) -> Value:
        if not isinstance(value, str):
            return value
        threads = threads_of(value, here)
        if threads > limits.max_threads:
            raise UsageError(
                f"{matrix.where('axes', AXIS)}: {value} of {here} CPUs is {threads} threads; at "
                f"most {limits.max_threads}: write that, or a smaller share"
            )
        return threads

    def row(axes: Mapping[str, Value]) -> dict[str, Value]:
        return {axis: number(v) if axis == AXIS else v for axis, v in axes.items()}

    def rule(axes: Mapping[str, tuple[Value, ...]]) -> dict[str, tuple[Value, ...]]:
        return {axis: tuple(map(number, v)) if axis == AXIS else v for axis, v in axes.items()}

    return replace(
        matrix,
        axes=rule(matrix.axes),
        exclude=tuple(map(rule, matrix.exclude)),
        include=tuple(map(row, matrix.include)),
        baseline=None if matrix.baseline is None else row(matrix.baseline),
        thresholds=tuple((rule(axes), effect) for axes, effect in matrix.thresholds),
    )


def threads_of(share: str, here: int) -> int:
    """Of ``all`` or ``50%`` of the CPUs here: rounded down, and at least 1."""
    if share == "all":
        return here
    return max(1, int(Fraction(share.removesuffix("%")) / 100 * here))
