"""Rates of the machine: two readings of its counters, and the time between them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bench.doctor import cgroup
from bench.system.cpus import stat_row
from bench.system.procfs import ProcFs, parse_cpus


class Ticks(NamedTuple):
    """A CPU's time since boot in ticks of USER_HZ (10 ms), from /proc/stat.

    ``steal`` is time that the hypervisor gave to others while this CPU had something to do.
    """

    busy: int
    idle: int
    steal: int

    def since(self, earlier: Ticks) -> Ticks:
        """Never negative: an idle CPU's counters are known to step back a little (proc(5))."""
        return Ticks(*(max(0, now - then) for now, then in zip(self, earlier, strict=True)))

    @property
    def busy_share(self) -> float:
        return self.busy / max(1, sum(self))

    @property
    def steal_share(self) -> float:
        """Share of the time in which there was something to do."""
        return self.steal / max(1, self.busy + self.steal)


class Irq(NamedTuple):
    """A device's interrupt: who asked for it, and how often each CPU took it."""

    name: str
    counts: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """The counters at one moment; ``throttled`` in periods (see cgroup)."""

    cpus: Mapping[int, Ticks]
    irqs: Mapping[int, Irq]
    throttled: int


@dataclass(frozen=True, slots=True)
class Watched:
    """Two readings, and how far apart they are."""

    before: Reading
    after: Reading
    seconds: float

    def ticks(self, cpu: int) -> Ticks:
        """A CPU's time between the readings."""
        none = Ticks(0, 0, 0)
        return self.after.cpus.get(cpu, none).since(self.before.cpus.get(cpu, none))

    def irq_rates(self, cpus: Iterable[int]) -> dict[int, float]:
        """Interrupts per second that these CPUs took, by IRQ number, the most frequent first."""
        taken = {
            number: sum(irq.counts.get(cpu, 0) - self._before(number, cpu) for cpu in cpus)
            for number, irq in self.after.irqs.items()
        }
        seconds = self.seconds or 1.0
        ordered = sorted(taken, key=lambda number: -taken[number])
        return {number: taken[number] / seconds for number in ordered if taken[number] > 0}

    def _before(self, number: int, cpu: int) -> int:
        irq = self.before.irqs.get(number)
        return irq.counts.get(cpu, 0) if irq else 0


def watch(machine: ProcFs, seconds: float) -> Watched:
    """Read, sleep, read: awake, this process would find itself running."""
    before, begun = read(machine), time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - begun
    return Watched(before, read(machine), elapsed)


def read(machine: ProcFs) -> Reading:
    """The counters now; lines that are not as expected are left out."""
    return Reading(
        cpus=_ticks(machine.text("proc/stat") or ""),
        irqs=_irqs(machine.text("proc/interrupts") or ""),
        throttled=cgroup.throttled(machine),
    )


def _ticks(text: str) -> dict[int, Ticks]:
    """``cpu0 user nice system idle iowait irq softirq steal ...`` (proc(5)); guest is in user."""
    cpus = map(int, re.findall(r"^cpu(\d+)(?: \d+)+$", text, re.M))
    return {cpu: _ticks_of(text, cpu) for cpu in cpus}


def _ticks_of(text: str, cpu: int) -> Ticks:
    user, nice, system, idle, iowait, irq, softirq, steal = stat_row(text, cpu)
    return Ticks(busy=user + nice + system + irq + softirq, idle=idle + iowait, steal=steal)


def _irqs(text: str) -> dict[int, Irq]:
    """The numbered rows of /proc/interrupts; the others are CPU-internal (timer, IPIs)."""
    header, _, body = text.partition("\n")
    cpus = parse_cpus(header)  # "CPU0 CPU2": those that are online
    found = {}
    rows = re.findall(rf"^ *(\d+):((?: +\d+){{{len(cpus)}}})(.*)$", body, re.M)
    for number, counts, about in rows:
        name = (about.split() or ["no device"])[-1]
        found[int(number)] = Irq(name, dict(zip(cpus, map(int, counts.split()), strict=True)))
    return found
