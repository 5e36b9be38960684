"""What one slice measured."""

from __future__ import annotations

from dataclasses import dataclass

from bench.model.problems import Problem, joined

# Samples


@dataclass(frozen=True, slots=True)
class ThreadSample:
    """What one sending thread counted in the window of one slice; times in nanoseconds.

    ``cpu`` is where it closed its window; ``moved`` is 1 if it opened it on another one, or was
    pinned to another one.
    """

    cpu: int
    wall_ns: int
    cpu_ns: int
    user_ns: int = 0
    system_ns: int = 0
    blocked_ns: int = 0
    run_delay_ns: int = 0
    requested: int = 0
    submitted: int = 0
    completed: int = 0
    calls: int = 0
    short_counts: int = 0
    eagain: int = 0
    enobufs: int = 0
    malformed: int = 0
    full_waits: int = 0
    voluntary: int = 0
    involuntary: int = 0
    wmem_high: int = 0
    moved: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What one slice measured.

    ``lost`` frames were completed and not delivered, which the drops explain.

    ``wall_ns`` is the window, from its opening to its closing edge. ``slice_completed`` and
    ``delivered`` count the whole slice, warm-up and drain included: they are what must agree. The
    kernel's counters are deltas over the slice: of
    ``cpus_ns``, the time of the cell's CPUs, the hypervisor had ``steal_ns``, softirqs
    ``softirq_ns`` (both in ticks of 10 ms); ``interrupts`` are those of the whole machine.
    ``problems`` is empty for a valid sample, else why the sample must not be used.
    """

    cell: str
    round: int
    at_ns: int
    wall_ns: int
    threads: tuple[ThreadSample, ...]
    slice_completed: int
    delivered: int
    lost: int = 0
    slice_refused: int = 0
    qdisc_drops: int = 0
    device_drops: int = 0
    softnet_drops: int = 0
    foreign: int = 0
    softirq_tx: int = 0
    softirq_rx: int = 0
    cpus_ns: int = 0
    steal_ns: int = 0
    softirq_ns: int = 0
    interrupts: int = 0
    problems: tuple[Problem, ...] = ()
    carrier_lost: str = ""
    """Slaves that lost their carrier, which explains ``lost`` frames that no drop counter has."""
    per_sink: tuple[int, ...] = ()
    """Frames that each slave's peer counted in the slice, in the order of the slaves; empty where
    frames go by one way only."""
    opening: int = 0
    """The number of the opening that took it, from 0."""

    @property
    def problem(self) -> str:
        """All problems as one text."""
        return joined(self.problems) if self.problems else ""

    @property
    def slice(self) -> tuple[str, int, int, int]:
        """Which slice it measured: no other sample of a run is of the same one."""
        return (self.cell, self.round, self.at_ns, self.wall_ns)

    @property
    def drops(self) -> int:
        """Frames that a qdisc, the device or a backlog dropped."""
        return self.qdisc_drops + self.device_drops + self.softnet_drops

    def total(self, counter: str) -> int:
        """The sum of one of ThreadSample's counters over the threads."""
        return sum([getattr(thread, counter) for thread in self.threads])

    def most(self, counter: str) -> int:
        """The largest of one of ThreadSample's counters over the threads."""
        return max((getattr(thread, counter) for thread in self.threads), default=0)
