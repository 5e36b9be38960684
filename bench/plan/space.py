"""The combinations of a matrix: expand, exclude, collapse."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import getitem, itemgetter
from typing import TypeVar

from bench.base.errors import UsageError
from bench.base.units import whole
from bench.base.values import Value, covers, key_of, yaml_text
from bench.model.axes import AXES, defaults
from bench.model.cells import Cell, id_of, id_part
from bench.model.matrix import Matrix
from bench.model.programs import engine_of, identity_of, name_of
from bench.model.vocabulary import KindInfo, Vocabulary

MOST_COMBINATIONS = 1_000_000
"""Before excluding and collapsing: a plan of so many takes a quarter of a minute."""

T = TypeVar("T")

Combination = tuple[int, ...]
"""For each axis of the vocabulary the index of its value; -1 where the cell ignores the axis."""


# Expanding


class Space:
    """The values of every axis by index; an axis that the file does not name has its default.

    ``names`` are the axes of the vocabulary, ``position`` has the place of each among them.
    """

    def __init__(self, matrix: Matrix, vocabulary: Vocabulary) -> None:
        self.matrix = matrix
        self.vocabulary = vocabulary
        self.names = tuple(vocabulary.axes)
        self.position = {axis: position for position, axis in enumerate(self.names)}
        self._deciding = tuple(self.position[axis] for axis in ("method", "interface", "qdisc"))
        unnamed = defaults(vocabulary.axes, vocabulary.page_size)
        self.axes = [list(matrix.axes.get(axis, (unnamed[axis],))) for axis in self.names]

    def value(self, combination: Combination, axis: str) -> Value:
        position = self.position[axis]
        return self.axes[position][combination[position]]

    def index(self, axis: str, value: Value) -> int:
        """The index of a value; one that only ``include`` or ``baseline`` names is added."""
        known = self.axes[self.position[axis]]
        if value not in known:
            known.append(value)
        return known.index(value)

    def product(self) -> Iterator[Combination]:
        """Every combination; the axes of a zip group advance together. Raises UsageError.

        So do the axes of one value: they stay.
        """
        alone = tuple(
            a for a, values in zip(self.names, self.axes, strict=True) if len(values) == 1
        )
        groups = {axis: group for group in (alone, *self.matrix.zip) for axis in group}
        dimensions = list(dict.fromkeys(groups.get(axis, (axis,)) for axis in self.names))
        firsts = {axis: _firsts(known) for axis, known in zip(self.names, self.axes, strict=True)}
        steps = [[*zip(*map(firsts.__getitem__, group), strict=True)] for group in dimensions]
        self._refuse_too_many(dict(zip(dimensions, map(len, steps), strict=True)))
        stepping = [axis for group in dimensions for axis in group]
        in_order = itemgetter(*map(stepping.index, self.names))
        for taken in itertools.product(*steps):
            yield in_order([*itertools.chain.from_iterable(taken)])

    def _refuse_too_many(self, lengths: Mapping[tuple[str, ...], int]) -> None:
        number = math.prod(lengths.values())
        if number > MOST_COMBINATIONS:
            largest = sorted(lengths, key=lambda group: -lengths[group])[:2]
            named = ", ".join(f"{' and '.join(group)} ({lengths[group]})" for group in largest)
            raise UsageError(
                f"{self.matrix.where('axes')}: {number:,} combinations; at most "
                f"{MOST_COMBINATIONS:,}: the most values have {named}"
            )

    def included(self) -> list[Combination]:
        return [
            tuple(self.index(axis, row[axis]) if axis in row else 0 for axis in self.names)
            for row in self.matrix.include
        ]

    def exclude_rules(self) -> list[list[tuple[int, frozenset[int]]]]:
        """Each rule as (axis position, indices that match it); a rule applies where all do."""
        return [
            [
                (self.position[axis], self._matching(self.position[axis], allowed))
                for axis, allowed in rule.items()
            ]
            for rule in self.matrix.exclude
        ]

    def _matching(self, position: int, allowed: Sequence[Value]) -> frozenset[int]:
        known = enumerate(self.axes[position])
        return frozenset(i for i, value in known if any(covers(want, value) for want in allowed))

    @functools.cache  # noqa: B019 - lives as long as one plan
    def _ignored(self, method: int, interface: int, qdisc: int) -> frozenset[int]:
        """Positions of the axes that a method does not read, or that its interface has not.

        Where there is no qdisc, none is no axis; any other is kept, as a problem to be told. What
        has one of its own keeps it where the matrix does not name the axis.
        """
        methods, interfaces, qdiscs = (self.axes[position] for position in self._deciding)
        unread = self.vocabulary.unread(engine_of(methods[method]))
        ignored = {self.position[axis] for axis in unread}
        kind = kind_of(interfaces[interface], self.vocabulary)
        if qdiscs[qdisc] == AXES["qdisc"].default and (
            not kind.takes_qdisc or (kind.keeps_qdisc and not self._names("qdisc"))
        ):
            ignored.add(self.position["qdisc"])
        return frozenset(ignored)

    def _names(self, axis: str) -> bool:
        rows = (self.matrix.axes, *self.matrix.include)
        return any(axis in row for row in rows)

    def signature(self, combination: Combination) -> Combination:
        """The combination with -1 for ignored axes: the same for all that are one cell."""
        method, interface, qdisc = self._deciding
        read = list(combination)
        for p in self._ignored(combination[method], combination[interface], combination[qdisc]):
            read[p] = -1
        return tuple(read)

    def cells(self, signatures: Iterable[Combination]) -> dict[Combination, Cell]:
        """The cell of each signature. Those that ignore the same axes, which the deciding ones say,
        differ only in axes of several values."""
        known = [(*values, None) for values in self.axes]  # the last one is that of index -1
        parts = self._id_parts(known)
        several = [(p, axis) for p, axis in enumerate(self.names) if len(self.axes[p]) > 1]
        deciding = itemgetter(*self._deciding)
        alike: dict[Combination, dict[str, Value | None]] = {}
        made = {}
        for signature in signatures:
            kind = deciding(signature)
            if kind not in alike:
                alike[kind] = dict(zip(self.names, map(getitem, known, signature), strict=True))
            values = alike[kind] | {axis: known[p][signature[p]] for p, axis in several}
            made[signature] = Cell(id_of([part[signature[p]] for p, part in parts]), values)
        return made

    def _id_parts(self, known: Sequence[Sequence[Value | None]]) -> list[tuple[int, list[str]]]:
        """Of each axis that takes part in some id its position, and what its values add."""
        axes = self.vocabulary.axes
        return [
            (self.position[axis], parts)
            for axis, values in sorted(zip(self.names, known, strict=True), key=itemgetter(0))
            if any(parts := [id_part(axis, self._identity(axis, v), axes) for v in values])
        ]

    def _identity(self, axis: str, value: Value | None) -> Value | None:
        """What an id is made of: options of a kind that are at their default are left out of it."""
        tables = {"interface": self.vocabulary.interfaces, "qdisc": self.vocabulary.qdiscs}
        if axis == "method":
            return identity_of(value)
        if axis not in tables or not isinstance(value, dict):
            return value
        fields = tables[axis][value["kind"]].options.model_fields
        return {
            key: option
            for key, option in value.items()
            if key not in fields or option != fields[key].default
        }

    def written(self, axis: str, value: Value) -> str:
        """A value as a matrix may have it."""
        if axis == "method":
            return name_of(value)
        own = self._identity(axis, value)
        return whole(own) if isinstance(own, dict) else yaml_text(value)

    def once(
        self, axes: Sequence[str], said: Callable[[Mapping[str, Value | None]], T]
    ) -> Callable[[Combination], T]:
        """What is ``said`` of a signature's values of some axes, which has no others to look at.

        It is asked once of all signatures that have the same values of these axes.
        """
        positions = [self.position[axis] for axis in axes]
        of_axes = itemgetter(*positions)

        @functools.cache
        def of_values(indices: Combination) -> T:
            known = zip(axes, positions, indices, strict=True)
            return said({a: self.axes[p][i] if i >= 0 else None for a, p, i in known})

        return lambda signature: of_values(of_axes(signature))


def _firsts(values: Sequence[Value]) -> list[int]:
    """For each value the index of the first that is equal: two shares may be as many threads."""
    seen: dict[str, int] = {}
    return [seen.setdefault(key_of(value), index) for index, value in enumerate(values)]


def kind_of(interface: Value | None, vocabulary: Vocabulary) -> KindInfo:
    assert isinstance(interface, dict)
    return vocabulary.interfaces[interface["kind"]]


def unread_axes(space: Space, methods: Iterable[str]) -> list[str]:
    """One line for each axis with several values that no method reads: they are all one cell.

    (One that some methods read collapses for the others, which is what a product is for.)
    """
    words, names = space.vocabulary, sorted(set(methods))
    unread = frozenset.intersection(*map(words.unread, names)) if names else frozenset()
    lost = {axis: len(v) for axis, v in space.matrix.axes.items() if axis in unread and len(v) > 1}
    return [
        f"{space.matrix.where('axes', axis)}: {number} values of {axis}, which no method of the "
        f"matrix reads ({', '.join(names)}); name one value or none, or add a method that reads "
        f"it: {', '.join(name for name, method in words.methods.items() if axis in method.knobs)}"
        for axis, number in lost.items()
    ]


def bases_of(
    space: Space, alike: Mapping[Combination, Sequence[Combination]]
) -> dict[Combination, tuple[Combination, ...]]:
    """For each cell those that differ in the baseline's axes alone, if the matrix has any.

    There are several where the baseline reads an axis that the cell ignores. A cell and its bases
    are signatures.
    """
    if space.matrix.baseline is None:
        return {}
    wanted = {space.position[a]: space.index(a, v) for a, v in space.matrix.baseline.items()}
    found = {}
    for cell, combinations in alike.items():
        named = (tuple(wanted.get(p, i) for p, i in enumerate(c)) for c in combinations)
        bases = dict.fromkeys(space.signature(base) for base in named)
        if there := tuple(base for base in bases if base in alike):
            found[cell] = there
    return found


def ambiguous_baselines(
    space: Space, bases: Mapping[Combination, Sequence[Combination]]
) -> list[str]:
    """One line if cells have several: which one is meant must not hang on the order of a list."""
    methods: dict[str, None] = {}
    choices: dict[str, dict[str, None]] = {}
    for cell, those in bases.items():
        by_axis = zip(*those, strict=True)
        for axis, known, indices in zip(space.names, space.axes, by_axis, strict=True):
            named = dict.fromkeys(
                space.written(axis, known[index]) for index in indices if index >= 0
            )
            if len(named) > 1:
                methods[name_of(space.value(cell, "method"))] = None
                choices.setdefault(axis, {}).update(named)
    if not choices:
        return []
    names = " and ".join(methods)
    additions = " and ".join(
        f"{axis}: one of {', '.join(texts)}" for axis, texts in choices.items()
    )
    return [
        f"{space.matrix.where('baseline')}: baseline: names several cells for {names}, which "
        f"differ in {' and '.join(choices)}; add {additions}, or exclude all but one for {names}"
    ]
