"""Values of axes that the command line has in place of the matrix file's (--set)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.base.errors import UsageError
from bench.base.values import Value
from bench.matrix import load
from bench.model.matrix import Matrix
from bench.model.vocabulary import Vocabulary
from bench.plan.selection import assigned


def parse_settings(
    texts: Sequence[str], words: Vocabulary, option: str = "--set"
) -> dict[str, tuple[Value, ...]]:
    """``["burst=1,64", "qdisc={kind: pfifo, limit: 50}"]`` as axes with canonical values.

    Raises UsageError, also for an axis that is set twice.
    """
    found: dict[str, tuple[Value, ...]] = {}
    for text in texts:
        axis, written = assigned(option, text, words.axes)
        if axis in found:
            raise UsageError(f"{option} {text}: {axis} is set twice; write all its values in one")
        found[axis] = load.axis_values(axis, written, words, f"{option} {text}")
    return found


def with_settings(matrix: Matrix, texts: Sequence[str], words: Vocabulary) -> Matrix:
    """The matrix with other values of some axes, as if its section ``axes`` had them.

    Rules and rows of ``include`` stay as the file has them. Raises UsageError.
    """
    if not texts:
        return matrix
    wanted = parse_settings(texts, words)
    named = {**matrix.axes, **wanted}
    changed = replace(
        matrix,
        axes={axis: named[axis] for axis in words.axes if axis in named},
        settings={axis: f"--set {text}" for axis, text in zip(wanted, texts, strict=True)},
    )
    for group in matrix.zip:
        _check_lengths(changed.axes, group)
    return changed


def _check_lengths(axes: Mapping[str, Sequence[Value]], group: Sequence[str]) -> None:
    if len({len(axes[axis]) for axis in group}) > 1:
        counts = ", ".join(f"{axis} has {len(axes[axis])}" for axis in group)
        raise UsageError(f"--set: {counts} values; zipped axes need equally many: set each of them")
