"""An opening of two sides: each has an opening of its own, with its own worker and namespaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace

from bench.base.errors import BenchError
from bench.measure.local import LocalOpening
from bench.measure.messages import Failure
from bench.measure.opening import Facts, MakeOpening, Opening, Setting, Turn
from bench.model.cells import Cell
from bench.model.header import Side
from bench.model.samples import Sample


@dataclass(frozen=True)
class Sides:
    """The two sides of a run.

    The cells ``of_b`` are B's, all others A's. ``netns`` are the sysctls of B's namespaces.
    ``switch`` is told, before anything is done on a side, whether that is B: the sysctls of the
    whole machine follow.
    """

    described: tuple[Side, Side]
    of_b: frozenset[str]
    netns: Mapping[str, str]
    switch: Callable[[bool], object]

    def setting(self, common: Setting, is_b: bool) -> Setting:
        """What all openings of a side have in common."""
        side = self.described[is_b]
        return replace(
            common,
            core_hash=side.core,
            checkout=side.checkout,
            sysctls=self.netns if is_b else {},
            memory_share=common.memory_share / 2,
        )


class SidesOpening:
    """An Opening of A's cells and of B's. The side of the first cell is set up first."""

    def __init__(
        self,
        sides: Sides,
        setting: Setting,
        cells: Sequence[Cell],
        make: MakeOpening = LocalOpening,
    ) -> None:
        self._sides = sides
        self._resources = ExitStack()
        self._openings: dict[bool, Opening] = {}
        for is_b in dict.fromkeys([*(cell.id in sides.of_b for cell in cells), False, True]):
            own = [cell for cell in cells if (cell.id in sides.of_b) is is_b]
            opening = make(sides.setting(setting, is_b), own)
            self._openings[is_b] = self._resources.enter_context(closing(opening))

    def open(self) -> Mapping[str, BenchError]:
        failures: dict[str, BenchError] = {}
        for is_b, opening in self._openings.items():
            self._sides.switch(is_b)
            failures |= opening.open()
        return failures

    def open_cell(self, cell: str) -> Facts | Failure:
        return self._of(cell).open_cell(cell)

    def run_slice(
        self, cell: str, round_: int, upcoming: Sequence[str], then: Turn | None = None
    ) -> Sample | Failure:
        is_b = {each in self._sides.of_b for each in (cell, *(then or ())[:1])}
        return self._of(cell).run_slice(cell, round_, upcoming, then if len(is_b) == 1 else None)

    def _of(self, cell: str) -> Opening:
        is_b = cell in self._sides.of_b
        self._sides.switch(is_b)
        return self._openings[is_b]

    def close(self) -> None:
        self._sides.switch(False)
        self._resources.close()
