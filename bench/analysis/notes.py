"""What a reader must know of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.analysis.figures import DISTURBED, MIN_SHARE
from bench.analysis.intervals import MIN_LEVEL_ROUNDS, least_rounds
from bench.base.units import size_text
from bench.model.results import CellResult, Note
from bench.model.samples import Sample
from bench.system.cpus import TICK_NS

STOLEN, FEW_TICKS = 0.01, 4
"""Above this share of a cell's CPUs steal is noted, unless fewer ticks of 10 ms than these say it:
they may be chance."""


def notes_of(
    row: CellResult,
    samples: Sequence[Sample],
    facts: Mapping[str, Any],
    precision: float,
    ratios: int,
) -> tuple[Note, ...]:
    """What a reader must know of a row; alike texts share a footnote.

    ``samples`` are those that its figures are made of, ``facts`` what was really set up for it.
    ``precision`` is asked of its ratio, or else of its pps; not of a baseline, which others are
    held to. ``ratios`` is how many the run has.
    """
    notes = []
    if row.tally.invalid:
        why = row.tally.invalid_reason or "samples that contradict the kernel's counters"
        notes.append(Note("invalid", why, row.tally.invalid if row.is_measured else 0))
    figure = None if row.is_baseline else row.figures.ratio or row.figures.pps
    if figure and figure.half_width is None:
        fewest = least_rounds(ratios) if row.figures.ratio else MIN_LEVEL_ROUNDS
        why = (
            f"no interval would hold from fewer than {fewest} rounds"
            if figure.n < fewest
            else "it varies too slowly for an interval from so many rounds"
        )
        notes.append(Note("imprecise", why))
    elif figure and figure.half_width and figure.half_width > precision:
        why = f"the 95 % interval is wider than ±{precision * 100:g} %"
        notes.append(Note("imprecise", why))
    if (share := row.averages.cpu_share) is not None and share < MIN_SHARE:
        notes.append(Note("starved", f"the sender got less than {MIN_SHARE * 100:g} % of its CPU"))
    if _is_stolen(row.averages.steal_share, samples):
        why = f"the hypervisor had more than {STOLEN * 100:g} % of the senders' CPUs (steal)"
        notes.append(Note("stolen", why))
    if disturbed := row.tally.disturbed:
        why = (
            "samples left out in which the sender was without its CPU for more than "
            f"{DISTURBED * 100:g} % of the window"
        )
        notes.append(Note("disturbed", why, disturbed))
    if lost_carriers := sorted({s.carrier_lost for s in samples if s.carrier_lost}):
        why = (
            f"{', '.join(lost_carriers)} lost its carrier; frames sent to it before the "
            "bond saw that are lost"
        )
        notes.append(Note("failover", why))
    if moved := row.tally.moved:
        why = "samples in which a thread ended on another CPU than it began on"
        notes.append(Note("moved", why, moved))
    if any(sample.lost for sample in samples):
        why = "frames were completed and then dropped: its pps did not all arrive"
        notes.append(Note("lossy", why))
    if any(sample.foreign for sample in samples):
        why = "others sent by the same device meanwhile, at most 1 % of the frames"
        notes.append(Note("shared", why))
    if row.cell.values.get("protocol") == "all":
        why = (
            "its sockets are opened with ETH_P_ALL: they are handed what others send and what "
            "arrives, on lo their own frames"
        )
        notes.append(Note("receives", why))
    if facts.get("mmap_unlocked"):
        why = "MAP_LOCKED was refused (RLIMIT_MEMLOCK); populated instead"
        notes.append(Note("unlocked", why))
    if facts.get("zero_copy"):
        notes.append(Note("zero-copy", "the driver took the frames from the sender's memory"))
    if why := _other_sndbuf(row):
        notes.append(Note("clamped", why))
    return tuple(notes)


def _other_sndbuf(row: CellResult) -> str:
    """Why a cell had another send buffer than its label says; nothing where it had that."""
    asked = row.cell.values.get("sndbuf")
    had = row.sndbuf_bytes // 2  # the kernel doubles what is asked for, and says so (socket(7))
    wanted = asked.get("bytes") if isinstance(asked, dict) else None
    if not isinstance(asked, dict) or not isinstance(wanted, int) or not had or had == wanted:
        return ""
    if had > wanted:
        limit = "the kernel gives no less"
    elif asked.get("force"):
        limit = "the kernel gives no more"
    else:
        limit = "more than net.core.wmem_max needs force: true"
    return f"its sndbuf was {size_text(had)}, not {size_text(wanted)}: {limit}"


def _is_stolen(share: float | None, samples: Sequence[Sample]) -> bool:
    ticks = sum(sample.steal_ns for sample in samples) // TICK_NS
    return share is not None and share > STOLEN and ticks >= FEW_TICKS
