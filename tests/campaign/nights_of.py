"""Nights of a matrix over an opening that measures nothing: each at its time, with its costs."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench.campaign import nightly
from bench.campaign.budget import Budget
from bench.campaign.nightly import Outcome
from bench.campaign.task import Means, Task
from bench.matrix import load
from bench.measure import runner
from bench.measure.messages import Failure
from bench.measure.prepare import vocabulary
from bench.model.cells import Cell
from bench.model.samples import Sample
from bench.plan import plan
from tests.measure.fake_opening import FakeOpening, at_rate
from tests.running import Quiet, seen

FIRST = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
ROUNDS, OPENINGS = 21, 3
METHODS = ["send", "sendto", "sendmmsg"]
MATRIX: dict[str, Any] = {
    "name": "m",
    "axes": {"interface": ["lo", "ifb"], "method": METHODS, "frame_size": [64, 128, 256]},
    "measure": {"window": "1ms", "rounds": ROUNDS, "openings": OPENINGS},
}

Costs = Callable[[Cell], float]
"""What a cell's frame costs, relative to what it cost on the first night."""

words = cache(vocabulary)


def same(_cell: Cell) -> float:
    return 1.0


@dataclass
class Nights:
    """``tonight`` measures a night; each is a day after the one before it.

    Runs, openings and cells stray as on a shared virtual machine that was measured.
    """

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    matrix: Mapping[str, Any] = field(default_factory=lambda: MATRIX)
    date: datetime = FIRST
    generator: random.Random = field(default_factory=lambda: random.Random(1))
    means: dict[str, Any] = field(default_factory=dict)
    kernel: str = "6.1"
    openings: list[FakeOpening] = field(default_factory=list)

    def task(self) -> Task:
        loaded = load.parse(json.dumps(self.matrix), "m.yaml", words())
        return Task(loaded, plan.make_plan(loaded, words()), self.folder)

    def tonight(self, costs: Costs = same, again: Costs | None = None, **means: Any) -> Outcome:
        """``again`` are the costs in confirmations, if not the same; in these senders get
        ``share_again`` of their CPUs."""
        self.date += timedelta(days=1)
        return self.at_once(costs, again, **means)

    def at_once(
        self,
        costs: Costs = same,
        again: Costs | None = None,
        share_again: float = 1.0,
        **means: Any,
    ) -> Outcome:
        self.monkeypatch.setattr(runner, "datetime", _clock(self.date))
        runs = 0

        def opening(setting: Any, cells: Any) -> FakeOpening:
            nonlocal runs, of_run
            if runs % OPENINGS == 0:
                is_night = runs == 0
                of_run = self._straying(
                    costs if is_night or again is None else again,
                    1.0 if is_night else share_again,
                )
            runs += 1
            self.openings.append(FakeOpening(of_run)(setting, cells))
            return self.openings[-1]

        of_run = self._straying(costs)
        fingerprint = replace(seen().fingerprint, kernel=self.kernel)
        chosen: dict[str, Any] = {"budget": Budget.of(None), "make_opening": opening}
        chosen |= self.means | means
        return nightly.night(
            self.task(),
            (),
            Means(
                seen=replace(seen(), fingerprint=fingerprint),
                diagnose=lambda _plan: {},
                progress=Quiet(),
                now=lambda: self.date,
                **chosen,
            ),
        )

    def _straying(
        self, costs: Costs, share: float = 1.0
    ) -> Callable[[Cell, int], Sample | Failure]:
        """A run: all its cells stray together, by openings, and a little each."""
        seed, shift = self.generator.random(), self.generator.gauss(0, 0.006)

        def noise(name: object, sd: float) -> float:
            return random.Random(f"{seed}/{name}").gauss(0, sd)

        def sample(cell: Cell, round_: int) -> Sample:
            opening = round_ // (ROUNDS // OPENINGS)
            stray = shift + noise(opening, 0.006) + noise((cell.id, opening), 0.005)
            cost = costs(cell) * math.exp(stray + noise((cell.id, round_), 0.004))
            made = at_rate(cell, round_, 1e7 / cost)
            threads = [replace(of, cpu_ns=round(of.cpu_ns * share)) for of in made.threads]
            return replace(made, threads=tuple(threads))

        return sample


def _clock(date: datetime) -> type:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return date

    return Clock
