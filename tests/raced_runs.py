"""Runs whose cells are worth what one says, with noise: what effects are found in."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence

from bench.base.values import Value
from bench.model.cells import Cell
from bench.model.run import Run
from bench.model.samples import Sample
from tests.builders import a_cell, a_run, a_sample

AXES: dict[str, Sequence[Value]] = {
    "method": ["send", "sendmmsg"],
    "frame_size": [64, 1514],
    "fill": ["copy", "prefilled"],
    "burst": [1, 64],
}

Worths = Callable[[Cell], float]


def product(axes: Mapping[str, Sequence[Value]]) -> list[Cell]:
    """A cell of every combination; its id is made of its values."""
    rows: list[dict[str, Value]] = [{}]
    for axis, values in axes.items():
        rows = [{**row, axis: value} for row in rows for value in values]
    return [a_cell("/".join(map(str, row.values())), **{"method": "send", **row}) for row in rows]


def a_race(
    cells: Sequence[Cell],
    worth: Worths = lambda _cell: 1.0,
    rounds: int = 100,
    openings: int = 1,
    seed: int = 1,
    noise: float = 0.02,
    likeness: float = 0.5,
    of_opening: float = 0.0,
    missing: float = 0.0,
) -> Run:
    """Each cell's pps is a million times its worth, with noise.

    Each round has a speed of its own. A cell's noise goes from round to round by ``likeness``, and
    ``of_opening`` is the standard deviation of what an opening makes of a cell. A part ``missing``
    of the samples is not there.
    """
    chance = random.Random(seed)
    last = {cell.id: chance.gauss(0, 1) for cell in cells}
    fate: dict[str, float] = {}
    samples: list[Sample] = []
    for round_ in range(rounds):
        opening = round_ * openings // rounds
        if opening != (round_ - 1) * openings // rounds or not round_:
            fate = {cell.id: chance.gauss(0, of_opening) for cell in cells}
        speed = chance.gauss(0, 0.05)
        for cell in cells:
            fresh = chance.gauss(0, 1)
            last[cell.id] = likeness * last[cell.id] + math.sqrt(1 - likeness**2) * fresh
            if chance.random() >= missing:
                log = speed + noise * last[cell.id] + fate[cell.id]
                pps = 1e6 * worth(cell) * math.exp(log)
                samples.append(a_sample(cell.id, round_, pps, opening=opening))
    return a_run(samples, cells)
