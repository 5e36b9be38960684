"""Other runs that should agree with those of a side: how far runs differ is estimated from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.analysis import environments, figures, verdicts
from bench.analysis.verdicts import RunFigures
from bench.base.errors import UsageError
from bench.campaign.sources import beside
from bench.model.run import Rates
from bench.store.rates import read_rates

MOST_HISTORY = 20
"""Runs of the history that are read, the latest first."""


def history(sides: Sequence[Rates], normalise: bool) -> list[RunFigures]:
    """Other runs in the folder of A's that should agree with A's first, the latest of them."""
    taken = {run.header.identity for run in sides}
    found: list[RunFigures] = []
    for path in beside(Path(sides[0].path)):
        if len(found) == MOST_HISTORY:
            break
        try:
            run = read_rates(path, figures.series)
        except UsageError:
            continue
        if run.header.identity in taken or (normalise and verdicts.uncalibrated([*sides, run])):
            continue
        taken.add(run.header.identity)
        if environments.is_alike(run.header, sides[0].header):
            found.append(verdicts.figures_of(run, normalise))
    return found
