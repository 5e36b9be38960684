"""From a matrix file to the plan of what is wanted of it, on this machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.engines import config, core, table
from bench.matrix import load
from bench.model.matrix import Matrix
from bench.model.vocabulary import Vocabulary
from bench.plan import plan, selection
from bench.plan.plan import Plan
from bench.plan.settings import with_settings
from bench.plan.shares import in_numbers
from bench.topology.kinds import INTERFACES, QDISC_KINDS, is_shaped, largest_frame, shaper


def vocabulary() -> Vocabulary:
    """What a matrix may name: methods from the core (built if stale), kinds from topology."""
    asking = config.Asking()
    return Vocabulary(
        methods=table.methods(),
        interfaces=INTERFACES,
        qdiscs=QDISC_KINDS,
        limits=core.limits(),
        check=asking.check,
        largest_frame=largest_frame,
        shaper=shaper,
        ring_frames=lambda values: asking.memory(values).ring_frames,
        is_shaped=is_shaped,
        segments=asking.segments,
        headers=asking.headers,
        page_size=os.sysconf("SC_PAGE_SIZE"),
    )


def planned(
    file: Path,
    filters: Sequence[str] = (),
    seed: int | None = None,
    settings: Sequence[str] = (),
) -> tuple[Matrix, Plan]:
    """The matrix, and the plan of the cells that ``filters`` (AXIS=VALUE) keep.

    ``seed`` takes the place of the matrix's own, ``settings`` (AXIS=VALUE,VALUE) that of the values
    of axes. Raises UsageError.
    """
    words = vocabulary()
    wanted = selection.parse_filters(filters, words.axes)
    loaded = with_settings(load.load(file, words), settings, words)
    loaded = in_numbers(loaded, words.limits, plan.HERE)
    if seed is not None:
        loaded = replace(loaded, measure=replace(loaded.measure, seed=seed))
    made = plan.make_plan(loaded, words)
    chosen = selection.select(made, wanted) if wanted else made
    selection.check_devices(chosen, loaded)
    return loaded, chosen
