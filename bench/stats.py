"""Pure functions over samples: medians, intervals that know of autocorrelation, ratios.

The estimate is the median over rounds. Its interval is a pair of order statistics (Conover,
Practical Nonparametric Statistics, 3.2), widened where neighbouring rounds are alike. Then the
number of samples below the median varies more than a binomial's, by the sum of the
autocorrelations of "below the median": for a first-order autoregressive series of correlation r,
that of lag k is 2/pi asin(r^k) (the arcsine law of Gaussian signs; Kedem, Binary Time Series,
1980). r is estimated from ranks, so that no outlier moves it, and corrected for its bias in short
series (Marriott and Pope, Biometrika 41, 1954).
"""

from __future__ import annotations

import bisect
import itertools
import math
import statistics
from collections.abc import Mapping, Sequence

from bench.model import Cell, CellResult, Estimate, Run, Sample

MIN_ROUNDS = 6
"""Fewer samples give no 95 % interval: even their whole range covers less."""
MIN_SHARE = 0.95
"""A sender that got less of its CPU than this is marked as starved."""
Z95 = 1.959964


def _centred_ranks(values: Sequence[float]) -> list[float]:
    """Ranks around 0; equal values share the mean of theirs."""
    ordered = sorted(values)
    middle = len(values) - 1
    return [
        (bisect.bisect_left(ordered, v) + bisect.bisect_right(ordered, v) - 1 - middle) / 2
        for v in values
    ]


def _autocorrelation(values: Sequence[float]) -> float:
    """The correlation of neighbours' ranks, between 0 and 0.97; of equal values 0."""
    ranks, n = _centred_ranks(values), len(values)
    power = math.fsum(rank * rank for rank in ranks)
    if power == 0:
        return 0.0
    plain = math.fsum(a * b for a, b in itertools.pairwise(ranks)) / power
    return min(0.97, max(0.0, plain + (1 + 3 * plain) / n))


def _inflation(correlation: float) -> float:
    """How many times a binomial's the variance of the count below the median is."""
    total, power = 1.0, correlation
    while power > 1e-3:
        total += 4 / math.pi * math.asin(power)
        power *= correlation
    return total


def estimate(values: Sequence[float]) -> Estimate | None:
    """The median of values in the order in which they were measured, with its 95 % interval.

    None without values. No interval below MIN_ROUNDS, nor where the values are so much alike
    their neighbours that even their whole range would cover less.
    """
    if not values:
        return None
    median, n = statistics.median(values), len(values)
    if n < MIN_ROUNDS:
        return Estimate(median, None, None, n)
    spread = Z95 * math.sqrt(n * _inflation(_autocorrelation(values))) / 2
    lower = math.floor(n / 2 - spread)
    if lower < 0:
        return Estimate(median, None, None, n)
    ordered = sorted(values)
    return Estimate(median, ordered[lower], ordered[n - 1 - lower], n)


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


# Figures of a cell


def within_round_ratios(
    samples: Sequence[Sample], base: Sequence[Sample], figure: str
) -> list[float]:
    """figure(cell) / figure(baseline) for every round that has both, in round order."""
    of = {"pps": pps, "ns_per_frame": ns_per_frame}[figure]
    known = {sample.round: of(sample) for sample in base}
    return [of(s) / known[s.round] for s in samples if known.get(s.round)]


def usable_by_cell(run: Run) -> dict[str, list[Sample]]:
    """The usable samples of each cell, in round order."""
    found: dict[str, list[Sample]] = {cell.id: [] for cell in run.cells}
    for sample in sorted(run.samples, key=lambda s: (s.round, s.at_ns)):
        if sample.cell in found and is_usable(sample):
            found[sample.cell].append(sample)
    return found


def summarise(run: Run, precision: float) -> list[CellResult]:
    """A row per cell, in the order of the plan; ``precision`` as in Measure."""
    usable = usable_by_cell(run)
    problems: dict[str, list[str]] = {cell.id: [] for cell in run.cells}
    for sample in run.samples:
        if sample.cell in problems and not is_usable(sample):
            problems[sample.cell].append(sample.problem or "no frame completed in the window")
    return [
        _result(run, cell, usable[cell.id], usable, problems[cell.id], precision)
        for cell in run.cells
    ]


def _result(
    run: Run,
    cell: Cell,
    samples: Sequence[Sample],
    usable: Mapping[str, Sequence[Sample]],
    problems: Sequence[str],
    precision: float,
) -> CellResult:
    baseline = run.baselines.get(cell.id)
    base = usable.get(baseline, ()) if baseline and baseline != cell.id else ()
    ratio = estimate(within_round_ratios(samples, base, "pps"))
    rate = estimate([pps(sample) for sample in samples])
    bits = cell.frame_size * 8 / 1e9
    shares = [share(sample) for sample in samples]
    return CellResult(
        cell=cell,
        failure=run.failures.get(cell.id, ""),
        is_baseline=baseline == cell.id,
        rounds=len(samples),
        invalid=len(problems),
        invalid_reason=statistics.mode(problems) if problems else "",
        pps=rate,
        gbps=_scaled(rate, bits),
        ns_per_frame=estimate([ns_per_frame(sample) for sample in samples]),
        ratio=ratio,
        ratio_ns=estimate(within_round_ratios(samples, base, "ns_per_frame")),
        frames_per_call=_quotient(samples, "completed", "calls"),
        share=statistics.median(shares) if shares else None,
        user_share=_quotient(samples, "user_ns", "cpu_ns"),
        completed=_sum(samples, "completed"),
        lost=sum(sample.lost for sample in samples),
        drops=sum(s.qdisc_drops + s.device_drops + s.softnet_drops for s in samples),
        eagain=_sum(samples, "eagain"),
        enobufs=_sum(samples, "enobufs"),
        full_waits=_sum(samples, "full_waits"),
        short_counts=_sum(samples, "short_counts"),
        wmem_high=max((t.wmem_high for s in samples for t in s.threads), default=0),
        sndbuf=int(run.facts.get(cell.id, {}).get("sndbuf", 0)),
        notes=tuple(_notes(run, cell, ratio or rate, samples, shares, precision)),
    )


def _notes(
    run: Run,
    cell: Cell,
    figure: Estimate | None,
    samples: Sequence[Sample],
    shares: Sequence[float],
    precision: float,
) -> list[str]:
    """``word: explanation`` for what a reader must know; alike texts share a footnote."""
    notes = []
    half = figure.half_width if figure else None
    if figure and half is None:
        notes.append("imprecise: too few rounds for an interval")
    elif half is not None and half > precision:
        notes.append(f"imprecise: the 95 % interval is wider than ±{precision:.2g} of the figure")
    if shares and statistics.median(shares) < MIN_SHARE:
        notes.append(f"starved: the sender got less than {MIN_SHARE:.0%} of its CPU")
    if any(sample.lost for sample in samples):
        notes.append("lossy: frames were completed and then dropped: its pps did not all arrive")
    if run.facts.get(cell.id, {}).get("mmap_unlocked"):
        notes.append("unlocked: MAP_LOCKED was refused (RLIMIT_MEMLOCK); populated instead")
    return notes


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


# When to stop


def unprecise(run: Run, precision: float) -> set[str]:
    """Cells whose figure (the ratio, or pps without a baseline) needs more rounds.

    A baseline itself needs none beyond those of the cells that are compared with it.
    """
    usable = usable_by_cell(run)
    found = set()
    for cell, samples in usable.items():
        baseline = run.baselines.get(cell)
        if cell in run.failures or baseline == cell or not samples:
            continue
        if baseline and usable.get(baseline):
            figure = estimate(within_round_ratios(samples, usable[baseline], "pps"))
        else:
            figure = estimate([pps(sample) for sample in samples])
        if figure is None or figure.half_width is None or figure.half_width > precision:
            found.add(cell)
    return found
