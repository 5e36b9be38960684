"""A row per cell from the samples of a run."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain

from bench.analysis.estimates import Estimates, estimates_of
from bench.analysis.figures import (
    DISTURBED_DELAY,
    MIN_SHARE,
    cpu_share,
    pps,
    share_of_cpus,
    usable_by_cell,
    why_unusable,
    within_round_ratios,
)
from bench.analysis.intervals import MIN_LEVEL_ROUNDS, MIN_ROUNDS, quantile
from bench.analysis.openings import estimates
from bench.base.values import distinct, key_of
from bench.model.axes import AXES, Role, with_role
from bench.model.cells import Cell
from bench.model.problems import Code, Problem, commonest
from bench.model.results import CellResult, Estimate, Note
from bench.model.run import Run
from bench.model.samples import Sample
from bench.system.cpus import TICK_NS

STOLEN, FEW_TICKS = 0.01, 4
"""Above this share of a cell's CPUs steal is noted, unless fewer ticks of 10 ms than these say it:
they may be chance."""


def summarise(run: Run, precision: float) -> list[CellResult]:
    """A row per cell, in the order of the plan; ``precision`` as in Measure."""
    usable = usable_by_cell(run)
    z = quantile(run.header.measure.rounds.by_precision)
    rates = estimates_of(usable, run.baselines, "pps", z)
    costs = estimates_of(usable, run.baselines, "ns_per_frame", z)
    fastest = _fastest(run, usable)
    measured = Counter(sample.cell for sample in run.samples)
    foreign: Counter[str] = Counter()
    problems: dict[str, list[tuple[Problem, ...]]] = {cell.id: [] for cell in run.cells}
    for sample in run.samples:
        foreign[sample.cell] += sample.foreign
        if sample.cell in problems and (why := why_unusable(sample)):
            problems[sample.cell].append(sample.problems or (Problem(Code.OTHER, told=why),))
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
    rates: Estimates,
    costs: Estimates,
    problems: Sequence[tuple[Problem, ...]],
    measured: int,
    foreign: int,
    is_fastest: bool,
    precision: float,
) -> CellResult:
    rate, ratio = rates.figure[cell.id], rates.ratio.get(cell.id)
    shares = [cpu_share(sample) for sample in samples]
    is_baseline = run.baselines.get(cell.id) == cell.id
    disturbed = measured - len(problems) - len(samples)
    return CellResult(
        cell=cell,
        failure=run.failures.get(cell.id, ""),
        is_baseline=is_baseline,
        is_fastest=is_fastest,
        rounds=len(samples),
        invalid=len(problems),
        invalid_reason=commonest([*chain(*problems)]),
        disturbed=disturbed,
        moved=_moved(samples),
        pps=rate,
        gbps=_scaled(rate, cell.frame_size * 8 / 1e9),
        ns_per_frame=costs.figure[cell.id],
        ratio=ratio,
        ratio_ns=costs.ratio.get(cell.id),
        frames_per_call=_quotient(samples, "completed", "calls"),
        cpu_share=statistics.median(shares) if shares else None,
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


_SENDS_NOTHING = "null"


def _fastest(run: Run, usable: Mapping[str, Sequence[Sample]]) -> set[str]:
    """Of each group of rivals the cell that was faster than every other, where there is one.

    That is the one with the highest median pps, if all its ratios to the others, taken within
    rounds, have intervals above 1. None in a run with replicas: there a cell also races against
    itself, to show the noise.
    """
    if any(len(distinct(c.values.get(a) for c in run.cells)) > 1 for a in with_role(Role.REPLICA)):
        return set()
    groups: dict[str, dict[str, float]] = {}
    for cell in run.cells:
        if usable[cell.id] and cell.method != _SENDS_NOTHING:
            medians = groups.setdefault(_contest(cell), {})
            medians[cell.id] = statistics.median(map(pps, usable[cell.id]))
    pairs = []
    for medians in groups.values():
        first, *others = sorted(medians, key=medians.__getitem__, reverse=True)
        pairs += [(first, other) for other in others]
    ratios = [within_round_ratios(usable[a], usable[b], "pps") for a, b in pairs]
    z = quantile(run.header.measure.rounds.by_precision)
    found = zip(pairs, estimates(ratios, z), strict=True)
    leads = {pair: ratio is not None and (ratio.low or 0.0) > 1.0 for pair, ratio in found}
    return {first for first, _ in pairs} - {
        first for (first, _), ahead in leads.items() if not ahead
    }


def _contest(cell: Cell) -> str:
    """Equal for cells that compete: they send on the same place, and have the same to do.

    What a method has no axis for it does as the axis' default says: one that knows no flows sends
    one.
    """
    place = [cell.values.get(axis) for axis in with_role(Role.PLACE)]
    workload = [cell.values.get(axis) for axis in with_role(Role.WORKLOAD)]
    usual = [AXES[axis].default for axis in with_role(Role.WORKLOAD)]
    done = [u if w is None else w for w, u in zip(workload, usual, strict=True)]
    return key_of([place, done])


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
) -> list[Note]:
    """What a reader must know of a row; alike texts share a footnote.

    ``figure`` is what ``precision`` is asked of, the ratio or else the level (pps): None for a
    baseline, which others are held to.
    """
    notes = []
    if figure and figure.half_width is None:
        fewest = MIN_LEVEL_ROUNDS if is_level else MIN_ROUNDS
        why = (
            f"no interval would hold from fewer than {fewest} rounds"
            if figure.n < fewest
            else "it varies too slowly for an interval from so many rounds"
        )
        notes.append(Note("imprecise", why))
    elif figure and figure.half_width and figure.half_width > precision:
        why = f"the 95 % interval is wider than ±{precision * 100:g} %"
        notes.append(Note("imprecise", why))
    if shares and statistics.median(shares) < MIN_SHARE:
        notes.append(Note("starved", f"the sender got less than {MIN_SHARE * 100:g} % of its CPU"))
    if _is_stolen(samples):
        why = f"the hypervisor had more than {STOLEN * 100:g} % of the senders' CPUs (steal)"
        notes.append(Note("stolen", why))
    if disturbed:
        why = (
            "samples left out in which the sender waited for its CPU for "
            f"more than {DISTURBED_DELAY * 100:g} % of the window"
        )
        notes.append(Note("disturbed", why, disturbed))
    if lost_carriers := sorted({s.carrier_lost for s in samples if s.carrier_lost}):
        why = (
            f"{', '.join(lost_carriers)} lost its carrier; frames sent to it before the "
            "bond saw that are lost"
        )
        notes.append(Note("failover", why))
    if moved := _moved(samples):
        why = "samples in which a thread ended on another CPU than it began on"
        notes.append(Note("moved", why, moved))
    if any(sample.lost for sample in samples):
        why = "frames were completed and then dropped: its pps did not all arrive"
        notes.append(Note("lossy", why))
    if any(sample.foreign for sample in samples):
        why = "others sent by the same device meanwhile, at most 1 % of the frames"
        notes.append(Note("shared", why))
    if run.facts.get(cell.id, {}).get("mmap_unlocked"):
        why = "MAP_LOCKED was refused (RLIMIT_MEMLOCK); populated instead"
        notes.append(Note("unlocked", why))
    return notes


def _moved(samples: Sequence[Sample]) -> int:
    return sum(1 for sample in samples if sample.total("moved"))


def _is_stolen(samples: Sequence[Sample]) -> bool:
    stolen = share_of_cpus(samples, "steal_ns")
    ticks = sum(sample.steal_ns for sample in samples) // TICK_NS
    return stolen is not None and stolen > STOLEN and ticks >= FEW_TICKS


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
