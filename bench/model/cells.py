"""A cell and its id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.base.values import Value, key_of
from bench.model.axes import AXES, Axis, names_of
from bench.model.programs import engine_of, name_of

ETHERNET_HEADER, VLAN_TAG = 14, 4
"""Bytes."""

# Cells


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination after collapsing.

    ``values`` has every axis of the table and every option of the engines that there are, in order;
    None where the method does not read it.
    """

    id: str
    values: Mapping[str, Value | None]

    @property
    def method(self) -> str:
        """The name of its method: of a program, that which the matrix gives it."""
        return name_of(self.values["method"])

    @property
    def engine(self) -> str:
        """What hands its frames to the kernel: the same for all programs."""
        return engine_of(self.values["method"])

    @property
    def threads(self) -> int:
        return int(self.values["threads"])  # type: ignore[arg-type]

    @property
    def frame_size(self) -> int:
        """Bytes from destination MAC to end of payload, without FCS."""
        return int(self.values["frame_size"])  # type: ignore[arg-type]

    @property
    def header(self) -> int:
        """Bytes of its frame that are none of the MTU."""
        return header_of(self.values)


def header_of(values: Mapping[str, Value | None]) -> int:
    """Bytes of a cell's frame that the kernel holds against no MTU: Ethernet's header and the tag
    (net/packet/af_packet.c, ``packet_extra_vlan_len_allowed``)."""
    return ETHERNET_HEADER + (VLAN_TAG if isinstance(values.get("vlan"), dict) else 0)


def cell_id(values: Mapping[str, Value | None], axes: Mapping[str, Axis] = AXES) -> str:
    """The id of a cell: ten hex digits of the SHA-256 of its effective parameters.

    Axes that the method ignores (None) or that are at their default do not take part.
    """
    return id_of(id_part(name, values[name], axes) for name in sorted(values))


def id_part(name: str, value: Value | None, axes: Mapping[str, Axis]) -> str:
    """What the value of an axis adds to an id; "" where it takes no part."""
    if value is None or (name in axes and value == axes[name].default):
        return ""
    return f"{key_of(name)}:{key_of(value)}"


def id_of(parts: Iterable[str]) -> str:
    """The id of a cell whose axes, in the order of their names, add these: ``key_of`` a mapping."""
    effective = f"{{{','.join(filter(None, parts))}}}"
    return hashlib.sha256(effective.encode()).hexdigest()[:10]


def axes_of(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The axes of the table, and the options that some of the cells have.

    So a run has the same axes when it is read again, with other engines than when it was measured.
    """
    named = (tuple(a for a, value in c.values.items() if value is not None) for c in cells)
    return names_of(dict.fromkeys(named))
