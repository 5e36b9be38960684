"""A reader of Go's benchmark format, as strict as golang.org/x/perf/benchfmt is, and stricter.

Written from its reader and from golang.org/design/14313-benchmark-format. What that ignores as "any
other line" is an error here, unless it is a comment.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Result:
    name: str
    iterations: int
    values: dict[str, float]

    @property
    def base(self) -> str:
        return self.name.partition("/")[0]

    @property
    def parts(self) -> dict[str, str]:
        """``/key=value`` of the name; a count of CPUs (``-8``) at its end is cut off first."""
        name, hyphen, number = self.name.rpartition("-")
        name = name if hyphen and number.isdigit() else self.name
        return dict(part.split("=", 1) for part in name.split("/")[1:])


@dataclass
class File:
    units: dict[str, dict[str, str]] = field(default_factory=dict)
    configuration: dict[str, str] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)


def read(text: str) -> File:
    """Raises ValueError for a line that is none of the format's."""
    assert text.endswith("\n")
    file = File()
    for line in text[:-1].split("\n"):
        if line.startswith("Benchmark"):
            file.results.append(_result(line))
        elif line.startswith("Unit "):
            unit, *pairs = line.split()[1:]
            file.units[unit] = dict(pair.split("=", 1) for pair in pairs)
        elif line[:1].islower() and ": " in line:
            key, value = line.split(": ", 1)
            file.configuration[key] = value
        elif line and not line.startswith("#"):
            raise ValueError(f"ignored by others: {line!r}")
    return file


def _result(line: str) -> Result:
    if not 0 < len(line.encode()) < 65536:
        raise ValueError("a line is longer than Go's scanner takes")
    name, iterations, *pairs = line.removeprefix("Benchmark").split()
    if not name or name[0].islower() or not pairs or len(pairs) % 2:
        raise ValueError(f"no result: {line!r}")
    values = dict(zip(pairs[1::2], map(float, pairs[::2]), strict=True))
    return Result(name, int(iterations), values)
