"""Other runs that should agree with those of a side: how far runs differ is estimated from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.analysis import environments
from bench.analysis.cell_summaries import summary_of
from bench.base.errors import UsageError
from bench.campaign.sources import beside
from bench.model.summaries import RunSummary
from bench.store.run_summaries import read_summary

MOST_HISTORY = 20
"""Runs of the history that are read, the latest first."""


def history(sides: Sequence[RunSummary]) -> list[RunSummary]:
    """Other runs in the folder of A's that should agree with A's first, the latest of them."""
    taken = {run.header.identity for run in sides}
    found: list[RunSummary] = []
    for path in beside(Path(sides[0].path)):
        if len(found) == MOST_HISTORY:
            break
        try:
            run = read_summary(path, summary_of)
        except UsageError:
            continue
        if run.header.identity in taken or run.header.sides:
            continue
        taken.add(run.header.identity)
        if environments.is_alike(run.header, sides[0].header):
            found.append(run)
    return found
