"""A row per cell from the samples of a run."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from bench.analysis.contests import contests, fastest
from bench.analysis.estimates import Estimates, estimates_of
from bench.analysis.figures import (
    by_cell,
    cpu_share,
    share_of_cpus,
    usable,
    why_unusable,
)
from bench.analysis.intervals import quantile
from bench.analysis.notes import notes_of
from bench.model.cells import Cell
from bench.model.counters import COUNTERS
from bench.model.problems import Code, Problem, commonest
from bench.model.results import Averages, CellResult, Estimate, Figures, Tally
from bench.model.run import Run
from bench.model.samples import Sample


def summarise(run: Run, precision: float) -> list[CellResult]:
    """A row per cell, in the order of the plan; ``precision`` as in Measure."""
    every = by_cell(run)
    valid = {cell: usable(samples) for cell, samples in every.items()}
    z = quantile(run.header.measure.rounds.by_precision)
    rates = estimates_of(valid, run.baselines, "pps", z)
    costs = estimates_of(valid, run.baselines, "ns_per_frame", z)
    first = fastest(contests(run, valid, run.cells))
    rows = []
    for cell in run.cells:
        facts, samples = run.facts.get(cell.id, {}), valid[cell.id]
        row = CellResult(
            cell=cell,
            failure=run.failures.get(cell.id, ""),
            is_baseline=run.baselines.get(cell.id) == cell.id,
            is_fastest=cell.id in first,
            tally=_tally(every[cell.id], samples),
            figures=_figures(cell, rates, costs),
            averages=_averages(samples),
            counts=_counts(every[cell.id], samples),
            sndbuf_bytes=int(facts.get("sndbuf", 0)),
            slaves=_slave_shares(samples),
        )
        rows.append(replace(row, notes=notes_of(row, samples, facts, precision, len(rates.ratio))))
    return rows


def _tally(every: Sequence[Sample], valid: Sequence[Sample]) -> Tally:
    invalid = [
        sample.problems or (Problem(Code.OTHER, told=why),)
        for sample in every
        if (why := why_unusable(sample))
    ]
    code, reason = commonest([*chain(*invalid)])
    return Tally(
        rounds=len(valid),
        invalid=len(invalid),
        invalid_reason=reason,
        invalid_code=code,
        disturbed=len(every) - len(invalid) - len(valid),
        moved=sum(1 for sample in valid if sample.total("moved")),
    )


def _figures(cell: Cell, rates: Estimates, costs: Estimates) -> Figures:
    rate = rates.figure[cell.id]
    return Figures(
        pps=rate,
        gbps=_scaled(rate, cell.frame_size * 8 / 1e9),
        ns_per_frame=costs.figure[cell.id],
        ratio=rates.ratio.get(cell.id),
        ratio_ns=costs.ratio.get(cell.id),
    )


def _averages(samples: Sequence[Sample]) -> Averages:
    return Averages(
        frames_per_call=_quotient(samples, "completed", "calls"),
        cpu_share=statistics.median(map(cpu_share, samples)) if samples else None,
        user_share=_quotient(samples, "user_ns", "cpu_ns"),
        steal_share=share_of_cpus(samples, "steal_ns"),
        softirq_share=share_of_cpus(samples, "softirq_ns"),
    )


def _counts(every: Sequence[Sample], valid: Sequence[Sample]) -> dict[str, int]:
    return {
        counter.name: counter.over(map(counter.of, every if counter.also_invalid else valid))
        for counter in COUNTERS
    }


def _slave_shares(samples: Sequence[Sample]) -> tuple[float, ...]:
    """What fraction of the frames each slave of a bond carried; empty without a bond."""
    carried = [sum(counts) for counts in zip(*(s.per_sink for s in samples), strict=True)]
    return tuple(count / sum(carried) for count in carried) if any(carried) else ()


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
