"""What a cell takes, and what a plan asks of the machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Memory:
    """What a cell takes, which its engine knows before it is opened.

    ``bytes`` are those of rings and frame buffers of all threads, without the kernel's own skbs;
    ``locked`` those of the largest mapping that is to be locked, against each of which the limit
    is held for itself. ``ring_frames`` are the frames that each ring holds, 0 without one.
    """

    bytes: int = 0
    locked: int = 0
    ring_frames: int = 0


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
