"""In which order cells run, how the rounds are shared among openings, how long a slice takes."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bench.model.matrix import Rounds

WARMUP_NS = 200_000


DRAIN_NS = 2_000_000_000
"""The longest wait for the last frames of a warm-up, and of a window."""


NO_TWINS: Mapping[str, str] = MappingProxyType({})


def round_order(
    cells: Sequence[str], seed: int, round_: int, twins: Mapping[str, str] = NO_TWINS
) -> list[str]:
    """The cells of a round, shuffled anew for each round, the same for the same seed.

    A cell and its twin stand beside each other, one or the other first.
    """
    chance = random.Random(f"{seed}/{round_}")
    together: dict[str, list[str]] = {}
    for cell in cells:
        together.setdefault(twins.get(cell, cell), []).append(cell)
    order = [*together.values()]
    chance.shuffle(order)
    for pair in order:
        if len(pair) > 1:
            chance.shuffle(pair)
    return [cell for pair in order for cell in pair]


def opening_order(cells: Sequence[str], seed: int, opening: int) -> list[str]:
    """The cells of an opening in the order in which they are opened, shuffled anew for each.

    Memory, interfaces and sockets are had in that order. One that were the same in each opening
    could make a cell faster or slower than its like, and no spread between openings would show it.
    """
    order = [*cells]
    random.Random(f"{seed}/opening {opening}").shuffle(order)
    return order


@dataclass(frozen=True, slots=True)
class Share:
    """An opening's share of the rounds, which are numbered over all openings of a run.

    It has at least ``least`` of them, so that each cell is in each opening. Until round ``most``
    (exclusive) it goes on with cells whose figures are not yet precise enough, which is
    ``looseness`` times as wide as they shall be in the end. ``later`` is the sum of ``least`` over
    the openings that follow.
    """

    opening: int
    openings: int
    least: int
    later: int
    most: int

    @property
    def looseness(self) -> float:
        return math.sqrt(self.openings / (self.opening + 1))


def shares(rounds: Rounds, openings: int, done: int = 0, first: int = 0) -> list[Share]:
    """Of the openings to come, where ``done`` of them had the rounds before ``first``.

    There is one at least: a run that goes on after its last opening goes on in a new one.
    """
    left = max(1, openings - done)
    least, most = (
        [first + math.ceil(max(0, count - first) * number / left) for number in range(left + 1)]
        for count in (rounds.min, rounds.max)
    )
    return [
        Share(
            opening=done + number,
            openings=done + left,
            least=least[number + 1] - least[number],
            later=least[left] - least[number + 1],
            most=most[number + 1],
        )
        for number in range(left)
    ]
