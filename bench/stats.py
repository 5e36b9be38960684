"""Pure functions over samples: the figures of one, of a cell, and of the machine itself."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from bench.cpus import TICK_NS
from bench.intervals import MIN_LEVEL_ROUNDS, MIN_ROUNDS, Z95, Z_STOPPING, estimates
from bench.model import Cell, CellResult, Estimate, Run, Sample, ThreadSample

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
    z = _quantile(run)
    return _Estimates(_by_cell(plain, z, levels=True), _by_cell(ratios, z, levels=False))


def _quantile(run: Run) -> float:
    """Wider where precision decided how many rounds there are."""
    rounds = run.header.get("measure", {}).get("rounds", {})
    return Z_STOPPING if rounds.get("min", 0) < rounds.get("max", 0) else Z95


def _by_cell(
    series: Mapping[str, Sequence[float]], z: float, *, levels: bool
) -> dict[str, Estimate | None]:
    return dict(zip(series, estimates(list(series.values()), z, levels=levels), strict=True))


def summarise(run: Run, precision: float) -> list[CellResult]:
    """A row per cell, in the order of the plan; ``precision`` as in Measure."""
    usable = usable_by_cell(run)
    rates = _estimates(run, usable, "pps")
    costs = _estimates(run, usable, "ns_per_frame")
    fastest = _fastest(run, usable)
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
            cell.id in fastest,
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
    is_fastest: bool,
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
        is_fastest=is_fastest,
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
        steal_share=share_of_cpus(samples, "steal_ns"),
        softirq_share=share_of_cpus(samples, "softirq_ns"),
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


_RIVALS_SHARE = ("interface", "qdisc", "frame_size", "threads")
_SENDS_NOTHING = "null"


def _fastest(run: Run, usable: Mapping[str, Sequence[Sample]]) -> set[str]:
    """Of each group of rivals the cell that was faster than every other, where there is one.

    That is the one with the highest median pps, if all its ratios to the others, taken within
    rounds, have intervals above 1. None in a run with replicas: there a cell also races against
    itself, to show the noise.
    """
    if len({cell.values.get("replica") for cell in run.cells}) > 1:
        return set()
    groups: dict[str, dict[str, float]] = {}
    for cell in run.cells:
        if usable[cell.id] and cell.method != _SENDS_NOTHING:
            rivals = repr([cell.values.get(axis) for axis in _RIVALS_SHARE])
            groups.setdefault(rivals, {})[cell.id] = statistics.median(map(pps, usable[cell.id]))
    pairs = []
    for medians in groups.values():
        first, *others = sorted(medians, key=medians.__getitem__, reverse=True)
        pairs += [(first, other) for other in others]
    ratios = [within_round_ratios(usable[a], usable[b], "pps") for a, b in pairs]
    found = zip(pairs, estimates(ratios, _quantile(run)), strict=True)
    leads = {pair: ratio is not None and (ratio.low or 0.0) > 1.0 for pair, ratio in found}
    return {first for first, _ in pairs} - {
        first for (first, _), ahead in leads.items() if not ahead
    }


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
    share = share_of_cpus(samples, "steal_ns")
    ticks = sum(sample.steal_ns for sample in samples) // TICK_NS
    return share is not None and share > STOLEN and ticks >= FEW_TICKS


def share_of_cpus(samples: Sequence[Sample], part: str) -> float | None:
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


_TIMES = tuple(field.name for field in fields(ThreadSample) if field.name.endswith("_ns"))


def _at_speed(sample: Sample, speed: float) -> Sample:
    """With every time of a thread scaled: what it got of its CPU, and waited, is a share of it."""
    threads = tuple(
        replace(thread, **{time: round(getattr(thread, time) * speed) for time in _TIMES})
        for thread in sample.threads
    )
    return replace(sample, wall_ns=round(sample.wall_ns * speed), threads=threads)


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
