"""Sizes, rates and durations as people write them: ``64KiB``, ``1gbit``, ``10ms``.

The parsers raise ValueError with a message that names the value and the allowed form.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(frozen=True)
class Quantity:
    """A quantity: its name, its unit in words, and the factor of each written unit."""

    name: str
    counted: str
    units: Mapping[str, int]
    example: str
    plain: bool
    """Whether a whole number without a unit may be written."""
    largest: tuple[str, ...] = ()
    """Units of canonical texts, the largest first."""
    tc: Mapping[str, int] = field(default_factory=dict)
    """The factors of tc(8)'s units, in small letters: its kb is KiB, so they are not taken."""
    usual: tuple[int, int] = (0, 0)
    """The least and the most that is proposed in place of what tc writes."""

    @property
    def pattern(self) -> str:
        # Bounded, so that no text makes a huge integer.
        return rf"([0-9]{{1,18}}(?:\.[0-9]{{1,18}})?) ?({'|'.join(self.units)})"

    def form(self, example: str = "") -> str:
        plain = f"a whole number of {self.counted}, or " if self.plain else ""
        return f'{plain}a number with {", ".join(self.units)} ("{example or self.example}")'

    def parse(self, value: object, example: str = "") -> int:
        """ValueError for anything else, with the form and an example."""
        # A bool is an int to Python, but no number to whoever wrote "true".
        if self.plain and isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        match = re.fullmatch(self.pattern, value) if isinstance(value, str) else None
        if match is None:
            of_tc = "" if example else self._of_tc(value)
            write = f"what tc means by it ({of_tc})" if of_tc else self.form(example)
            raise ValueError(f"{show(value)} is not {self.name}; write {write}")
        amount = Fraction(match[1]) * self.units[match[2]]
        if amount.denominator != 1:
            raise ValueError(
                f"{show(value)} is not a whole number of {self.counted}; write {self.form(example)}"
            )
        return amount.numerator

    def _of_tc(self, value: object) -> str:
        """What tc(8) means by a text, as it is written here; "" if that is none of tc's."""
        match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)([A-Za-z]{1,5})", str(value))
        if match is None or match[2].lower() not in self.tc:
            return ""
        amount = Fraction(match[1]) * self.tc[match[2].lower()]
        least, most = self.usual
        is_usual = amount.denominator == 1 and least <= amount <= most
        return self.exact(amount.numerator) if is_usual else ""

    def exact(self, amount: object) -> str:
        """In the largest unit that holds it exactly, else in the base unit without a name."""
        for unit in self.largest:
            factor = self.units[unit]
            if isinstance(amount, int) and amount >= factor and amount % factor == 0:
                return f"{amount // factor}{unit}"
        return str(amount)


SIZE = Quantity(
    name="a size",
    counted="bytes",
    units={
        "B": 1,
        "kB": 1000,
        "KiB": 1 << 10,
        "MB": 1000**2,
        "MiB": 1 << 20,
        "GB": 1000**3,
        "GiB": 1 << 30,
    },
    example="64KiB",
    plain=True,
    largest=("GiB", "MiB", "KiB"),
    tc={
        "b": 1,
        **dict.fromkeys(("k", "kb"), 1 << 10),
        **dict.fromkeys(("m", "mb"), 1 << 20),
        **dict.fromkeys(("g", "gb"), 1 << 30),
    },
    usual=(1, 2**32 - 1),
)


RATE = Quantity(
    name="a rate",
    counted="bits per second",
    units={"bit": 1, "kbit": 1000, "mbit": 1000**2, "gbit": 1000**3, "tbit": 1000**4},
    example="1gbit",
    plain=True,
    largest=("gbit", "mbit", "kbit"),
    tc={  # its bps are bytes, and not to others: nothing is proposed for them
        f"{prefix}bit": factor
        for number, letter in enumerate(("", "k", "m", "g", "t"))
        for prefix, factor in ((letter, 1000**number), (letter and f"{letter}i", 1024**number))
    },
    usual=(1000, 10**15),
)


DURATION = Quantity(
    name="a duration",
    counted="nanoseconds",
    units={"ns": 1, "us": 1000, "ms": 1000**2, "s": 1000**3},
    example="10ms",
    plain=False,
    largest=("s", "ms", "us", "ns"),
    tc={
        f"{letter}{unit}": factor
        for letter, factor in (("n", 1), ("u", 1000), ("m", 1000**2), ("", 1000**3))
        for unit in ("s", "sec", "secs")
    },
    usual=(1000, 500_000_000),
)


TIME = Quantity(
    name="a time",
    counted="seconds",
    units={"s": 1, "min": 60, "h": 3600},
    example="20min",
    plain=False,
)


def parse_bytes(value: object, example: str = "") -> int:
    """Bytes of ``9000``, ``"9000B"`` or ``"64KiB"``; ValueError for anything else."""
    return SIZE.parse(value, example)


def parse_rate(value: object) -> int:
    """Bits per second of ``1000000`` or ``"1gbit"``; ValueError for anything else."""
    return RATE.parse(value)


def parse_duration(value: object) -> int:
    """Nanoseconds of ``"10ms"``; ValueError for anything else, a number without unit too."""
    return DURATION.parse(value)


def parse_time(value: object) -> int:
    """Seconds of ``"20min"``; ValueError for anything else, a number without unit too."""
    return TIME.parse(value)


def size_text(size: object) -> str:
    """Bytes as a matrix would write them, exactly: ``64KiB``, ``8MiB``, ``1514``."""
    return SIZE.exact(size)


def rate_text(rate: object) -> str:
    """Bits per second as a matrix would write them, exactly: ``10mbit``, ``1gbit``, ``1500``."""
    return RATE.exact(rate)


def duration_text(duration_ns: int) -> str:
    """Nanoseconds as a matrix would write them, exactly: ``10ms``, ``1500us``."""
    return DURATION.exact(duration_ns) if duration_ns else "0ns"


def length_text(ns: int) -> str:
    """How long something takes, for a message: ``45 s``, ``12 min``, ``3 h 05 min``."""
    seconds = max(1, round(ns / 1e9))
    if seconds < 120:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def rounded_size(size: int) -> str:
    """Bytes to four digits, for a message: ``5.364 GiB``, ``1.479 KiB``, ``512 B``."""
    for unit in ("GiB", "MiB", "KiB"):
        if size >= SIZE.units[unit]:
            return f"{size / SIZE.units[unit]:.4g} {unit}"
    return f"{size} B"


SHARE = r"(?:([0-9]{1,2}(?:\.[0-9]{1,9})?) ?%|0?\.[0-9]{1,9})"
"""The texts that parse_share takes."""


def parse_share(value: object) -> float:
    """The fraction that ``"3%"``, ``0.03`` or ``"0.03"`` is, between 0 and 1; ValueError else."""
    fraction = value
    if isinstance(value, str) and (text := re.fullmatch(SHARE, value)):
        fraction = float(text[1]) / 100 if text[1] else float(value)
    if isinstance(fraction, float) and 0 < fraction < 1:
        return fraction
    raise ValueError(
        f"{show(value)} is not allowed; write a fraction above 0% and below 100% (1% or 0.01)"
    )


PART_SHARE = r"0 ?%|" + SHARE
"""The texts that parse_part takes."""


def parse_part(value: object) -> int:
    """Parts per million of ``0``, ``"3%"`` or ``0.03``, below 1; ValueError else."""
    if value in (0, "0%", "0 %") and not isinstance(value, bool):
        return 0
    parts = round(parse_share(value) * 1_000_000)
    if 0 < parts < 1_000_000:
        return parts
    raise ValueError(f"{show(value)} is too fine; write 0.0001% to 99.9999%, or 0%")


def part_text(parts: int) -> str:
    """Parts per million as a matrix would write them: ``1%``."""
    return f"{parts / 10_000:g}%"


MOST_CPUS = 8192  # the most that CONFIG_NR_CPUS allows


def share_text(share: float) -> str:
    """A fraction as a matrix would write it: ``1%``."""
    return f"{share * 100:g}%"


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """CPUs of ``"0,2-3"``, in their order; ValueError for anything else."""
    if re.fullmatch(r"\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*", text):
        spans = [[int(end) for end in span.split("-")] for span in text.split(",")]
        cpus = {cpu for span in spans for cpu in range(span[0], span[-1] + 1)}
        if all(span[0] <= span[-1] for span in spans) and max(cpus) < MOST_CPUS:
            return tuple(sorted(cpus))
    raise ValueError(f"{show(text)} is not allowed; write none, all or a list of CPUs (0,2-3)")


def show(value: object) -> str:
    """A value as a message shows it: much as YAML writes it, on one line of 60 characters."""
    text = whole(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def whole(value: object) -> str:
    """The same uncut: what is to be written."""
    return _flow(value)


def _flow(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return repr(value)
        case list():
            return f"[{', '.join(map(_flow, value))}]"
        case dict():
            return (
                f"{{{', '.join(f'{_key(key)}: {_flow(entry)}' for key, entry in value.items())}}}"
            )
        case _:
            return str(value)


def _key(key: object) -> str:
    return str(key) if str(key).isidentifier() else repr(key)
