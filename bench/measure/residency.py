"""Which cells are open at the same time, where memory does not hold them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Residency:
    """The open cells within a budget; ``memory`` maps every cell to its bytes."""

    def __init__(self, memory: Mapping[str, int], budget: int) -> None:
        self._memory, self._budget = memory, budget
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
        """Which open cells to close so that another one fits beside the rest.

        The cell whose next slice is farthest away goes first, which closes the fewest (Belady
        1966). ``upcoming`` is the order of the slices to come.
        """
        next_use = {other: position for position, other in reversed(list(enumerate(upcoming)))}
        by_distance = sorted(self._open, key=lambda other: -next_use.get(other, len(upcoming)))
        used, closing = sum(self._memory[other] for other in self._open), []
        for other in by_distance:
            if used + self._memory[cell] <= self._budget:
                break
            closing.append(other)
            used -= self._memory[other]
        return closing
