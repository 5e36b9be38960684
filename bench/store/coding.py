"""Samples packed: some 20 bytes each, where a line takes 390 (docs/results.md).

Samples of a cell differ by noise, which does not compress; all else is predicted. The numbers of a
column (columns.py) stand cell by cell, less what other columns and the sample before let expect.
Their bytes lie plane by plane, all lowest ones first: the high ones hardly vary. LZMA without
contexts is then near the entropy of each plane.

The packed data says how each column was predicted, so a reader knows no field, and the predictions
here may change.
"""

from __future__ import annotations

import io
import lzma
import math
import zlib
from base64 import b85decode, b85encode
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, chain, repeat
from typing import IO, Any

import msgspec

from bench.model.results import LARGEST_INTEGER
from bench.store.columns import Rows, Shape, columns_of, rows_of
from bench.store.planes import bits, noisy, numbers_of, planes_of, wrapped

MOST = 2**14
"""Samples of one piece of data."""
MOST_VALUES, MOST_BYTES = 2**11, 2**13
"""Values of one sample, and its bytes before compression, both on average: 64 threads have 1,300
values."""
HEAD_BYTES = 2**22

_LZMA = [{"id": lzma.FILTER_LZMA2, "lc": 0, "lp": 0, "pb": 0, "dict_size": 2**20}]


class Guess(msgspec.Struct, omit_defaults=True, frozen=True):
    """What a column is expected to be; others that it refers to come before it, by number.

    The sum of ``plus`` less that of ``minus``, or of ``scaled`` as much as it was of that one row
    before. With ``is_delta`` what is left is the difference to what was left one row before.
    ``is_in_file``: rows are in the order of the file, not cell by cell.
    """

    plus: tuple[int, ...] = ()
    minus: tuple[int, ...] = ()
    scaled: int = -1
    is_delta: bool = False
    is_in_file: bool = False


class _Column(Shape, omit_defaults=True):
    """All numbers are divided by ``unit``; what the guess leaves takes ``width`` bytes per row, the
    lowest bit being its sign if it ``is_signed``; the ``noise`` lowest of these are not compressed.
    """

    width: int = 0
    noise: int = 0
    is_signed: bool = False
    unit: int = 1
    guess: Guess = Guess()


class _Head(msgspec.Struct):
    columns: list[_Column]
    noise_crc32: int
    """Of what is not compressed; the container of what is has a checksum of its own."""


_GUESSES: Mapping[str, Sequence[tuple[str, ...]]] = {
    "cpus_ns": [("+wall_ns",)],
    "delivered": [("+slice_completed",)],
    "softirq_rx": [("*slice_completed",)],
    "softirq_tx": [("*slice_completed",)],
    "threads.wall_ns": [("+wall_ns",)],
    "threads.cpu_ns": [
        ("+threads.wall_ns", "-threads.run_delay_ns"),
        ("+threads.wall_ns", "-threads.run_delay_ns", "-threads.blocked_ns"),
    ],
    "threads.system_ns": [("+threads.cpu_ns", "-threads.user_ns")],
    "threads.requested": [("+slice_completed",), ("*slice_completed",)],
    "threads.submitted": [("+threads.requested",)],
    "threads.completed": [("+threads.submitted",)],
    "threads.calls": [("*threads.completed",)],
}
"""Of columns, from which others they might be predicted; the shortest way is taken."""

_FIRST = ("cell", "wall_ns", "slice_completed")
"""The samples of each cell are alike; others refer to the rest."""
_FIRST_OF_ITEMS = (
    *("wall_ns", "run_delay_ns", "blocked_ns", "cpu_ns", "user_ns", "system_ns"),
    *("requested", "submitted", "completed", "calls"),
)


def encoded(samples: Rows) -> str:
    """At most MOST samples, each as its line has it but for the type; ``decoded`` has them back."""
    tables = _Tables(len(samples))
    made: list[_Column] = []
    packed: list[bytes] = []
    noise: list[bytes] = []
    for shape, numbers in columns_of(samples, _FIRST, _FIRST_OF_ITEMS):
        column, planes = tables.encoded(shape, numbers)
        column.noise = noisy(planes)
        made.append(column)
        noise += planes[: column.noise]
        packed += planes[column.noise :]
    rest = b"".join(noise)
    head = msgspec.json.encode(_Head(made, zlib.crc32(rest)))
    plain = b"\n".join((head, b"".join(packed)))
    data = lzma.compress(plain, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=_LZMA) + rest
    return b85encode(data).decode()


def decoded(data: str, count: int) -> list[dict[str, Any]]:
    """The samples, ``count`` of them. Raises ValueError for what ``encoded`` did not make."""
    if not 0 <= count <= MOST:
        raise ValueError(f"`count` is {count}; it must be from 0 to {MOST}")
    plain, rest = _plain(data, HEAD_BYTES + MOST_BYTES * count)
    text, _, planes = plain.partition(b"\n")
    try:
        head = msgspec.json.decode(text, type=_Head)
        if zlib.crc32(rest) != head.noise_crc32:
            raise ValueError("`data` is damaged")
        tables, packed, noise = _Tables(count), io.BytesIO(planes), io.BytesIO(rest)
        made = [(column, tables.decoded(column, packed, noise)) for column in head.columns]
        if packed.read(1) or noise.read(1):
            raise ValueError("more bytes than columns")
        return rows_of(count, made)
    except (ValueError, LookupError, ArithmeticError, RecursionError):
        raise ValueError("`data` is damaged: its columns do not fit together") from None


def _plain(data: str, limit: int) -> tuple[bytes, bytes]:
    """What was compressed, and what is behind it as it is."""
    try:
        packed = b85decode(data)
    except ValueError:
        raise ValueError("`data` is not base85") from None
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2**25)
    try:
        plain = decompressor.decompress(packed, limit)
    except lzma.LZMAError:
        raise ValueError("`data` is damaged") from None
    if len(plain) == limit:
        raise ValueError("`data` is more than `count` samples can be")
    if not decompressor.eof:
        raise ValueError("`data` is cut off")
    return plain, decompressor.unused_data


class _Rows:
    """The rows of a table: to which sample each belongs, and their order cell by cell, in which the
    first items of all lists come before the second ones."""

    def __init__(self, cells: Sequence[int], lengths: Sequence[int]) -> None:
        self.count = sum(lengths)
        self.samples = [*chain.from_iterable(map(repeat, range(len(lengths)), lengths))]
        items = [*chain.from_iterable(map(range, lengths))]
        by_cell = [*zip(map(cells.__getitem__, self.samples), items, strict=True)]
        self.by_cell = sorted(range(self.count), key=by_cell.__getitem__)

    def order(self, guess: Guess) -> Sequence[int]:
        return range(self.count) if guess.is_in_file else self.by_cell


class _Tables:
    """The columns so far: numbers, rows of samples (-1) and of their lists."""

    def __init__(self, count: int) -> None:
        self._count, self._left = count, MOST_VALUES * count
        self._names: dict[str, int] = {}
        self._shapes: list[Shape] = []
        self._numbers: list[list[int]] = []
        self._rows: dict[int, _Rows] = {}
        self._cells = [0] * count
        self._rows[-1] = _Rows(self._cells, [1] * count)

    def encoded(self, shape: Shape, numbers: list[int]) -> tuple[_Column, list[bytes]]:
        """How a column is written, and its planes."""
        column = msgspec.convert(msgspec.structs.asdict(shape), _Column)
        if shape.values is not None:
            self._add(column, [])
            return column, []
        column.unit = math.gcd(*numbers) or 1
        ways = ((guess, self._remainder(column, guess, numbers)) for guess in self._guesses(column))
        column.guess, left = min(ways, key=lambda way: bits(planes_of(way[1])))
        column.is_signed = min(left, default=0) < 0
        planes = planes_of(left)
        column.width = len(planes)
        self._add(column, numbers)
        return column, planes

    def decoded(self, column: _Column, packed: IO[bytes], noise: IO[bytes]) -> list[int]:
        """The numbers of a column, of which its planes are next in both."""
        numbers: list[int] = []
        if column.values is None:
            rows = self._rows[column.of]
            self._left -= rows.count
            if self._left < 0 or not 0 <= column.noise <= column.width <= 8:
                raise ValueError("more values than there can be")
            planes = [noise.read(rows.count) for _ in range(column.noise)]
            planes += [packed.read(rows.count) for _ in range(column.width - column.noise)]
            left = numbers_of(planes, rows.count, column.is_signed)
            numbers = [0] * rows.count
            order = rows.order(column.guess)
            for row, number in zip(order, self._restored(column, left, order), strict=True):
                numbers[row] = number * column.unit
            if any(abs(number) > LARGEST_INTEGER for number in numbers):
                raise ValueError("a number that is too large")
        self._add(column, numbers)
        return numbers

    def _add(self, column: _Column, numbers: list[int]) -> None:
        if numbers and not self._numbers:  # the first column
            self._cells = numbers
            self._rows[-1] = _Rows(self._cells, [1] * self._count)
        if column.items:
            if min(numbers, default=0) < 0 or sum(numbers) > self._left:
                raise ValueError("lists of lengths that cannot be")
            self._rows[len(self._numbers)] = _Rows(self._cells, numbers)
        self._names[self._name(column)] = len(self._numbers)
        self._shapes.append(column)
        self._numbers.append(numbers)

    def _name(self, shape: Shape) -> str:
        return shape.name if shape.of < 0 else f"{self._shapes[shape.of].name}.{shape.name}"

    def _guesses(self, column: _Column) -> Iterator[Guess]:
        if not self._numbers:  # the order by cells is not known yet
            yield Guess(is_in_file=True)
            return
        yield Guess()
        yield Guess(is_delta=True)
        if column.of < 0:
            yield Guess(is_delta=True, is_in_file=True)
        for others in _GUESSES.get(self._name(column), ()):
            if not {other[1:] for other in others} <= self._names.keys():
                continue
            signs: dict[str, list[int]] = {"+": [], "-": [], "*": [-1]}
            for other in others:
                signs[other[0]].append(self._names[other[1:]])
            guess = Guess((*signs["+"],), (*signs["-"],), signs["*"][-1])
            yield guess
            if guess.scaled < 0:
                yield msgspec.structs.replace(guess, is_delta=True)

    def _remainder(self, column: _Column, guess: Guess, numbers: Sequence[int]) -> list[int]:
        """What a guess leaves of the numbers, in the order of their rows."""
        order = self._rows[column.of].order(guess)
        own = [numbers[row] // column.unit for row in order]
        if guess.scaled >= 0:
            of = self._aligned(guess.scaled, column.of, order)
            before = zip([0, *own], [0, *of], own, of, strict=False)
            return [wrapped(now - _scaled(last, of_last, at)) for last, of_last, now, at in before]
        expected = self._expected(column, guess, order)
        left = [number - guessed for number, guessed in zip(own, expected, strict=True)]
        if guess.is_delta:
            left = [now - last for last, now in zip([0, *left], left, strict=False)]
        return [*map(wrapped, left)]

    def _restored(
        self, column: _Column, left: Sequence[int], order: Sequence[int]
    ) -> Iterator[int]:
        """The numbers in the order of their rows, divided by the unit."""
        guess = column.guess
        if guess.scaled >= 0:
            last = of_last = 0
            for number, at in zip(left, self._aligned(guess.scaled, column.of, order), strict=True):
                last, of_last = wrapped(number + _scaled(last, of_last, at)), at
                yield last
            return
        sums = accumulate(left) if guess.is_delta else left
        for number, guessed in zip(sums, self._expected(column, guess, order), strict=True):
            yield wrapped(number + guessed)

    def _expected(self, column: _Column, guess: Guess, order: Sequence[int]) -> Sequence[int]:
        plus = [self._aligned(number, column.of, order) for number in guess.plus]
        minus = [self._aligned(number, column.of, order) for number in guess.minus]
        if not (plus or minus):
            return [0] * len(order)
        ups = map(sum, zip(*plus, strict=True)) if plus else repeat(0)
        downs = map(sum, zip(*minus, strict=True)) if minus else repeat(0)
        return [(up - down) // column.unit for up, down in zip(ups, downs, strict=False)]

    def _aligned(self, number: int, of: int, order: Sequence[int]) -> list[int]:
        """The numbers of a column in the rows of a table: of the same row, or of its sample."""
        known, table = self._numbers[number], self._shapes[number].of
        if self._shapes[number].values is not None or table not in (of, -1) or number < 0:
            raise LookupError(number)
        if table == of:
            return [known[row] for row in order]
        samples = self._rows[of].samples
        return [known[samples[row]] for row in order]


def _scaled(last: int, of_last: int, now: int) -> int:
    return now * last // of_last if of_last else 0
