"""Medians over rounds, with intervals that allow for autocorrelation.

The estimate is the median over rounds. Its interval is a pair of order statistics (Conover,
Practical Nonparametric Statistics, 3.2). It is widened if successive rounds are alike: then the
number of samples below the median varies more than a binomial's. The factor is the long-run
variance of "above or below" (1 for independent samples), estimated as the mean square of its
first few cosine coefficients, which vary slowly, over a run's length or a good part of it
(Müller, J. Econometrics 141, 2007; Lazarus, Lewis, Stock and Watson, J. Business & Economic
Statistics 36(4), 2018). No shape of the correlation is assumed. The quantile is Student's; its
degrees of freedom are the number of coefficients.

One short series has few coefficients that are slow enough. But the machine makes neighbouring
slices alike, and a run has many cells: the mean is over all cells, and the more cells there are,
the fewer and slower coefficients suffice. Cells that go up and down together count as few. The
mean is raised by half a standard error, because too narrow is worse than too wide; a cell whose
own factor exceeds it by more than the error uses its own.

Ratios within the round hardly wander. A linear drift shared by the other cells is subtracted
first: it moves a median, but does not make it less certain. Levels (frames per second, ns/frame)
drift with the machine over minutes; below 300 rounds that drift is invisible, so no interval is
given. From there on it comes from the slowest coefficients alone, and there is none if all cells
drift one way. benchmarks/coverage.py shows the coverage of both.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from bench.model.results import Estimate

MIN_ROUNDS = 20
"""Fewer ratios give no 95 % interval. Six independent ones would be enough, with their whole range
as the interval, but so few cannot show whether they are independent."""


FEW_ROUNDS, FEW_INFLATION = 40, 2.65
"""Fewer than FEW_ROUNDS give an interval only below this inflation: above it, part of the
likeness between rounds lasts as long as the run, and does not show."""


MIN_FREEDOM = 10
"""The inflation is known from this many degrees of freedom on; one series of 100 has them."""


ENOUGH_FREEDOM, MIN_COSINES = 20, 2
"""The cosines needed, and no more: each further one is faster and says less of slow variation."""


MIN_LEVEL_ROUNDS, LEVEL_COSINES = 300, 4
"""For levels. With fewer rounds or faster cosines the intervals miss a machine that is faster for
a minute (benchmarks/coverage.py on stored runs)."""


DRIFTS = 10.0
"""Levels drift if the mean square of the slowest cosine is this many times that of the next ones:
one run in twenty has it by chance if all cells go together (F with 1 and 3 degrees of freedom)."""


Z95 = 1.959964


Z_STOPPING = 2.170090
"""The quantile of 97 %. Looking again and again until an interval is narrow picks narrow moments:
it then holds some 2 % less often than it says (benchmarks/coverage.py)."""


def quantile(by_precision: bool) -> float:
    """The normal quantile; larger if precision decided the number of rounds."""
    return Z_STOPPING if by_precision else Z95


@dataclass(frozen=True, slots=True)
class Inflation:
    """The variance of the count below the median as a multiple of a binomial's, and the degrees of
    freedom of that estimate."""

    value: float
    freedom: float


def estimates(
    series: Sequence[Sequence[float]], z: float = Z95, *, levels: bool = False
) -> list[Estimate | None]:
    """The estimate of each series; all were measured side by side on one machine.

    They are ratios within the round, or ``levels``, which wander with the machine.
    """
    known = level_inflations(series) if levels else inflations(series)
    return [estimate(values, each, z) for values, each in zip(series, known, strict=True)]


def estimate(
    values: Sequence[float], inflation: Inflation | None, z: float = Z95
) -> Estimate | None:
    """The median of values in the order of measurement, with its 95 % interval.

    ``z`` is Z_STOPPING if precision decided the number of values. None without values. There is
    no interval below MIN_ROUNDS, with an unknown inflation (None), or with an inflation that
    leaves too few independent values.
    """
    if not values:
        return None
    median, n = statistics.median(values), len(values)
    without = Estimate(median, None, None, n)
    if n < MIN_ROUNDS or inflation is None:
        return without
    if n < FEW_ROUNDS and inflation.value > FEW_INFLATION:
        return without
    spread = student(z, inflation.freedom) * math.sqrt(n * inflation.value) / 2
    lower = math.floor(n / 2 - spread)
    if lower < 0:
        return without
    ordered = sorted(values)
    return Estimate(median, ordered[lower], ordered[n - 1 - lower], n)


def student(z: float, freedom: float) -> float:
    """Student's quantile from the normal one (Abramowitz and Stegun, 26.7.5); right from
    MIN_FREEDOM on."""
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def inflations(series: Sequence[Sequence[float]]) -> list[Inflation | None]:
    """The inflation of each series of ratios, estimated from all series together.

    None for a series that is too short, and for all if the freedom is below MIN_FREEDOM.
    """
    long = [values for values in series if len(values) >= MIN_ROUNDS]
    if not long:
        return [None] * len(series)
    sides = _without_common_trend([_sides(values) for values in long])
    worth = independent(sides)
    slow = _slow(worth)
    powers = [_powers(side) for side in sides]
    freedom = worth * statistics.mean(min(slow, len(each)) for each in powers)
    if freedom < MIN_FREEDOM:
        return [None] * len(series)
    found = iter(_shared(powers, slow, freedom))
    return [next(found) if len(values) >= MIN_ROUNDS else None for values in series]


@functools.cache
def least_rounds(ratios: int) -> int:
    """Fewer give no interval to so many ratios, even where these are independent."""
    return next(
        n
        for n in itertools.count(MIN_ROUNDS)
        if ratios * min(_slow(ratios), _cosines_of(n)) >= MIN_FREEDOM
    )


def _slow(worth: float) -> int:
    """How many of the slowest cosines are enough, of series that are worth so many."""
    return max(MIN_COSINES, math.ceil(ENOUGH_FREEDOM / worth))


def level_inflations(series: Sequence[Sequence[float]]) -> list[Inflation | None]:
    """The inflation of each level; None for one that is too short, and for all if they drift."""
    long = [values for values in series if len(values) >= MIN_LEVEL_ROUNDS]
    if not long:
        return [None] * len(series)
    sides = [_sides(values) for values in long]
    powers = [_powers(side) for side in sides]
    slowest, *others = (statistics.fmean(each[k] for each in powers) for k in range(LEVEL_COSINES))
    if slowest > DRIFTS * statistics.fmean(others):
        return [None] * len(series)
    found = iter(_shared(powers, LEVEL_COSINES, independent(sides) * LEVEL_COSINES))
    return [next(found) if len(values) >= MIN_LEVEL_ROUNDS else None for values in series]


def _shared(powers: Sequence[Sequence[float]], slow: int, freedom: float) -> list[Inflation]:
    """Each series' inflation: the common one, from the ``slow`` slowest coefficients of all series;
    or its own, from all of its coefficients, if that is larger."""
    mean = statistics.fmean(statistics.fmean(each[:slow]) for each in powers)
    common = mean * (1 + _error(freedom) / 2)
    own = (statistics.fmean(each) / (1 + _error(len(each))) for each in powers)
    return [Inflation(max(1.0, common, each), freedom) for each in own]


def _error(freedom: float) -> float:
    """The standard error of a mean square, relative to it."""
    return math.sqrt(2 / freedom)


def _sides(values: Sequence[float]) -> list[float]:
    """1 for a value above the median, -1 for one below; equal ones alternate between the two."""
    median, turn = statistics.median(values), itertools.cycle((1.0, -1.0))
    return [1.0 if v > median else -1.0 if v < median else next(turn) for v in values]


def _without_common_trend(series: Sequence[Sequence[float]]) -> list[list[float]]:
    """Each series less the linear trend of the *others*: its own may be chance, theirs is not."""
    times = [[i - (len(values) - 1) / 2 for i in range(len(values))] for values in series]
    along = [_product(values, time) for values, time in zip(series, times, strict=True)]
    squares = [_product(time, time) for time in times]
    others = [(sum(along) - a, sum(squares) - b) for a, b in zip(along, squares, strict=True)]
    slopes = [above / below if below else 0.0 for above, below in others]
    return [
        [value - slope * at for value, at in zip(values, time, strict=True)]
        for values, time, slope in zip(series, times, slopes, strict=True)
    ]


def independent(series: Sequence[Sequence[float]]) -> float:
    """The number of independent series that are worth these, which partly move together."""
    return len(series) / (1 + (len(series) - 1) * _likeness(series))


def _likeness(series: Sequence[Sequence[float]]) -> float:
    """The mean correlation of two different series in the same round, at least 0."""
    rounds = list(itertools.zip_longest(*series))
    present = [[value for value in values if value is not None] for values in rounds]
    pairs = sum(len(values) * (len(values) - 1) for values in present)
    power = math.fsum(_product(values, values) for values in series)
    if not pairs or not power:
        return 0.0
    products = math.fsum(sum(values) ** 2 for values in present) - power
    return min(1.0, max(0.0, products / pairs / power * sum(map(len, series))))


def _powers(values: Sequence[float]) -> list[float]:
    """The squares of the first cosine coefficients; 1 on average for independent values of
    variance 1."""
    return [_product(values, cosine) ** 2 for cosine in cosines(len(values))]


@functools.lru_cache(maxsize=128)
def cosines(n: int) -> tuple[tuple[float, ...], ...]:
    """The cosines that are slow beside n (Lazarus et al. recommend 0.4 n^(2/3) of them), each of
    length 1."""
    scale = math.sqrt(2 / n)
    return tuple(
        tuple(scale * math.cos(math.pi * k * (i + 0.5) / n) for i in range(n))
        for k in range(1, 1 + _cosines_of(n))
    )


def _cosines_of(n: int) -> int:
    return round(0.45 * math.pow(n, 2 / 3))


def _product(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(map(operator.mul, a, b))
