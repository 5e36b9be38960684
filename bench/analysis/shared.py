"""What cells share: the common change of a place's cells, and of all.

It is a biweight mean of the cells' changes (Beaton and Tukey, Technometrics 16, 1974): a cell that
changed more than the others has no weight in it. So it is not taken for a shift, and a change of
all is not spread over the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.analysis.panel import Array

MIN_SHARED = 5
"""Cells whose common change can be told from what each of them did."""

REACH = 4.5
"""Median absolute deviations beyond which a cell has no weight in a shift: three standard ones.
Where a third of the cells moved they enlarge the deviation themselves, and with four standard ones
those that moved by 2 % had some weight: the rest was said to have gained 0.3 %."""

MAD = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""


@dataclass(frozen=True)
class Shared:
    """The sets of columns whose common change is told: each place with MIN_SHARED cells or more,
    and all cells, which stand last. ``set_of`` is the index of a column's set.

    With fewer cells in all there is no shift and no set.
    """

    names: tuple[str, ...]
    sets: tuple[npt.NDArray[np.intp], ...]
    set_of: npt.NDArray[np.intp]
    is_all_known: bool = True
    """False where cells share a shift that cannot be told from what each of them did."""

    @classmethod
    def among(
        cls, places: Sequence[str] | None, columns: int, known: npt.NDArray[np.intp]
    ) -> Shared:
        set_of = np.full(columns, -1, dtype=np.intp)
        if places is None or len(known) < MIN_SHARED:
            return cls((), (), set_of, is_all_known=places is None)
        found = {name: [i for i in known if places[i] == name] for name in dict.fromkeys(places)}
        large = {name: at for name, at in found.items() if len(at) >= MIN_SHARED}
        for number, at in enumerate(large.values()):
            set_of[at] = number
        sets = (*(np.array(at, dtype=np.intp) for at in large.values()), known)
        return cls(tuple(large), sets, set_of)

    def centres(self, row: Array) -> tuple[Array, Array]:
        """The common change of each set, and how many cells it is from."""
        found = [biweights(row[None, at]) for at in self.sets]
        return np.array([c[0] for c, _ in found]), np.array([n[0] for _, n in found], dtype=float)

    def centres_of_rows(self, rows: Array) -> Array:
        """The same of many rows: (rows, sets); NaN where too few cells of a set are known."""
        is_one = len(self.sets) == 2 and len(self.sets[0]) == len(self.sets[1])  # a place of all
        found = []
        for at in self.sets[is_one:]:
            known = np.isfinite(rows[:, at]).sum(axis=1)
            found.append(np.where(known >= MIN_SHARED, biweights(rows[:, at])[0], np.nan))
        return np.stack(found * (1 + is_one), axis=1)

    def by_column(self, of_sets: Array) -> Array:
        """What each column's set has; 0 where nothing is shared."""
        return np.asarray(of_sets[self.set_of]) if self.sets else np.zeros(len(self.set_of))

    def off(self, rows: Array) -> Array:
        """Rows without what their cells share."""
        return np.array([row - self.by_column(self.centres(row)[0]) for row in rows]).reshape(
            rows.shape
        )

    def sizes(self) -> Array:
        """How many cells each column's set has."""
        return self.by_column(np.array([len(at) for at in self.sets], dtype=float))


def biweight(values: Array) -> float:
    """The biweight mean of what is known of some values."""
    return float(biweights(values[None])[0][0])


def biweights(rows: Array) -> tuple[Array, Array]:
    """The biweight mean of what is known of each row, and how many values have a weight."""
    known = np.isfinite(rows)
    values = np.where(known, rows, 0.0)
    centre, weights = row_medians(rows, known), known.astype(np.float64)
    for _ in range(10):
        away = np.abs(values - centre[:, None])
        reach = REACH * row_medians(away, known)
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = np.maximum(0.0, 1 - (away / reach[:, None]) ** 2) ** 2
        weights = np.where(known, np.where(reach[:, None] > 0, weights, away == 0), 0.0)
        with np.errstate(invalid="ignore"):
            centre = (weights * values).sum(axis=1) / weights.sum(axis=1)
    return centre, np.count_nonzero(weights, axis=1)


def row_medians(rows: Array, known: npt.NDArray[np.bool_]) -> Array:
    """Of what is known of each row, NaN where nothing is; faster than numpy's for many rows."""
    if not rows.shape[1]:
        return np.full(len(rows), np.nan)
    return _middle(np.sort(np.where(known, rows, np.inf), axis=1), known.sum(axis=1))


def _middle(ordered: Array, number: npt.NDArray[np.intp]) -> Array:
    """The median of the first ``number`` values of each ordered row."""
    at = np.arange(len(ordered))
    low, high = np.maximum(0, (number - 1) // 2), np.minimum(number // 2, ordered.shape[1] - 1)
    return np.where(number > 0, (ordered[at, low] + ordered[at, high]) / 2, np.nan)
