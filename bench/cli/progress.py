"""How far a run is, on stderr: a bar on a terminal, elsewhere a line every now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from bench.base.printable import printable
from bench.base.stderr import say

if TYPE_CHECKING:
    from bench.measure.session import Progress
    from bench.model.cells import Cell
    from bench.model.matrix import Rounds
    from bench.model.samples import Sample

EVERY_S = 30.0
"""Between two lines."""


class _Silent:
    def stage(self, text: str) -> None:
        pass

    def rounds(self, slices: int, number: int, of: Rounds) -> None:
        pass

    def slice(self, cell: Cell, sample: Sample | None) -> None:
        pass


class Lines:
    """``round 40 of 100, 3 min left``, for the log of a job; not before 30 s are over.

    ``clock`` tells seconds.
    """

    def __init__(
        self, write: Callable[[str], object] = say, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write, self._clock = write, clock
        self._told, self._began = clock(), 0.0
        self._stage, self._round = "", ""
        self._done = self._to_come = 0

    def stage(self, text: str) -> None:
        self._stage, self._round = text, ""
        self._tell()

    def rounds(self, slices: int, number: int, of: Rounds) -> None:
        if not self._done:
            self._began = self._clock()
        self._to_come = slices
        many = str(of.min) if of.min == of.max else f"{of.min} to {of.max}"
        self._round = f"round {number} of {many}"
        self._tell()

    def slice(self, cell: Cell, sample: Sample | None) -> None:
        self._done += 1
        self._to_come -= 1
        self._tell()

    def _tell(self) -> None:
        now = self._clock()
        if now < self._told + EVERY_S:
            return
        self._told = now
        left = ""
        if self._round and self._done:
            seconds = (now - self._began) / self._done * max(self._to_come, 0)
            left = f", {_duration(seconds)} left"
        self._write(printable(f"{self._round or self._stage}{left}"))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


class Leaders:
    """Which cell is the fastest so far, of those that the present one competes with."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, _Mean]] = {}
        self._contests: dict[str, str] = {}

    def leader(self, cell: Cell, rate: float | None) -> str:
        """Told with a sample's pps; "" where nothing competes yet."""
        from bench.analysis.contests import SENDS_NOTHING, contest_of

        if cell.method == SENDS_NOTHING:
            return ""
        contest = self._contests.setdefault(cell.id, contest_of(cell))
        known = self._of.setdefault(contest, {})
        if rate is not None:
            known.setdefault(cell.id, _Mean(cell.method)).add(rate)
        if len(known) < 2:
            return ""
        best = max(known.values(), key=lambda mean: mean.value)
        return f"{best.method} leads"


class _Mean:
    def __init__(self, method: str) -> None:
        self.method, self._sum, self._count = method, 0.0, 0

    def add(self, value: float) -> None:
        self._sum, self._count = self._sum + value, self._count + 1

    @property
    def value(self) -> float:
        return self._sum / self._count


class _Bar:
    """Slices done of those to come, ETA, the present cell and its rate, and who leads."""

    def __init__(self, bar: Any) -> None:
        self._bar, self._leaders = bar, Leaders()

    def stage(self, text: str) -> None:
        self._bar.set_description_str(printable(text))

    def rounds(self, slices: int, number: int, of: Rounds) -> None:
        self._bar.total = self._bar.n + slices

    def slice(self, cell: Cell, sample: Sample | None) -> None:
        from bench.analysis.figures import is_usable, pps
        from bench.render.scale import si_text

        rate = pps(sample) if sample and is_usable(sample) else None
        told = "no figure" if rate is None else si_text(rate, "pps")
        leader = self._leaders.leader(cell, rate)
        interface = cell.values["interface"]
        where = f" on {interface['kind']}" if isinstance(interface, dict) else ""
        parts = (f"{cell.method}{where}: {told}", leader)
        self._bar.set_postfix_str(printable("; ".join(filter(None, parts))), refresh=False)
        self._bar.update()


@contextmanager
def shown(stream: TextIO, is_quiet: bool = False) -> Iterator[Progress]:
    """A bar on a terminal, which is wiped off at the end, and lines elsewhere; nothing if quiet."""
    if is_quiet:
        yield _Silent()
        return
    if not stream.isatty():
        yield Lines()
        return
    from tqdm import tqdm

    form = "{desc}: {percentage:3.0f}% |{bar}| {n}/{total} ETA {remaining}{postfix}"
    with tqdm(
        total=1, file=stream, leave=False, dynamic_ncols=True, bar_format=form, mininterval=0.2
    ) as bar:
        yield _Bar(bar)
