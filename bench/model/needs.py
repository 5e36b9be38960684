"""What a plan asks of the machine."""

from __future__ import annotations

from dataclasses import dataclass

# What a plan asks of the machine


@dataclass(frozen=True, slots=True)
class Needs:
    """What a matrix asks of the machine; sizes in bytes.

    ``threads`` is the most that a cell has. ``memory`` is that of all cells side by side,
    ``largest`` of the largest one. ``locked`` is the largest ring that is to be locked,
    ``sndbuf`` the largest send buffer that is asked for without force. ``devices`` are the real
    interfaces that it names.
    """

    threads: int
    memory: int
    largest: int
    locked: int
    sndbuf: int
    devices: tuple[str, ...] = ()
