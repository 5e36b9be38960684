"""The table of engines: those of the C core, and any program."""

from __future__ import annotations

from bench.engines import core, programs
from bench.model.programs import EXEC
from bench.model.vocabulary import MethodInfo


def methods() -> dict[str, MethodInfo]:
    """Every engine by name, as a matrix may use it. Raises BenchError as core.methods does."""
    return core.methods() | {EXEC: programs.METHOD}


def probe(engine: str) -> str:
    """Why this kernel (or this user) cannot use an engine; "" if it can."""
    return programs.probe() if engine == EXEC else core.probe(engine)
