"""Whole numbers <-> planes: all lowest bytes, all second ones, and so on."""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

NOISE_BITS, NOISE_BYTES = 7.9, 256
"""Compression adds to a plane of such entropy per byte; shorter ones do not show it."""


def wrapped(number: int) -> int:
    """As a number of 64 bits with a sign has it."""
    return (number + 2**63) % 2**64 - 2**63


def planes_of(numbers: Sequence[int]) -> list[bytes]:
    """The planes, as many as the largest number needs. Numbers fit in 64 bits with a sign; where
    one is negative, the lowest bit of each is its sign."""
    if min(numbers, default=0) < 0:
        numbers = [n << 1 if n >= 0 else (~n << 1) + 1 for n in numbers]
    width = (max(numbers, default=0).bit_length() + 7) // 8
    whole = _little(array("Q", numbers)).tobytes()
    return [whole[plane::8] for plane in range(width)]


def numbers_of(planes: Sequence[bytes], count: int, is_signed: bool) -> list[int]:
    """``count`` numbers again, of which one was negative if they are signed. Raises ValueError for
    planes of another length."""
    whole = bytearray(8 * count)
    for number, plane in enumerate(planes):
        whole[number::8] = plane
    words = _little(array("Q", bytes(whole)))
    return [(word >> 1) ^ -(word & 1) for word in words] if is_signed else [*words]


def noisy(planes: Sequence[bytes]) -> int:
    """How many of the planes, from the lowest on, are nothing but noise."""
    return next((n for n, plane in enumerate(planes) if not _is_noise(plane)), len(planes))


def _is_noise(plane: bytes) -> bool:
    """Of so few random bytes the entropy is below 8 bits (Miller, 1955)."""
    lacking = 255 / 2 / math.log(2)
    return len(plane) >= NOISE_BYTES and bits([plane]) > len(plane) * NOISE_BITS - lacking


def bits(planes: Iterable[bytes]) -> float:
    """The entropy of planes, each by itself."""
    counts = ((len(plane), Counter(plane).values()) for plane in planes)
    return sum(n * math.log2(size / n) for size, each in counts for n in each)


def _little(words: array[int]) -> array[int]:
    """With the lowest byte first in memory, or as this machine has them again."""
    if sys.byteorder == "big":
        words.byteswap()
    return words
