"""What stands before a shaper when a cell stops sending, and how long it needs to leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from bench.base.values import Value
from bench.model.shaper import Shaper
from bench.system.procfs import ProcFs

WMEM = 212_992
"""net.core.wmem_default and wmem_max where they cannot be read."""


PAGE = 4096


SKB, SKB_SHARED, SKB_HEAD = 256, 352, 512
"""What the kernel charges for a frame beside its data: struct sk_buff; struct skb_shared_info and
room before the frame, allocated together with it; those alone where it lies in pages."""


SEND_TIMEOUT_NS = 100_000_000
"""SO_SNDTIMEO of every socket (csrc/sock.c): a blocking ring then goes on with its next burst."""


CALLS_BESIDE = 3
"""Of the warm-up, and the one at the window's end."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Behind a shaper: a frame leaves every ``frame_ns``, but for the first ``free`` ones after a
    pause. Of all threads.

    ``room`` frames are queued when time is up; what blocks meanwhile adds ``blocked``
    more on average. ``awaited`` are those of a call that returns when all of them have left, or 0.
    At most ``full`` frames are queued.
    ``charge`` is what a frame takes of the send buffer, in bytes.
    """

    frame_ns: float
    free: float
    room: float
    full: float
    blocked: float
    awaited: int
    charge: int
    in_ring: bool

    def left_ns(self, planned_ns: int, offered: float, least: int, free: float) -> float:
        """When the last frame has left, after sending for so long."""
        if self.awaited:
            calls = ceil((planned_ns / self.frame_ns + free) / self.awaited)
            taken = float(calls * self.awaited)
        else:
            taken = planned_ns / self.frame_ns + free + self.room + self.blocked
        return (max(least, min(offered, taken)) - free) * self.frame_ns

    def most_frames(self, window_ns: int) -> float:
        """Queued at the end of a window. A call that waits for too many frames is given up, and the
        next one adds its own."""
        if not self.awaited:
            return self.full
        if self.awaited * self.frame_ns <= SEND_TIMEOUT_NS:
            return self.awaited
        return min(self.full, self.awaited * (CALLS_BESIDE + window_ns // SEND_TIMEOUT_NS))


def queue_of(
    values: Mapping[str, Value | None], held: Shaper, slots: int, machine: ProcFs
) -> Queue:
    """Of a cell with these values, which a shaper holds back; ``slots`` are those of a ring."""
    frame_size, threads = int(str(values["frame_size"])), int(str(values["threads"]))
    sockets = 1 if values["socket"] == "shared" else threads
    waits, burst = not values["msg_dontwait"], int(str(values["burst"] or 1))
    charge, frame_ns = _charge(frame_size, slots > 0), frame_size * 8e9 / held.rate
    sndbuf = _sndbuf(values["sndbuf"], machine) / charge * sockets
    # Who waits is woken when half of the send buffer is free (``sock_writeable``).
    room = min(0.75 * sndbuf if waits else sndbuf, held.room)
    in_call = (burst if waits else slots) * threads
    awaited = in_call if slots and min(in_call, sndbuf) <= held.room else 0
    if slots:  # refused frames stay in it and are sent again
        room = slots * sockets
    return Queue(
        frame_ns=frame_ns,
        free=held.burst / frame_size,
        room=room,
        full=slots * sockets or min(sndbuf, held.room),
        blocked=burst * threads / 2 if waits and room < held.room else 0,
        awaited=awaited,
        charge=charge,
        in_ring=slots > 0,
    )


def _sndbuf(sndbuf: Value | None, machine: ProcFs) -> int:
    """Bytes that a socket may have under way: SO_SNDBUF doubles what it is given."""
    asked: Mapping[str, Any] = sndbuf if isinstance(sndbuf, dict) else {}
    name = "wmem_max" if asked else "wmem_default"
    known = machine.number(f"proc/sys/net/core/{name}") or WMEM
    if not asked:
        return known
    return 2 * int(asked["bytes"] if asked["force"] else min(asked["bytes"], known))


def _charge(frame_size: int, in_ring: bool) -> int:
    """Bytes of the send buffer that a frame takes: its skb's truesize."""
    if in_ring:
        return SKB + SKB_HEAD + frame_size
    if frame_size < PAGE:
        return SKB + (1 << (frame_size + SKB_SHARED - 1).bit_length())
    return SKB + SKB_HEAD + ceil(frame_size / PAGE) * PAGE
