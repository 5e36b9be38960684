"""A program that sends, as a value of the method axis: ``{kind: exec, command: [...]}``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from bench.base.values import Value

EXEC = "exec"
"""The engine of all programs, and the kind of such a value."""

PLACEHOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "interface": "name of the interface to send by",
        "ifindex": "its number",
        "source": "source MAC of frames, as 02:62:65:6e:63:00",
        "destination": "destination MAC of frames",
        "frame_size": "bytes of a frame without FCS",
        "payload": "the same without the Ethernet header",
        "threads": "number of threads of the cell",
        "cpu": "the first CPU of the cell",
        "cpus": "all of them, as 0,1",
        "frame": "bench's own test frame, byte by byte, as 02:62:65",
        "pcap": "a capture file with 1000 such frames",
    }
)
"""What ``{name}`` in a command stands for. The environment has the same as ``BENCH_NAME``."""

_PLACEHOLDER = re.compile(r"(?<!\$)\{([a-z_]+)\}")
"""``${name}`` is a shell's, and ``{ 1, 2 }`` is anybody's."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that sends: its name in tables, the command with placeholders, and how each of its
    frames begins, in hexadecimal digits with placeholders; "" if it does not say."""

    name: str
    command: tuple[str, ...]
    content: str = ""


def engine_of(method: Value | None) -> str:
    """What hands the frames of a method to the kernel."""
    return EXEC if isinstance(method, dict) else str(method)


def name_of(method: Value | None) -> str:
    """What a method is called: a program by its name."""
    return str(method["name"] if isinstance(method, dict) else method)


def program_of(method: Value | None) -> Program:
    """The program that a method of the engine ``exec`` is."""
    assert isinstance(method, dict)
    return Program(method["name"], tuple(method["command"]), method["content"])


def identity_of(method: Value | None) -> Value | None:
    """What the id of a cell is made of: a program without what it leaves at its default."""
    if not isinstance(method, dict):
        return method
    return {name: part for name, part in method.items() if name != "content" or part}


def placeholders(text: str) -> list[str]:
    """The names in a text that look like placeholders, in order."""
    return _PLACEHOLDER.findall(text)


def filled(texts: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Texts with values in place of placeholders. Raises KeyError for one without a value."""
    return [_PLACEHOLDER.sub(lambda found: values[found[1]], text) for text in texts]
