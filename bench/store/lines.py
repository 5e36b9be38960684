"""The lines of a run file: what each type must have."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from bench.base.errors import UsageError
from bench.model.header import RunHeader
from bench.model.problems import Code
from bench.model.results import LARGEST_INTEGER
from bench.model.samples import Sample
from bench.store import coding
from bench.store.content import merge_mark
from bench.store.misfits import misfit

PLAIN, FORMAT = 1, 2
"""The versions of the format: of a line per sample, and of packed samples or of two sides, which
older readers would take for something else. A reader refuses a newer one."""


T = TypeVar("T")


Int = Annotated[int, msgspec.Meta(ge=-LARGEST_INTEGER, le=LARGEST_INTEGER)]


# Lines


class _Options(msgspec.Struct):
    """Of an axis value; the others are only shown."""

    kind: str = ""


class _Program(msgspec.Struct):
    """A method that is a program of the user's."""

    name: str
    command: list[str]


class _Required(msgspec.Struct):
    method: str | _Program
    frame_size: int
    threads: int


class CellRow(msgspec.Struct):
    """What readers need of a cell."""

    id: str
    values: _Required


class CellValues(msgspec.Struct):
    """The same of all its values: one of no axis of bench is of an engine's option."""

    values: dict[str, str | int | bool | _Options | None]


class _RunLine(msgspec.Struct):
    """The cells of a run; the rest of its first line is a RunHeader."""

    cells: list[CellRow]
    calibration: list[CellRow] = []


class RunValues(msgspec.Struct):
    """The same of the values of all of them."""

    cells: list[CellValues]
    calibration: list[CellValues] = []


class _Facts(msgspec.Struct):
    sndbuf: int = 0


class _CellLine(msgspec.Struct):
    cell: str
    facts: _Facts


class _FailureLine(msgspec.Struct):
    cell: str
    reason: str


class _SamplesLine(msgspec.Struct):
    count: int
    data: str


class _EndLine(msgspec.Struct):
    reason: str


_LINES: Mapping[str, type[msgspec.Struct]] = {
    "cell": _CellLine,
    "failure": _FailureLine,
    "end": _EndLine,
}
"""What lines must have, by type; headers and samples are converted, unknown types left out."""


def _bounded(digits: str) -> int:
    """An integer that can be computed with; refuses NaN and Infinity, too."""
    number = int(digits)
    if abs(number) > LARGEST_INTEGER:
        raise ValueError
    return number


def finite(digits: str) -> float:
    """A number with a point or an exponent; 1e999 would be infinite."""
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError
    return number


decoded = json.JSONDecoder(parse_int=_bounded, parse_float=finite, parse_constant=_bounded).decode
"""A line's JSON, in which every number can be computed with; ValueError if one cannot."""


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """A line that is an object with a type, and its place for what is wrong with it."""

    path: Path
    number: int
    kind: str
    fields: dict[str, Any]

    @classmethod
    def of(cls, path: Path, number: int, line: str) -> Record:
        try:
            fields = decoded(line)
            if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
                raise ValueError
        except (ValueError, RecursionError):
            merging = merge_mark(line.encode(errors="replace"))
            why = (
                "the mark of a merge; keep one side of it"
                if merging
                else "not a line of a run file"
            )
            raise UsageError(f"{path}:{number}: {why}") from None
        return cls(path, number, fields["type"], fields)

    def check(self) -> None:
        """Raise UsageError where it lacks what a line of its type has."""
        if self.kind in _LINES:
            self._converted(self.fields, _LINES[self.kind])

    def header(self) -> RunHeader:
        """The header; raises UsageError where it lacks something, or its cells do."""
        fields = self.fields
        if isinstance(fields.get("doctor"), list):  # before there was a verdict
            fields = fields | {"doctor": {"findings": fields["doctor"]}}
        header = self._converted(fields, RunHeader)
        self._converted(fields, _RunLine)
        self._converted(fields, RunValues)
        if header.started and not header.started.tzinfo:  # no version of bench wrote it so
            header = dataclasses.replace(header, started=header.started.replace(tzinfo=UTC))
        return header

    def sample(self) -> Sample:
        """Fields that a later version of the format adds are ignored; zeros are not written."""
        threads = self._converted(self.fields.get("threads"), list[dict[str, Any]], "threads")
        whole = [{"cpu": 0, "wall_ns": 0, "cpu_ns": 0} | thread for thread in threads]
        fields = {"slice_completed": 0, "delivered": 0, **self.fields, "threads": whole}
        return self._converted(fields | {"problems": self._problems()}, Sample)

    def samples(self) -> list[Record]:
        """The lines that this one has packed."""
        line = self._converted(self.fields, _SamplesLine)
        try:
            samples = coding.decoded(line.data, line.count)
        except ValueError as error:
            raise self.refusal(error) from None
        return [Record(self.path, self.number, "sample", fields) for fields in samples]

    def _problems(self) -> object:
        """As they are typed, if all codes are known; else the text, which every version writes."""
        text = self._converted(self.fields.get("problem", ""), str, "problem")
        typed = self.fields.get("problems")
        known = isinstance(typed, list) and all(
            isinstance(problem, dict) and problem.get("code") in [*Code] for problem in typed
        )
        if not text:
            return []
        return typed if typed and known else [{"code": Code.OTHER, "told": text}]

    def _converted(self, value: object, to: type[T], name: str = "") -> T:
        try:
            return msgspec.convert(value, to)
        except (msgspec.ValidationError, UnicodeEncodeError):
            raise self.misfit(value, to, name) from None

    def misfit(self, value: object, type_: object, name: str = "") -> UsageError:
        """What to raise where msgspec refuses a value; what fits has a lone surrogate in it."""
        return self.refusal(misfit(value, type_, name) or "it has text that is not Unicode")

    def refusal(self, why: object) -> UsageError:
        return UsageError(f"{self.path}:{self.number}: not a line of type {self.kind}: {why}")
