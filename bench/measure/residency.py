"""Which cells are open at the same time, where not all of them can be."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType


class Residency:
    """The open cells within a budget; ``memory`` maps every cell to its bytes.

    A cell and one of its ``rivals`` are never open both.
    """

    def __init__(
        self,
        memory: Mapping[str, int],
        budget: int,
        rivals: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> None:
        self._memory, self._budget, self._rivals = memory, budget, rivals
        self._open: set[str] = set()

    def __contains__(self, cell: str) -> bool:
        return cell in self._open

    def opened(self, cell: str) -> None:
        self._open.add(cell)

    def closed(self, cell: str) -> None:
        self._open.discard(cell)

    def clear(self) -> None:
        """All are closed: whoever had them is gone."""
        self._open.clear()

    def to_evict(self, cell: str, upcoming: Sequence[str]) -> list[str]:
        """Which open cells to close so that another one fits beside the rest: its rivals first.

        Then the cell whose next slice is farthest away goes first, which closes the fewest (Belady
        1966). ``upcoming`` is the order of the slices to come.
        """
        next_use = {other: position for position, other in reversed(list(enumerate(upcoming)))}
        closing = sorted(self._open & {*self._rivals.get(cell, ())})
        kept = self._open.difference(closing)
        by_distance = sorted(kept, key=lambda other: -next_use.get(other, len(upcoming)))
        used = sum(self._memory[other] for other in kept)
        for other in by_distance:
            if used + self._memory[cell] <= self._budget:
                break
            closing.append(other)
            used -= self._memory[other]
        return closing
