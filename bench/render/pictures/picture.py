"""What a picture is, what it is made of, and what a kind of picture is."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from bench.base.errors import UsageError
from bench.base.printable import printable
from bench.model.answer import Answer
from bench.model.results import CellResult
from bench.model.run import Run

if TYPE_CHECKING:
    from bench.analysis.verdicts import Comparison
    from bench.campaign.timeline import Timeline

Spec = dict[str, Any]
"""Vega-Lite, or a part of it."""

Row = Mapping[str, Any]
"""A row of a picture's data. Its keys are ours, whatever a run file says."""


class NotDrawn(UsageError):
    """Why there is no picture of a kind: one clause."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What pictures are made of.

    ``rows`` are those to show, in the order of the table. ``timeline`` is the history that the run
    belongs to, ``comparison`` what changed between it and another one, or between its sides;
    ``side`` is the letter of the other one.
    """

    run: Run
    rows: Sequence[CellResult]
    timeline: Timeline | None = None
    comparison: Comparison | None = None
    side: str = "B"
    answer: Answer | None = None

    @property
    def measured(self) -> list[CellResult]:
        """The rows with figures. Raises NotDrawn where there are none."""
        found = [row for row in self.rows if row.is_measured]
        if not found:
            raise NotDrawn("no cell has figures")
        return found


@dataclass(frozen=True, slots=True)
class Choice:
    """Axes and figure that somebody asked for; empty is whatever there is."""

    x: str = ""
    y: str = ""
    figure: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """``variant`` tells it from others of its kind, ``caption`` says how to read it.

    ``draw`` gives the specification for a width in pixels; it names the datasets of ``data``.
    """

    title: str
    variant: str
    caption: str
    data: Mapping[str, Sequence[Row]]
    draw: Callable[[int], Spec]

    def spec(self, width: int) -> Spec:
        """Without data; its texts can be shown."""
        return cast("Spec", shown(self.draw(width)))

    @property
    def datasets(self) -> dict[str, list[Row]]:
        """The data by name; their texts can be shown."""
        return {name: cast("list[Row]", shown([*rows])) for name, rows in self.data.items()}


def shown(value: Any) -> Any:
    """Of a specification or of data: every text, which may be a run file's, as it is to be shown.

    Lines of a tooltip stay lines. No text is without end: who draws it would take long.
    """
    if isinstance(value, str):
        whole = _BEYOND.sub("\ufffd", value)
        return "\n".join(printable(line[:LONGEST]) for line in whole.split("\n"))
    if isinstance(value, dict):
        return {key: shown(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [*map(shown, value)]
    return value


LONGEST = 500
"""Characters of a line."""

_BEYOND = re.compile("[\U00010000-\U0010ffff]")
"""Characters that are two in JavaScript: Vega may cut a label between them, and vl-convert refuses
what is left."""


@dataclass(frozen=True, slots=True)
class Kind:
    """``pictures`` gives one or more variants, the most telling first, or raises NotDrawn.

    ``reads`` names the parts of a Choice that it heeds.
    """

    title: str
    pictures: Callable[[Subject, Choice], list[Picture]]
    reads: tuple[str, ...] = field(default=())
