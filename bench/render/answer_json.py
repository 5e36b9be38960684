"""The answer for programs: its ids are those of the rows, its effects those of --effects."""

from __future__ import annotations

from collections.abc import Iterable

from bench.base import ids
from bench.model.answer import NEGLIGIBLE, Answer, Contest
from bench.model.results import Estimate
from bench.render import effects
from bench.render.document import Json


def of(answer: Answer, cells: int) -> Json:
    """``cells`` is how many the answer is about."""
    return {
        "cells": cells,
        "contests": [_contest(contest) for contest in answer.contests],
        "effects": [effects.json_of(leaf) for e in answer.effects for leaf in e.leaves()],
        "failures": {reason: _shown(of) for reason, of in answer.failures.items()},
        "marked": {code: _shown(of) for code, of in answer.marked.items()},
        "alone": list(answer.alone),
        "negligible": NEGLIGIBLE,
    }


def _contest(contest: Contest) -> Json:
    return {
        "place": dict(contest.place),
        "workload": dict(contest.workload),
        "leader": ids.shown(contest.leader),
        "is_decided": contest.is_decided,
        "rivals": [
            {"cell": ids.shown(r.cell), "is_beaten": r.is_beaten, "lead": _estimate(r.lead)}
            for r in contest.rivals
        ],
        "lossy": _shown(contest.lossy),
    }


def _shown(cells: Iterable[str]) -> list[str]:
    return [*map(ids.shown, cells)]


def _estimate(estimate: Estimate | None) -> Json:
    if estimate is None:
        return None
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high, "n": estimate.n}
