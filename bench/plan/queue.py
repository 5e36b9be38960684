"""What stands before a shaper when a cell stops sending, and how long it needs to leave."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from bench.base.values import Value
from bench.model.shaper import Shaper
from bench.system.procfs import ProcFs

WMEM = 212_992
"""net.core.wmem_default and wmem_max where they cannot be read."""


PAGE = os.sysconf("SC_PAGE_SIZE")


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

    At most ``room`` frames are queued. A call that finds none then waits (``waits``) until half of
    them have left, or fails. ``awaited`` are those of a call that returns when all of them have
    left, or 0. ``full`` are at most queued or in a ring. ``charge`` is what a frame takes of the
    send buffer of its socket, of which there are ``sockets``, in bytes.
    """

    frame_ns: float
    free: float
    room: float
    full: float
    waits: bool
    awaited: int
    charge: int
    in_ring: bool
    sockets: int = 1

    def slice_ns(
        self, warmup_ns: float, window_ns: float, each_ns: float, turn: int, call: int
    ) -> float:
        """From the first frame of a slice until the last one has left.

        A frame is handed over every ``each_ns``; ``turn`` frames between two looks at the clock,
        ``call`` between two at the stop flag. Three turns at least are the warm-up, the last of
        which begins when its time is up and the bucket spent; the window opens when half of what
        is queued has left (csrc/window.c).
        """
        if self.awaited:
            call_ns = self.awaited * self.frame_ns
            calls = max(2, ceil(warmup_ns / call_ns)) + 1 + ceil(window_ns / call_ns)
            return calls * call_ns - self.free * self.frame_ns
        ahead_ns = self.frame_ns - each_ns
        spent_ns = self.free * self.frame_ns * each_ns / ahead_ns if ahead_ns > 0 else 0.0
        warm_ns, queued = self._sent(max(warmup_ns, spent_ns), 2 * turn, each_ns, -self.free)
        last_ns, queued = self._sent(0, turn, each_ns, queued)
        open_ns, queued = queued / 2 * self.frame_ns, queued / 2
        sent_ns, queued = self._sent(window_ns, call, each_ns, queued)
        return warm_ns + last_ns + open_ns + sent_ns + queued * self.frame_ns

    def _sent(
        self, planned_ns: float, least: int, each_ns: float, queued: float
    ) -> tuple[float, float]:
        """How long it takes to send for so long, and at least so many frames, and how many are
        queued then; ``queued`` are before, negative while the bucket has something to give."""
        sending_ns = max(planned_ns, least * each_ns)
        queued_then = queued + max(least, sending_ns / each_ns) - sending_ns / self.frame_ns
        if queued_then <= self.room or not self.waits:
            return sending_ns, max(0.0, min(queued_then, self.room))
        half_ns = self.room / 2 * self.frame_ns
        whole_ns = (least + queued - self.room) * self.frame_ns
        return max(ceil(planned_ns / half_ns) * half_ns, whole_ns), self.room / 2

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
    in_call = (burst if waits else slots) * threads
    awaited = in_call if slots and min(in_call, sndbuf) <= held.room else 0
    room = min(sndbuf, held.room)
    return Queue(
        frame_ns=frame_ns,
        free=held.burst / frame_size,
        room=room,
        full=slots * sockets or room,  # a ring's refused frames stay in it
        waits=waits and not slots and sndbuf < held.room,  # ``sock_writeable``: half is free
        awaited=awaited,
        charge=charge,
        in_ring=slots > 0,
        sockets=sockets,
    )


def _sndbuf(sndbuf: Value | None, machine: ProcFs) -> int:
    """Bytes that a socket may have under way: SO_SNDBUF doubles what it is given."""
    asked: Mapping[str, Any] = sndbuf if isinstance(sndbuf, dict) else {}
    name = "wmem_max" if asked else "wmem_default"
    known = machine.number(f"proc/sys/net/core/{name}") or WMEM
    if not asked:
        return known
    return 2 * int(asked["bytes"] if asked["force"] else min(asked["bytes"], known))


def _charge(frame_size: int, in_ring: bool, page: int = PAGE) -> int:
    """Bytes of the send buffer that a frame takes: its skb's truesize."""
    if in_ring:
        return SKB + SKB_HEAD + frame_size
    if frame_size < page:
        return SKB + (1 << (frame_size + SKB_SHARED - 1).bit_length())
    return SKB + SKB_HEAD + ceil(frame_size / page) * page
