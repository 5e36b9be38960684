"""Which real devices cells name."""

from __future__ import annotations

from collections.abc import Sequence

from bench.model.cells import Cell


def named_devices(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The real interfaces that cells name, each once."""
    values = [cell.values["interface"] for cell in cells]
    named = [str(value["name"]) for value in values if isinstance(value, dict) and "name" in value]
    return tuple(dict.fromkeys(named))
