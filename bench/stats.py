"""Pure functions over samples: medians, intervals that know of autocorrelation, ratios.

The estimate is the median over rounds. Its interval is a pair of order statistics (Conover,
Practical Nonparametric Statistics, 3.2), widened where rounds that follow each other are alike:
then the number of samples below the median varies more than a binomial's. How many times more is
the long-run variance of "above or below" (1 for independent samples), and that is the mean square
of its first few cosine coefficients: what varies slowly, over a run's length or a good part of it
(Müller, J. Econometrics 141, 2007; Lazarus, Lewis, Stock and Watson, J. Business & Economic
Statistics 36(4), 2018). No shape of the correlation is assumed. The quantile is Student's, with as
many degrees of freedom as there are coefficients.

One short series has few coefficients that are slow enough. But what makes neighbouring slices
alike is the machine, and a run has many cells: the mean is over all of them, and the more cells
there are, the fewer and slower the coefficients that do. Cells that go up and down together count
as few. The mean is taken half a standard error upwards, as too narrow is worse than too wide; a
cell whose own is higher by more than its error has its own.

Ratios within the round hardly wander, and a linear drift that the other cells show as well is taken
off before: it moves a median, but does not make it less certain. Levels (frames per second,
ns/frame) go with the machine, which is faster in one part of a run than in another: a short stretch
does not show that, so they have an interval from many more rounds on, from the slowest
coefficients alone, and none where all cells drift one way. benchmarks/coverage.py shows what both
hold.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from bench.cpus import TICK_NS
from bench.model import Cell, CellResult, Estimate, Run, Sample

MIN_ROUNDS = 20
"""Fewer ratios give no 95 % interval. From six on their whole range would cover enough if they
were independent, but so few cannot tell whether they are."""
FEW_ROUNDS, FEW_INFLATION = 40, 2.65
"""Fewer rounds than these give one only where the variance is not inflated by more: where it is,
some of what makes rounds alike lasts as long as they do, and does not show."""
MIN_FREEDOM = 10
"""The inflation is known from so many degrees of freedom on; one series of 100 has them."""
ENOUGH_FREEDOM, MIN_COSINES = 20, 2
"""More cosines are faster ones, which tell less of what is slow: no more than are needed."""
MIN_LEVEL_ROUNDS, LEVEL_COSINES = 300, 4
"""Of a level: with fewer rounds, and with faster cosines, machines that were faster for a minute
were told too little of (benchmarks/coverage.py on stored runs)."""
DRIFTS = 10.0
"""Levels drift whose slowest cosine has so many times the mean square of the next ones: one run in
twenty has it by chance if all cells go together (F with 1 and 3 degrees of freedom)."""
MIN_SHARE = 0.95
"""A sender that got less of its CPU than this is marked as starved."""
DISTURBED_DELAY = 0.05
"""A sample is disturbed when a sender was runnable but not running for more of its window."""
STOLEN, FEW_TICKS = 0.01, 4
"""Above this share of a cell's CPUs steal is noted, unless fewer ticks of 10 ms than these say it:
they may be chance."""
MOST_DISTURBED = 0.10
"""Disturbed samples are left out while they are at most so many. If they are more, the cell does
it to itself (ksoftirqd takes over its receive side, say): leaving them out would flatter it."""
Z95 = 1.959964
Z_STOPPING = 2.170090
"""Of 97 %: who looks again and again until an interval is narrow picks narrow moments, and it then
holds some 2 % less often than it says (benchmarks/coverage.py)."""


# Medians and their intervals


@dataclass(frozen=True, slots=True)
class Inflation:
    """How many times a binomial's the variance of the count below the median is, and how well
    that is known: in degrees of freedom."""

    value: float
    freedom: float


def estimates(
    series: Sequence[Sequence[float]], z: float = Z95, *, levels: bool = False
) -> list[Estimate | None]:
    """The estimate of each of these series, which one machine gave side by side.

    They are ratios within the round, or ``levels``, which wander with the machine.
    """
    known = level_inflations(series) if levels else inflations(series)
    return [estimate(values, each, z) for values, each in zip(series, known, strict=True)]


def estimate(
    values: Sequence[float], inflation: Inflation | None, z: float = Z95
) -> Estimate | None:
    """The median of values in the order in which they were measured, with its 95 % interval.

    ``z`` is Z_STOPPING where precision decided how many values there are. None without values.
    There is no interval where none would hold: below MIN_ROUNDS, where the inflation is not known
    (None), or where it leaves too few independent values.
    """
    if not values:
        return None
    median, n = statistics.median(values), len(values)
    without = Estimate(median, None, None, n)
    if n < MIN_ROUNDS or inflation is None:
        return without
    if n < FEW_ROUNDS and inflation.value > FEW_INFLATION:
        return without
    spread = _student(z, inflation.freedom) * math.sqrt(n * inflation.value) / 2
    lower = math.floor(n / 2 - spread)
    if lower < 0:
        return without
    ordered = sorted(values)
    return Estimate(median, ordered[lower], ordered[n - 1 - lower], n)


def _student(z: float, freedom: float) -> float:
    """Student's quantile from the normal one (Abramowitz and Stegun, 26.7.5)."""
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2


def inflations(series: Sequence[Sequence[float]]) -> list[Inflation | None]:
    """The inflation of each series of ratios, most of which it has in common with the others.

    None for series that are too short, and for all where too little is known.
    """
    long = [values for values in series if len(values) >= MIN_ROUNDS]
    if not long:
        return [None] * len(series)
    sides = _without_common_trend([_sides(values) for values in long])
    independent = _independent(sides)
    slow = max(MIN_COSINES, math.ceil(ENOUGH_FREEDOM / independent))
    powers = [_powers(side) for side in sides]
    freedom = independent * statistics.mean(min(slow, len(each)) for each in powers)
    if freedom < MIN_FREEDOM:
        return [None] * len(series)
    found = iter(_shared(powers, slow, freedom))
    return [next(found) if len(values) >= MIN_ROUNDS else None for values in series]


def level_inflations(series: Sequence[Sequence[float]]) -> list[Inflation | None]:
    """The inflation of each level; None for those that are too short, and for all if they drift."""
    long = [values for values in series if len(values) >= MIN_LEVEL_ROUNDS]
    if not long:
        return [None] * len(series)
    sides = [_sides(values) for values in long]
    powers = [_powers(side) for side in sides]
    slowest, *others = (statistics.fmean(each[k] for each in powers) for k in range(LEVEL_COSINES))
    if slowest > DRIFTS * statistics.fmean(others):
        return [None] * len(series)
    found = iter(_shared(powers, LEVEL_COSINES, _independent(sides) * LEVEL_COSINES))
    return [next(found) if len(values) >= MIN_LEVEL_ROUNDS else None for values in series]


def _shared(powers: Sequence[Sequence[float]], slow: int, freedom: float) -> list[Inflation]:
    """From so many of the slowest coefficients of all series; or its own, from all of them."""
    mean = statistics.fmean(statistics.fmean(each[:slow]) for each in powers)
    common = mean * (1 + _error(freedom) / 2)
    own = (statistics.fmean(each) / (1 + _error(len(each))) for each in powers)
    return [Inflation(max(1.0, common, each), freedom) for each in own]


def _error(freedom: float) -> float:
    """The standard error of a mean square, relative to it."""
    return math.sqrt(2 / freedom)


def _sides(values: Sequence[float]) -> list[float]:
    """1 for a value above the median, -1 for one below; those that equal it take turns."""
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


def _independent(series: Sequence[Sequence[float]]) -> float:
    """As how many series these count, of which some go up and down together."""
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
    """The squares of the first cosine coefficients; of independent values of variance 1, 1."""
    return [_product(values, cosine) ** 2 for cosine in _cosines(len(values))]


@functools.lru_cache(maxsize=128)
def _cosines(n: int) -> tuple[tuple[float, ...], ...]:
    """So many as are slow beside n (Lazarus et al. recommend 0.4 n^(2/3)), of length 1 each."""
    scale = math.sqrt(2 / n)
    return tuple(
        tuple(scale * math.cos(math.pi * k * (i + 0.5) / n) for i in range(n))
        for k in range(1, 1 + round(0.45 * n ** (2 / 3)))
    )


def _product(a: Sequence[float], b: Sequence[float]) -> float:
    return math.fsum(map(operator.mul, a, b))


# Figures of one sample


def pps(sample: Sample) -> float:
    """Completed frames per second of the window."""
    return sample.total("completed") * 1e9 / sample.wall_ns


def ns_per_frame(sample: Sample) -> float:
    """CPU nanoseconds of the sending threads per completed frame."""
    return sample.total("cpu_ns") / sample.total("completed")


def share(sample: Sample) -> float:
    """CPU time over the time that the threads were not blocked, at most 1."""
    wanted = sample.total("wall_ns") - sample.total("blocked_ns")
    return min(1.0, sample.total("cpu_ns") / wanted) if wanted > 0 else 1.0


def is_usable(sample: Sample) -> bool:
    return not sample.problem and sample.wall_ns > 0 and sample.total("completed") > 0


def is_disturbed(sample: Sample) -> bool:
    """Whether others had the sender's CPU for a while: says nothing of how fast it was."""
    return any(t.run_delay_ns > DISTURBED_DELAY * t.wall_ns for t in sample.threads)


T = TypeVar("T")


def undisturbed(samples: Sequence[T], disturbed: Callable[[T], bool]) -> list[T]:
    """The samples that estimates are made of; all of them where too many are disturbed."""
    calm = [sample for sample in samples if not disturbed(sample)]
    return calm if len(samples) - len(calm) <= MOST_DISTURBED * len(samples) else list(samples)


# Figures of a cell

FIGURES: Mapping[str, Callable[[Sample], float]] = {"pps": pps, "ns_per_frame": ns_per_frame}


def within_round_ratios(
    samples: Sequence[Sample], base: Sequence[Sample], figure: str
) -> list[float]:
    """figure(cell) / figure(baseline) for every round that has both, in round order."""
    of = FIGURES[figure]
    known = {sample.round: of(sample) for sample in base}
    return [of(s) / known[s.round] for s in samples if known.get(s.round)]


def usable_by_cell(run: Run) -> dict[str, list[Sample]]:
    """The samples of each cell that estimates are made of, in round order."""
    found: dict[str, list[Sample]] = {cell.id: [] for cell in run.cells}
    for sample in sorted(run.samples, key=lambda s: (s.round, s.at_ns)):
        if sample.cell in found and is_usable(sample):
            found[sample.cell].append(sample)
    return {cell: undisturbed(samples, is_disturbed) for cell, samples in found.items()}


@dataclass(frozen=True, slots=True)
class _Estimates:
    """A figure of every cell, and its ratio to the baseline where there is one."""

    figure: dict[str, Estimate | None]
    ratio: dict[str, Estimate | None]


def _estimates(run: Run, usable: Mapping[str, Sequence[Sample]], figure: str) -> _Estimates:
    of = FIGURES[figure]
    plain = {cell: [of(sample) for sample in samples] for cell, samples in usable.items()}
    ratios = {
        cell: within_round_ratios(samples, usable.get(base, ()), figure)
        for cell, samples in usable.items()
        if (base := run.baselines.get(cell)) and base != cell
    }
    rounds = run.header.get("measure", {}).get("rounds", {})
    z = Z_STOPPING if rounds.get("min", 0) < rounds.get("max", 0) else Z95
    return _Estimates(_by_cell(plain, z, levels=True), _by_cell(ratios, z, levels=False))


def _by_cell(
    series: Mapping[str, Sequence[float]], z: float, *, levels: bool
) -> dict[str, Estimate | None]:
    return dict(zip(series, estimates(list(series.values()), z, levels=levels), strict=True))


def summarise(run: Run, precision: float) -> list[CellResult]:
    """A row per cell, in the order of the plan; ``precision`` as in Measure."""
    usable = usable_by_cell(run)
    rates = _estimates(run, usable, "pps")
    costs = _estimates(run, usable, "ns_per_frame")
    measured = Counter(sample.cell for sample in run.samples)
    foreign: Counter[str] = Counter()
    problems: dict[str, list[str]] = {cell.id: [] for cell in run.cells}
    for sample in run.samples:
        foreign[sample.cell] += sample.foreign
        if sample.cell in problems and not is_usable(sample):
            problems[sample.cell].append(sample.problem or "no frame completed in the window")
    return [
        _result(
            run,
            cell,
            usable[cell.id],
            rates,
            costs,
            problems[cell.id],
            measured[cell.id],
            foreign[cell.id],
            precision,
        )
        for cell in run.cells
    ]


def _result(
    run: Run,
    cell: Cell,
    samples: Sequence[Sample],
    rates: _Estimates,
    costs: _Estimates,
    problems: Sequence[str],
    measured: int,
    foreign: int,
    precision: float,
) -> CellResult:
    rate, ratio = rates.figure[cell.id], rates.ratio.get(cell.id)
    shares = [share(sample) for sample in samples]
    is_baseline = run.baselines.get(cell.id) == cell.id
    disturbed = measured - len(problems) - len(samples)
    return CellResult(
        cell=cell,
        failure=run.failures.get(cell.id, ""),
        is_baseline=is_baseline,
        rounds=len(samples),
        invalid=len(problems),
        invalid_reason=statistics.mode(problems) if problems else "",
        disturbed=disturbed,
        moved=_moved(samples),
        pps=rate,
        gbps=_scaled(rate, cell.frame_size * 8 / 1e9),
        ns_per_frame=costs.figure[cell.id],
        ratio=ratio,
        ratio_ns=costs.ratio.get(cell.id),
        frames_per_call=_quotient(samples, "completed", "calls"),
        share=statistics.median(shares) if shares else None,
        user_share=_quotient(samples, "user_ns", "cpu_ns"),
        steal_share=_share_of_cpus(samples, "steal_ns"),
        softirq_share=_share_of_cpus(samples, "softirq_ns"),
        interrupts=sum(sample.interrupts for sample in samples),
        involuntary=_sum(samples, "involuntary"),
        foreign=foreign,
        completed=_sum(samples, "completed"),
        lost=sum(sample.lost for sample in samples),
        drops=sum(s.qdisc_drops + s.device_drops + s.softnet_drops for s in samples),
        eagain=_sum(samples, "eagain"),
        enobufs=_sum(samples, "enobufs"),
        full_waits=_sum(samples, "full_waits"),
        short_counts=_sum(samples, "short_counts"),
        wmem_high=max((t.wmem_high for s in samples for t in s.threads), default=0),
        sndbuf=int(run.facts.get(cell.id, {}).get("sndbuf", 0)),
        slaves=_slave_shares(samples),
        notes=tuple(
            _notes(
                run,
                cell,
                None if is_baseline else ratio or rate,
                ratio is None,
                samples,
                shares,
                disturbed,
                precision,
            )
        ),
    )


def _slave_shares(samples: Sequence[Sample]) -> tuple[float, ...]:
    """What fraction of the frames each slave of a bond carried; empty without a bond."""
    carried = [sum(counts) for counts in zip(*(s.per_sink for s in samples), strict=True)]
    return tuple(count / sum(carried) for count in carried) if any(carried) else ()


def _notes(
    run: Run,
    cell: Cell,
    figure: Estimate | None,
    is_level: bool,
    samples: Sequence[Sample],
    shares: Sequence[float],
    disturbed: int,
    precision: float,
) -> list[str]:
    """``word: explanation`` for what a reader must know; alike texts share a footnote.

    ``figure`` is what ``precision`` is asked of, the ratio or else the level (pps): None for a
    baseline, which others are held to.
    """
    notes = []
    if figure and figure.half_width is None:
        fewest = MIN_LEVEL_ROUNDS if is_level else MIN_ROUNDS
        notes.append(
            f"imprecise: no interval would hold from fewer than {fewest} rounds"
            if figure.n < fewest
            else "imprecise: it varies too slowly for an interval from so many rounds"
        )
    elif figure and figure.half_width and figure.half_width > precision:
        notes.append(f"imprecise: the 95 % interval is wider than ±{precision * 100:g} %")
    if shares and statistics.median(shares) < MIN_SHARE:
        notes.append(f"starved: the sender got less than {MIN_SHARE * 100:g} % of its CPU")
    if _is_stolen(samples):
        notes.append(
            f"stolen: the hypervisor had more than {STOLEN * 100:g} % of the senders' CPUs (steal)"
        )
    if disturbed:
        notes.append(
            f"{disturbed} disturbed: samples left out in which the sender waited for its CPU for "
            f"more than {DISTURBED_DELAY * 100:g} % of the window"
        )
    if lost_carriers := sorted({s.carrier_lost for s in samples if s.carrier_lost}):
        notes.append(
            f"failover: {', '.join(lost_carriers)} lost its carrier; frames sent to it before the "
            "bond saw that are lost"
        )
    if moved := _moved(samples):
        notes.append(
            f"{moved} moved: samples in which a thread ended on another CPU than it began on"
        )
    if any(sample.lost for sample in samples):
        notes.append("lossy: frames were completed and then dropped: its pps did not all arrive")
    if any(sample.foreign for sample in samples):
        notes.append("shared: others sent by the same device meanwhile, at most 1 % of the frames")
    if run.facts.get(cell.id, {}).get("mmap_unlocked"):
        notes.append("unlocked: MAP_LOCKED was refused (RLIMIT_MEMLOCK); populated instead")
    return notes


def _moved(samples: Sequence[Sample]) -> int:
    return sum(1 for sample in samples if sample.total("moved"))


def _is_stolen(samples: Sequence[Sample]) -> bool:
    share = _share_of_cpus(samples, "steal_ns")
    ticks = sum(sample.steal_ns for sample in samples) // TICK_NS
    return share is not None and share > STOLEN and ticks >= FEW_TICKS


def _share_of_cpus(samples: Sequence[Sample], part: str) -> float | None:
    """Of the time of the cell's CPUs over the slices; None where it was not read."""
    whole = sum(sample.cpus_ns for sample in samples)
    return sum(getattr(sample, part) for sample in samples) / whole if whole else None


def _sum(samples: Sequence[Sample], counter: str) -> int:
    return sum(sample.total(counter) for sample in samples)


def _quotient(samples: Sequence[Sample], above: str, below: str) -> float | None:
    divisor = _sum(samples, below)
    return _sum(samples, above) / divisor if divisor else None


def _scaled(figure: Estimate | None, factor: float) -> Estimate | None:
    if figure is None:
        return None
    low, high = (None if x is None else x * factor for x in (figure.low, figure.high))
    return Estimate(figure.value * factor, low, high, figure.n)


# The machine itself


@dataclass(frozen=True, slots=True)
class Speed:
    """Of a calibration cell: frames per second (median), its change from the first to the last
    quarter of the rounds, and half the interquartile range; both relative to the median."""

    rate: float
    drift: float
    spread: float


def calibration_speed(run: Run, cell: Cell) -> Speed | None:
    """None with fewer than eight rounds."""
    rates = [pps(s) for s in run.calibration_samples if s.cell == cell.id and is_usable(s)]
    if len(rates) < 8:
        return None
    rate, quarter = statistics.median(rates), len(rates) // 4
    lower, _, upper = statistics.quantiles(rates, n=4)
    drift = statistics.median(rates[-quarter:]) - statistics.median(rates[:quarter])
    return Speed(rate, drift / rate, (upper - lower) / 2 / rate)


SMOOTHED_ROUNDS = 5
"""The machine's speed in a round is the median over so many around it: one slice is noisy."""


def speed_by_round(run: Run) -> dict[int, float]:
    """How fast the machine was in each round, 1 being its median over the run.

    The geometric mean over the calibration cells; empty without them.
    """
    by_round: dict[int, list[float]] = {}
    for cell in run.calibration:
        mine = [s for s in run.calibration_samples if s.cell == cell.id and is_usable(s)]
        rates = {s.round: pps(s) for s in mine}
        middle = statistics.median(rates.values()) if rates else 1.0
        for round_, rate in rates.items():
            by_round.setdefault(round_, []).append(rate / middle)
    rounds = sorted(by_round)
    raw = [statistics.geometric_mean(by_round[round_]) for round_ in rounds]
    reach = SMOOTHED_ROUNDS // 2
    return {
        round_: statistics.median(raw[max(0, i - reach) : i + reach + 1])
        for i, round_ in enumerate(rounds)
    }


def normalised(run: Run) -> Run:
    """The run as if the machine had been as fast in each round as it was in the median one."""
    speeds = speed_by_round(run)
    return replace(run, samples=tuple(_at_speed(s, speeds.get(s.round, 1.0)) for s in run.samples))


def _at_speed(sample: Sample, speed: float) -> Sample:
    def scaled(ns: int) -> int:
        return round(ns * speed)

    threads = tuple(
        replace(t, wall_ns=scaled(t.wall_ns), cpu_ns=scaled(t.cpu_ns)) for t in sample.threads
    )
    return replace(sample, wall_ns=scaled(sample.wall_ns), threads=threads)


# When to stop


def unprecise(run: Run, precision: float) -> set[str]:
    """Cells whose figure (the ratio, or pps without a baseline) needs more rounds.

    A baseline itself needs none beyond those of the cells that are compared with it.
    """
    usable = usable_by_cell(run)
    rates = _estimates(run, usable, "pps")
    found = set()
    for cell, samples in usable.items():
        if cell in run.failures or run.baselines.get(cell) == cell or not samples:
            continue
        figure = rates.ratio.get(cell) or rates.figure[cell]
        if figure is None or figure.half_width is None or figure.half_width > precision:
            found.add(cell)
    return found
