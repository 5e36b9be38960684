"""The progress bar of a run: on stderr, and only where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from bench.base.printable import printable

if TYPE_CHECKING:
    from bench.measure.session import Progress
    from bench.model.cells import Cell
    from bench.model.samples import Sample


class _Silent:
    """Where stderr is no terminal."""

    def stage(self, text: str) -> None:
        pass

    def rounds(self, slices: int) -> None:
        pass

    def slice(self, cell: Cell, sample: Sample | None) -> None:
        pass


class _Bar:
    """Slices done of those to come, ETA, the present cell and its rate."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def stage(self, text: str) -> None:
        self._bar.set_description_str(printable(text))

    def rounds(self, slices: int) -> None:
        self._bar.total = self._bar.n + slices

    def slice(self, cell: Cell, sample: Sample | None) -> None:
        from bench.analysis.figures import is_usable, pps
        from bench.render.scale import si_text

        rate = si_text(pps(sample), "pps") if sample and is_usable(sample) else "no figure"
        interface = cell.values["interface"]
        where = f" on {interface['kind']}" if isinstance(interface, dict) else ""
        self._bar.set_postfix_str(printable(f"{cell.method}{where}: {rate}"), refresh=False)
        self._bar.update()


@contextmanager
def shown(stream: TextIO) -> Iterator[Progress]:
    """A bar on a terminal, else nothing; it is wiped off at the end."""
    if not stream.isatty():
        yield _Silent()
        return
    from tqdm import tqdm

    form = "{desc}: {percentage:3.0f}% |{bar}| {n}/{total} ETA {remaining}{postfix}"
    with tqdm(
        total=1, file=stream, leave=False, dynamic_ncols=True, bar_format=form, mininterval=0.2
    ) as bar:
        yield _Bar(bar)
