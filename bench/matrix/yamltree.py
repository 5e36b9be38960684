"""YAML text -> plain data with the place of every value, and the traps of YAML 1.1 as problems.

Works on the parser's events instead of its node tree: only they have anchors and tags, and
reading them takes no deep recursion whatever the file holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

from bench.base.units import show
from bench.model.matrix import Mark

Path = tuple[str | int, ...]
"""The place of a value: keys and indices (from 0) from the top down to it."""


MAX_DEPTH = 20
"""Levels of nesting; far more than any matrix needs, far fewer than Python's recursion takes."""


MAX_VALUES = 20_000
"""Values, mappings and lists included; a matrix with more would run for days."""


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times faster


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """An error at a place, and what is allowed there."""

    mark: Mark
    message: str


@dataclass(slots=True)
class Tree:
    """A document: ``data`` of dict, list, str, int, float, bool and None; None if it is empty.

    ``marks`` has the place of every value, ``keys`` that of every mapping's key, both under the
    path of the value. ``spoiled`` has the paths of the values that have a problem: ``data`` has
    None there.
    """

    data: Any = None
    marks: dict[Path, Mark] = field(default_factory=dict)
    keys: dict[Path, Mark] = field(default_factory=dict)
    spoiled: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def mark(self, path: Path) -> Mark:
        """The place of the innermost known ancestor of a path."""
        ancestors = (path[:end] for end in range(len(path), -1, -1))
        return next((self.marks[p] for p in ancestors if p in self.marks), Mark(1, 1))

    def value(self, path: Path) -> Any:
        """The value of ``data`` at a path; None if there is none."""
        value = self.data
        with suppress(LookupError, TypeError):
            for part in path:
                value = value[part]
            return value
        return None

    def is_spoiled(self, path: Path) -> bool:
        """Whether a problem of the value at a path, or around it, is known already."""
        return any(path[:end] in self.spoiled for end in range(len(path) + 1))


def read(text: str, is_list: Callable[[Path], bool]) -> Tree:
    """The tree of a YAML text. Raises nothing: every error is in its ``problems``.

    At a path for which ``is_list`` is true, a bare value is read as a list of one, so that both
    spellings have the same paths.
    """
    reader = _Reader(text, is_list)
    try:
        try:
            reader.document(_Loader)
        except yaml.MarkedYAMLError:
            # libyaml has limits of its own (from 0.2.6 on 1000 levels). It looks ahead and meets
            # them before the events at which ours apply. So PyYAML's own parser judges.
            reader = _Reader(text, is_list)
            reader.document(yaml.SafeLoader)
    except _GiveUpError as reason:
        reader.problem(reason.mark, str(reason))
    except yaml.MarkedYAMLError as error:
        reader.problem(
            _mark(error.problem_mark), f"not YAML ({error.problem}); a matrix file is YAML"
        )
    return reader.tree


class _GiveUpError(Exception):
    """An error after which the rest of the text is unreadable."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark


class _Reader:
    def __init__(self, text: str, is_list: Callable[[Path], bool]) -> None:
        self.tree = Tree()
        self._text = text
        self._is_list = is_list
        self._events: Iterator[Any] = iter(())
        self._count = 0

    def problem(self, mark: Mark, message: str) -> None:
        self.tree.problems.append(Problem(mark, message))

    def document(self, loader: type[Any]) -> None:
        """Read the only document, if there is one, into the tree."""
        self._refuse_unprintable()
        self._events = yaml.parse(self._text, Loader=loader)
        contents = (
            event
            for event in self._events
            if isinstance(event, yaml.DocumentStartEvent | yaml.NodeEvent)
        )
        if next(contents, None) is None:
            return
        self.tree.data = self._value(next(contents), ())
        if second := next(contents, None):
            raise _GiveUpError(
                _mark(second.start_mark), "a second document; a matrix file is a single one"
            )

    def _refuse_unprintable(self) -> None:
        # The parser would refuse them too, but without a line and a column.
        if match := yaml.reader.Reader.NON_PRINTABLE.search(self._text):
            before = self._text[: match.start()]
            mark = Mark(before.count("\n") + 1, match.start() - before.rfind("\n"))
            raise _GiveUpError(mark, f"the character {match[0]!a}; a matrix file is plain text")

    def _value(self, event: Any, path: Path) -> Any:
        mark = _mark(event.start_mark)
        self._count += 1
        if self._count > MAX_VALUES:
            raise _GiveUpError(mark, f"too many values; at most {MAX_VALUES} are allowed")
        if len(path) > MAX_DEPTH:
            raise _GiveUpError(mark, f"nested too deeply; at most {MAX_DEPTH} levels are allowed")
        self.tree.marks.setdefault(path, mark)
        if self._is_list(path) and not isinstance(event, yaml.SequenceStartEvent):
            return [self._value(event, (*path, 0))]
        try:
            _refuse_decoration(event)
        except ValueError as problem:
            self.problem(mark, str(problem))
            self.tree.spoiled.add(path)
        match event:
            case yaml.SequenceStartEvent():
                items = enumerate(self._until(yaml.SequenceEndEvent))
                return [self._value(item, (*path, index)) for index, item in items]
            case yaml.MappingStartEvent():
                return self._mapping(path)
            case yaml.ScalarEvent():
                return self._scalar(event, path)
            case _:
                return None  # an alias, refused above

    def _until(self, end: type[Any]) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _mapping(self, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for event in self._until(yaml.MappingEndEvent):
            mark = _mark(event.start_mark)
            key = self._key(event)
            value = self._value(next(self._events), (*path, key or ""))
            if key in mapping:
                line = self.tree.keys[*path, key].line
                self.problem(
                    mark, f"duplicate key {show(key)}, first on line {line}; write each key once"
                )
            elif key is not None:
                mapping[key] = value
                self.tree.keys[*path, key] = mark
        return mapping

    def _key(self, event: Any) -> str | None:
        """The text of a key; None, after noting the problem, if it is nothing usable."""
        mark = _mark(event.start_mark)
        if isinstance(event, yaml.CollectionStartEvent):
            raise _GiveUpError(mark, "a key that is a list or a mapping; keys are names")
        try:
            _refuse_decoration(event)
            return _key_text(event)
        except ValueError as problem:
            self.problem(mark, str(problem))
            return None

    def _scalar(self, event: Any, path: Path) -> Any:
        if not event.implicit[0]:  # quoted, a block, or tagged
            return event.value
        try:
            return plain_value(event.value)
        except ValueError as trap:
            self.problem(_mark(event.start_mark), str(trap))
            self.tree.spoiled.add(path)
            return None


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _refuse_decoration(event: Any) -> None:
    """Refuse aliases, anchors and tags: a value has to mean what is written in its place."""
    if isinstance(event, yaml.AliasEvent):
        raise ValueError(f"the alias *{event.anchor}; write the value out")
    if event.anchor:
        raise ValueError(f"the anchor &{event.anchor}; write the value out wherever it is needed")
    if event.tag:
        tag = event.tag.replace("tag:yaml.org,2002:", "!!")
        raise ValueError(f"the tag {show(tag)}; write the plain value")


def _key_text(event: Any) -> str:
    if not event.implicit[0] or _BOOLEAN.fullmatch(event.value):
        return str(event.value)
    if event.value == "<<":
        raise ValueError("the merge key <<; write the keys out")
    try:
        is_text = isinstance(plain_value(event.value), str)
    except ValueError:
        is_text = False
    if not is_text:
        raise ValueError(f"the key {event.value or 'null'} is not text; keys are names")
    return str(event.value)


# Plain scalars

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


_BOOLEAN = re.compile(r"on|off|yes|no|y|n", re.IGNORECASE)


_LONGEST_NUMBER = 60
"""Characters; longer text is never a number, so that no file makes a huge one."""


def plain_value(text: str) -> str | int | float | bool | None:
    """The value of an unquoted scalar, the same for YAML 1.1, YAML 1.2 and its writer.

    Raises ValueError where these differ; the message says what to write instead.
    """
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    for pattern, number in _NUMBERS:
        if pattern.fullmatch(text):
            return number(text)
    for pattern, trap in _TRAPS:
        if pattern.fullmatch(text):
            raise ValueError(f"{text} {trap(text)}")
    return text


def text_as_written(text: str) -> str:
    """How YAML writes a text of letters, digits, - and _: in quotes where it would be something
    else."""
    with suppress(ValueError):
        if plain_value(text) == text:
            return text
    return f'"{text}"'


_NUMBERS: tuple[tuple[re.Pattern[str], Callable[[str], int | float]], ...] = (
    (re.compile(r"[-+]?(0|[1-9][0-9]*)"), int),
    (re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?"), float),
    (re.compile(r"[-+]?0x[0-9a-fA-F]+"), lambda text: int(text, 16)),
)


def _leading_zero(text: str) -> str:
    digits = re.sub("[o_]", "", text)
    as_octal = int(digits, 8) if not re.search("[89]", digits) else int(digits)
    otherwise = f", or {as_octal} if octal is meant" if as_octal != int(digits) else ""
    return f"has a leading zero, which may mean octal; write {int(digits)}{otherwise}"


def _exponent(text: str) -> str:
    digits = "it out"
    with suppress(InvalidOperation):  # an exponent that is a huge number itself
        number = Decimal(text)
        digits = f"{number:f}" if abs(number.adjusted()) < 20 else digits
    return f"may be read as text; write {digits}"


_TRAPS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (
        _BOOLEAN,
        lambda _: "may be read as a boolean; write true or false, or quote it for text",
    ),
    (
        re.compile(r"[-+]?0(o_*[0-7][0-7_]*|_*[0-9][0-9_]*)"),
        _leading_zero,
    ),
    (
        re.compile(r"[-+]?([1-9][0-9]*_[0-9_]*|0b_*[01][01_]*|0x_*[0-9a-fA-F][0-9a-fA-F_]*)"),
        lambda text: f"may be read as text; write {int(text.replace('_', ''), 0)}",
    ),
    (
        re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+"),
        _exponent,
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"),
        lambda _: "may be read as a number in base 60; quote it for text",
    ),
    (
        re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?"),
        lambda _: "may be read as a date; quote it for text",
    ),
)
