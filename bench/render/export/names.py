"""The names by which other tools know cells from run to run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from bench.base.ids import shown
from bench.base.values import Value
from bench.model.axes import AXES
from bench.model.cells import Cell
from bench.render.axes import remarkable_text

LONGEST_NAME = 1000
"""Characters: Bencher takes 1024."""

ALWAYS = ("interface", "method", "frame_size")
"""Axes that a name has at their defaults, too."""

_UNFIT = re.compile(r"[\s/]+")
_LIKE_CPUS = re.compile(r"-(\d+)$")


def names_of(
    matrix: str, cells: Sequence[Cell], sides: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The name of each cell: ``MATRIX/interface=lo/method=tx_ring/frame_size=64/...``; ``sides``
    maps cells to their side.

    Other tools know a cell by its name from run to run. So it is made as a cell's id is: of what is
    not at its default. An axis with a second value in the matrix renames no cell. Names have no
    space, and a slash only between their parts. Where cells would have one name, or it is too
    long, it ends with the cell's id.
    """
    names = {
        cell.id: "/".join(map(_fit, _parts(matrix, cell, (sides or {}).get(cell.id, ""))))
        for cell in cells
    }
    counts = Counter(names.values())
    return {
        cell: name if counts[name] == 1 and len(name) <= LONGEST_NAME else _with_id(name, cell)
        for cell, name in names.items()
    }


def _parts(matrix: str, cell: Cell, side: str) -> Iterator[str]:
    yield matrix or "bench"
    if side:
        yield f"side={side}"
    for axis, value in cell.values.items():
        if value is not None and (axis in ALWAYS or not _is_usual(axis, value)):
            yield f"{axis}={remarkable_text(value)}"


def _is_usual(axis: str, value: Value) -> bool:
    """Of an engine's option the default is not known here; a flag that is off needs no word."""
    return value == AXES[axis].default if axis in AXES else value is False


def _fit(part: str) -> str:
    """A part of a name; Go's tools take a number after a hyphen at the end for a count of CPUs."""
    text = "".join(c if c.isprintable() else "_" for c in _UNFIT.sub("_", part))
    return _LIKE_CPUS.sub(r"_\1", text)


def _with_id(name: str, cell: str) -> str:
    end = f"/cell={_fit(shown(cell))}"
    return name[: max(0, LONGEST_NAME - len(end))] + end
