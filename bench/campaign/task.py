"""What a night is to measure, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.campaign.budget import Budget
from bench.measure import runner
from bench.measure.local import LocalOpening
from bench.measure.measuring import Seen
from bench.measure.opening import MakeOpening
from bench.measure.session import Progress
from bench.model.matrix import Matrix
from bench.model.run import Run
from bench.plan.plan import Plan
from bench.topology.link import Allowed

Diagnose = Callable[[Plan], Mapping[str, Any]]


@dataclass(frozen=True)
class Task:
    """A matrix, its plan, the folder of its nights, and the user's word for the machine, if any."""

    matrix: Matrix
    plan: Plan
    folder: Path
    machine: str = ""


@dataclass(frozen=True)
class Means:
    """What a night measures with; ``at_once`` asks for the second session in the same night."""

    seen: Seen[Any]
    diagnose: Diagnose
    progress: Progress
    budget: Budget
    allowed: Allowed = Allowed()  # noqa: RUF009 - frozen
    at_once: bool = False
    make_opening: MakeOpening = LocalOpening
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


def measured(plan: Plan, matrix: Matrix, target: runner.Target, means: Means) -> Run:
    """A run of the night, before which the doctor is asked. Raises BenchError, OSError."""
    seen = replace(means.seen, found=means.diagnose(plan))
    return runner.run(matrix, plan, target, means.progress, seen, means.allowed, means.make_opening)
