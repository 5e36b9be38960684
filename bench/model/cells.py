"""A cell and its id."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from bench.base.values import Value, key_of
from bench.model.axes import DEFAULTS

# Cells


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination after collapsing.

    ``values`` has every axis of AXES; None where the method does not read it.
    """

    id: str
    values: Mapping[str, Value | None]

    @property
    def method(self) -> str:
        return str(self.values["method"])

    @property
    def threads(self) -> int:
        return int(self.values["threads"])  # type: ignore[arg-type]

    @property
    def frame_size(self) -> int:
        """Bytes from destination MAC to end of payload, without FCS."""
        return int(self.values["frame_size"])  # type: ignore[arg-type]


def cell_id(values: Mapping[str, Value | None]) -> str:
    """The id of a cell: ten hex digits of the SHA-256 of its effective parameters.

    Axes that the method ignores (None) or that are at their default do not take part.
    """
    effective = {
        axis: value
        for axis, value in values.items()
        if value is not None and value != DEFAULTS.get(axis)
    }
    return hashlib.sha256(key_of(effective).encode()).hexdigest()[:10]
