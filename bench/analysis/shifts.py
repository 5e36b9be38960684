"""A change taken apart: what all cells share, what those of an interface share, what is left.

Two runs of the same thing differ by a shift of everything (the machine of the day), by less of one
interface, and by least of a single cell. How far a cell strays from the others between openings of
a run says how far it strays between runs, so one pair of runs tells what a cell did beyond the
shift. The shift itself strays between runs, and only a history of runs shows how far.

Openings of one run share its fate: where changes stray further over the cells than their openings
let one expect, all are less certain by that much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.analysis.flukes import drawn_in
from bench.analysis.moderation import prior_of
from bench.analysis.panel import Array, Panel, mean, residuals
from bench.analysis.shared import MAD, Shared

MIN_STRAYING = 8
"""Cells whose changes show how far all stray."""

MANY = 4
"""Runs beyond the first of each group that show how far each cell strays by itself; fewer leave a
cell's interval wider than no run at all, as they show only how far the middle cell does."""

ASSUMED_CELL, ASSUMED_SHIFT, ASSUMED_FREEDOM = 0.006, 0.0133, 4.0
"""Standard deviations of a run's cell and of its shift where nothing measured shows them, and how
sure they are: of 30 runs of a nightly matrix on a shared virtual machine. They carry no verdict."""


@dataclass(frozen=True, slots=True)
class Estimated:
    """A change, the logarithm of B over A, with its standard error and that error's degrees of
    freedom; ``assumed`` where nothing measured says how far it strays."""

    value: float
    error: float
    freedom: float
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """The change of one figure, taken apart.

    ``shift`` is that of all cells, None if there are too few for one: then none is taken off.
    ``beyond`` maps places to their shift less that of the place that moved least, which has none.
    ``cells`` maps cells to their change beyond the shift of their place. ``between_runs`` is the
    standard deviation of a run's shift.
    """

    shift: Estimated | None
    beyond: Mapping[str, Estimated]
    cells: Mapping[str, Estimated]
    between_runs: float


def parts(
    panel: Panel,
    cells: Sequence[str],
    places: Sequence[str] | None,
    a: slice,
    b: slice,
    calibration: Array | None = None,
) -> Parts:
    """The change of each cell from the runs ``a`` of a panel to its runs ``b``.

    ``places`` names the place of each cell; None is for figures that a shift does not move (ratios
    within rounds). ``calibration`` has the figure of each run's
    calibration cells (logarithms): a shift is corrected by as much of their change as history
    shows to be its own, and is less certain by as much of it as history leaves open: by all of it
    where there is none.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = 1 / _number(panel.runs[a]) + 1 / _number(panel.runs[b])
    known = np.flatnonzero(np.isfinite(share))
    shared = Shared.among(places, len(cells), known)
    panel, kept = drawn_in(panel, shared)
    side_a, side_b = panel.runs[a], panel.runs[b]
    change = mean(side_b) - mean(side_a)
    centres, numbers = shared.centres(change)
    own = change - shared.by_column(centres)
    noise = _noise(panel, kept, shared, own, share, known)
    errors = np.sqrt(noise.variance * share)
    if noise.assumed and not shared.is_all_known:
        errors = np.hypot(errors, _moved(calibration, a, b))
    of_centres = _typical(errors[known]) / np.sqrt(np.maximum(1.0, numbers))
    errors = np.hypot(errors, shared.by_column(of_centres))
    of_runs = _Strayed.of(panel.runs, panel.group, shared)
    of_openings = _Strayed.of(panel.values, panel.run, shared)
    sides = 1 / len(side_a) + 1 / len(side_b)
    shift = None
    if shared.sets:
        moved = _moved(calibration, a, b)
        shift = of_runs.shift(float(centres[-1]), sides, moved, _strayed(calibration, panel))
    return Parts(
        shift=shift,
        beyond=dict(
            _beyond(shared, centres, of_centres, _place_noise(panel, of_runs, of_openings), sides)
        ),
        cells={
            cells[int(i)]: Estimated(
                float(own[i]), float(errors[i]), float(noise.freedom[i]), noise.assumed
            )
            for i in known
        },
        between_runs=of_runs.deviation,
    )


# How far a single cell strays


@dataclass(frozen=True)
class _Noise:
    """The variance of a run's mean of each cell beyond the shift, and its degrees of freedom."""

    variance: Array
    freedom: Array
    assumed: bool


def _number(side: Array) -> Array:
    """How many runs have each cell."""
    return np.asarray(np.isfinite(side).sum(axis=0), dtype=np.float64)


def _noise(
    panel: Panel, kept: float, shared: Shared, own: Array, share: Array, known: npt.NDArray[np.intp]
) -> _Noise:
    """From runs that should agree if there are MANY, else from openings; never less than either
    says of the middle cell, nor than the changes of all cells show. ``kept`` is as ``drawn_in`` has
    it."""
    sources: list[tuple[float, Array, Array]] = []
    for label, rows, each in (
        (panel.group, panel.runs, np.ones(panel.values.shape[1])),
        (panel.run, panel.values, panel.openings_of_a_run * kept**2),
    ):
        if label is panel.run and not shared.is_all_known:
            continue  # openings do not show how far the runs' shift strays
        strayed, freedom = residuals(rows, label)
        variance = _variance(shared, shared.off(strayed), freedom) / each
        prior = prior_of(variance[known].tolist(), freedom[known].tolist())
        if prior is not None:
            found = [prior.moderated(v, d) for v, d in zip(variance, freedom, strict=True)]
            source = np.array([v for v, _ in found]), np.array([d for _, d in found])
            sources.append((_typical(freedom[known]), *source))
    columns = len(own)
    straying = own[known] / np.sqrt(share[known])
    if sources:
        telling = [source for source in sources if source[0] >= MANY]
        _, variance, freedom = (telling or sources[-1:])[0]
        typical = _typical(variance[known])
        factors = [_typical(other[known]) / typical for _, other, _ in sources if typical]
        if shared.is_all_known and len(known) >= MIN_STRAYING and typical:
            factors.append(_straying(straying / np.sqrt(variance[known]))[0])
        return _Noise(variance * max([1.0, *factors]), freedom, assumed=False)
    if shared.is_all_known and len(known) >= MIN_STRAYING:
        variance_of_all, calm = _straying(straying)
        freedom = np.full(columns, float(calm - 1))
        return _Noise(np.full(columns, variance_of_all), freedom, assumed=False)
    assumed = ASSUMED_CELL if shared.is_all_known else ASSUMED_SHIFT
    return _Noise(np.full(columns, assumed**2), np.full(columns, ASSUMED_FREEDOM), assumed=True)


def _variance(shared: Shared, beyond: Array, freedom: Array) -> Array:
    """Of each column; raised by what the centre of few cells takes off of each of them."""
    squares = np.nansum(beyond**2, axis=0)
    found = np.divide(squares, freedom, out=np.zeros_like(squares), where=freedom > 0)
    sizes = shared.sizes()
    return np.asarray(np.where(sizes > 1, found * sizes / np.maximum(1.0, sizes - 1), found))


def _straying(values: Array) -> tuple[float, int]:
    """The mean square of what has not moved, and of how many: values beyond three standard
    deviations are left out, first by the median absolute deviation, which those that moved enlarge,
    then by what is left."""
    calm = values[np.abs(values) <= 3 * MAD * float(np.median(np.abs(values)))]
    while len(left := calm[calm**2 <= 9 * np.mean(calm**2)]) < len(calm):
        calm = left
    return float(np.mean(calm**2)), len(calm)


def _typical(values: Array) -> float:
    return float(np.median(values)) if len(values) else 0.0


# The shift of all, and of a place


@dataclass(frozen=True)
class _Strayed:
    """What the cells of each set shared in rows that should agree (runs of a group, openings of a
    run), less the mean of these: (rows, sets), and its degrees of freedom."""

    strayed: Array
    freedom: float

    @classmethod
    def of(cls, rows: Array, label: npt.NDArray[np.intp], shared: Shared) -> _Strayed:
        strayed, freedom = residuals(rows, label)
        centres = np.array([shared.centres(row)[0] for row in strayed])
        shape = len(strayed), len(shared.sets)
        return cls(centres.reshape(shape), float(freedom.max(initial=0.0)))

    @property
    def deviation(self) -> float:
        """The standard deviation of a run's shift."""
        if not self.freedom or not self.strayed.size:
            return ASSUMED_SHIFT
        return float(np.sqrt(np.sum(self.strayed[:, -1] ** 2) / self.freedom))

    def shift(
        self, value: float, sides: float, calibrated: float, strayed: Array | None
    ) -> Estimated:
        """The shift of all, less the part of the calibration's change that history shows."""
        if not self.freedom:
            error = float(np.hypot(ASSUMED_SHIFT * np.sqrt(sides), calibrated))
            return Estimated(value, error, ASSUMED_FREEDOM, assumed=True)
        rate, unsure = 0.0, 1.0
        if strayed is not None:
            rate, unsure = slope(strayed, self.strayed[:, -1], self.freedom)
        left = self.strayed[:, -1] - (rate * strayed if strayed is not None else 0.0)
        freedom = self.freedom - 1 if rate else self.freedom
        of_runs = float(np.sqrt(np.sum(left**2) / freedom * sides))
        error = float(np.hypot(of_runs, unsure * calibrated))
        return Estimated(value - rate * calibrated, error, freedom)

    def of_places(self) -> tuple[float, float]:
        """The variance of a place's shift against the others', and its degrees of freedom."""
        places = self.strayed[:, :-1]
        freedom = self.freedom * (places.shape[1] - 1)
        if freedom <= 0:
            return 0.0, 0.0
        return float(np.sum((places - places.mean(axis=1, keepdims=True)) ** 2) / freedom), freedom


def slope(x: Array, y: Array, freedom: float) -> tuple[float, float]:
    """By how much y follows x: least squares, drawn to 0 as far as chance explains it (James and
    Stein's positive part). And its standard error: 1 at the most, and where nothing shows it."""
    squares, product, total = float(x @ x), float(x @ y), float(y @ y)
    if freedom < 2 or not squares:
        return 0.0, 1.0
    error = float(np.sqrt(max(0.0, total - product**2 / squares) / (freedom - 1) / squares))
    chance = (error * squares / product) ** 2 if product else 1.0
    return product / squares * max(0.0, 1 - chance), min(1.0, error)


def _moved(calibration: Array | None, a: slice, b: slice) -> float:
    """The change of the calibration cells between the sides."""
    if calibration is None:
        return 0.0
    return float(np.mean(calibration[b]) - np.mean(calibration[a]))


def _strayed(calibration: Array | None, panel: Panel) -> Array | None:
    if calibration is None:
        return None
    return residuals(calibration.reshape(-1, 1), panel.group)[0][:, 0]


def _place_noise(panel: Panel, of_runs: _Strayed, of_openings: _Strayed) -> tuple[float, float]:
    """How far the shift of a place strays beyond that of all, in a run: its variance, and the
    degrees of freedom (0: not known)."""
    variance, freedom = of_runs.of_places()
    if freedom:
        return variance, freedom
    variance, freedom = of_openings.of_places()
    return variance / max(1.0, _typical(panel.openings_of_a_run)), freedom


def _beyond(
    shared: Shared, centres: Array, errors: Array, noise: tuple[float, float], sides: float
) -> Iterable[tuple[str, Estimated]]:
    """Each place against the one that moved least."""
    if len(shared.names) < 2:
        return
    variance, freedom = noise
    least = int(np.argmin(np.abs(centres[:-1])))
    for number, name in enumerate(shared.names):
        if number != least:
            of_cells = errors[number] ** 2 + errors[least] ** 2
            error = float(np.sqrt(max(2 * variance * sides, of_cells)))
            found = float(centres[number] - centres[least])
            yield name, Estimated(found, error, freedom or ASSUMED_FREEDOM, assumed=not freedom)
