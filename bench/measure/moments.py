"""What the machine did between two moments: its CPUs, and the softirqs that carry frames.

The text of a moment is read around each slice, and understood when there is time for it.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from typing import NamedTuple

from bench.system.cpus import CpuTime, cpu_time
from bench.system.procfs import Softirqs, kept_open, softirqs


class Moment(NamedTuple):
    """A time (CLOCK_MONOTONIC), and the texts of /proc/stat and /proc/softirqs then or soon after:
    they count ticks, and what one slice lacks the next one has."""

    stat: bytes
    softirqs: bytes
    at_ns: int


class Moments:
    """Reads them, in microseconds: the files stay open until ``stack`` is closed."""

    def __init__(self, stack: ExitStack) -> None:
        # Where there are twenty interrupts /proc/stat takes 10 us; /proc/interrupts, which would
        # tell the CPU of each, takes 60.
        self._stat = stack.enter_context(kept_open("/proc/stat"))
        self._softirqs = stack.enter_context(kept_open("/proc/softirqs"))

    def read(self, at_ns: int) -> Moment:
        return Moment(self._stat(), self._softirqs(), at_ns)


def cpus_did(before: Moment, after: Moment, cpus: Collection[int]) -> CpuTime:
    return cpu_time(after.stat, cpus, after.at_ns).since(cpu_time(before.stat, cpus, before.at_ns))


def softirqs_ran(before: Moment, after: Moment) -> Softirqs:
    """Their counters have 32 bits (kernel/softirq.c)."""
    then, now = softirqs(before.softirqs), softirqs(after.softirqs)
    return Softirqs(*((new - old) % (1 << 32) for old, new in zip(then, now, strict=True)))
