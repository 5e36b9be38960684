"""What must agree between two runs, and in what they differ."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.model.header import DeviceFacts, RunHeader

# The environments

MUST_AGREE = (
    ("host", "cpu"),
    ("host", "arch"),
    ("host", "virtualisation"),
    ("core", "hash"),
    ("core", "compiler"),
    ("measure", "window_ns"),
    ("measure", "warmup_ns"),
    ("measure", "cpus"),
)
"""What makes figures incomparable: another machine, another instrument, another setting of it."""


MAY_DIFFER = (
    *(
        ("host", key)
        for key in (
            "hostname",
            "kernel",
            "kernel_version",
            "cmdline",
            "mitigations",
            "sysctls",
            "cpus_allowed",
            "governor",
            "clocksource",
            "python",
        )
    ),
    ("core", "engines"),
    ("measure", "privileges"),
)
"""What one compares on purpose, or should know of."""


ALIKE = (
    ("host", "kernel"),
    ("host", "kernel_version"),
    ("core", "engines"),
    ("measure", "privileges"),
)
"""What else is the same in runs that should agree."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something about the environments of A and B that is not the same."""

    what: str
    a: str
    b: str
    incomparable: bool


def differences(a: Sequence[RunHeader], b: Sequence[RunHeader]) -> tuple[Difference, ...]:
    """In what the runs of the two sides differ, the incomparable first."""
    found = []
    for section, key in (*MUST_AGREE, *MAY_DIFFER):
        of_a, of_b = (_values(side, section, key) for side in (a, b))
        if of_a != of_b or len(of_a) > 1:
            incomparable = (section, key) in MUST_AGREE
            texts = " or ".join(of_a), " or ".join(of_b)
            found.append(Difference(f"{section} {key}", *texts, incomparable))
    for what, path in _named([*a, *b]):
        of_a, of_b = (_values(side, *path) for side in (a, b))
        if of_a != of_b or len(of_a) > 1:
            texts = " or ".join(of_a), " or ".join(of_b)
            found.append(Difference(what, *texts, incomparable=False))
    return tuple(found)


def _named(runs: Sequence[RunHeader]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What headers have under names of the user's: facts of devices, and programs."""
    facts = sorted(field.name for field in dataclasses.fields(DeviceFacts))
    for device in sorted({device for run in runs for device in run.devices}):
        for fact in facts:
            yield f"device {device} {fact}", ("devices", device, fact)
    for program in sorted({program for run in runs for program in run.programs}):
        yield f"program {program}", ("programs", program)


def _values(runs: Sequence[RunHeader], *path: str) -> list[str]:
    """What the headers of runs have at a path, as texts."""
    return sorted({_text(_value(run, *path)) for run in runs})


def _value(header: RunHeader, *path: str) -> Any:
    if path == ("host", "hostname"):
        return header.machine_name
    value: Any = header
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    return value


def _text(value: object) -> str:
    if value in (None, "", (), {}):
        return "unknown"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def is_alike(header: RunHeader, other: RunHeader) -> bool:
    """Whether two runs should agree: the same matrix, machine, kernel, instrument, privileges."""
    if header.matrix.name != other.matrix.name:
        return False
    return all(_value(header, *path) == _value(other, *path) for path in (*MUST_AGREE, *ALIKE))


def continues(header: RunHeader, other: RunHeader) -> bool:
    """Whether one series of nights can have both runs: alike, but for the kernel."""
    if header.matrix.name != other.matrix.name:
        return False
    if _same_sections(header, other):
        return True
    paths = (*MUST_AGREE, ("measure", "privileges"))
    return all(_value(header, *path) == _value(other, *path) for path in paths)


def _same_sections(header: RunHeader, other: RunHeader) -> bool:
    """Whether all of it is the same: so it is of most nights, and soon found out."""
    of_both = [(of.machine, of.host, of.core, of.measure) for of in (header, other)]
    return of_both[0] == of_both[1]


def kernel_of(header: RunHeader) -> tuple[Any, ...]:
    """What decides how fast system calls are entered, beside the machine."""
    host = header.host
    return host.kernel, host.kernel_version, host.cmdline, host.mitigations


def same_kernel(header: RunHeader, other: RunHeader) -> bool:
    paths = (("host", "kernel"), ("host", "kernel_version"))
    return all(_value(header, *path) == _value(other, *path) for path in paths)


MARKED = (*MUST_AGREE, *ALIKE, ("host", "hostname"))
"""What a history marks where it changes."""


def marked(a: RunHeader, b: RunHeader) -> tuple[Difference, ...]:
    """What a history says of two successive runs that are not of the same environment."""
    if _same_sections(a, b):
        return ()
    return tuple(
        Difference(f"{section} {key}", _text(of_a), _text(of_b), (section, key) in MUST_AGREE)
        for section, key in MARKED
        if (of_a := _value(a, section, key)) != (of_b := _value(b, section, key))
    )
