"""The CPUs: which may be used, which share cores and nodes, which are the best to send from.

Only this module reads the kernel's files about them.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.base.errors import BenchError
from bench.system.procfs import CPU, ProcFs, cpu_words

# The kernel's facts


@dataclass(frozen=True, slots=True)
class Layout:
    """The CPUs, their cores and nodes; empty where the kernel shows nothing.

    No other task is put on an ``isolated`` CPU, and a lone task on a ``tickless`` one is not
    interrupted by the timer. ``core_of`` maps a CPU to all CPUs of its core, ``node_of`` to its
    NUMA node.
    """

    online: frozenset[int]
    isolated: frozenset[int]
    tickless: frozenset[int]
    core_of: Mapping[int, tuple[int, ...]]
    node_of: Mapping[int, int]


def layout(machine: ProcFs) -> Layout:
    cores = {
        int(path.split("/")[-3].removeprefix("cpu")): machine.cpus(path)
        for path in machine.glob(f"{CPU}/cpu[0-9]*/topology/thread_siblings_list")
    }
    nodes = {
        cpu: int(path.split("/")[-2].removeprefix("node"))
        for path in machine.glob("sys/devices/system/node/node[0-9]*/cpulist")
        for cpu in machine.cpus(path)
    }
    return Layout(
        online=frozenset(machine.online()),
        isolated=frozenset(machine.cpus(f"{CPU}/isolated")),
        tickless=frozenset(machine.cpus(f"{CPU}/nohz_full")),
        core_of=cores,
        node_of=nodes,
    )


@dataclass(frozen=True, slots=True)
class Device:
    """A real interface: its NUMA node, and the CPUs that its interrupts go to."""

    name: str
    node: int | None
    irq_cpus: frozenset[int]


def device(machine: ProcFs, name: str) -> Device:
    """A real interface's node and CPUs; None and empty if unknown, as for most virtual ones."""
    # The parent's as well: virtio's device is a child of the PCI function that has node and IRQs.
    folders = [f"sys/class/net/{name}/device{parent}" for parent in ("", "/..")]
    nodes = [machine.number(f"{folder}/numa_node") for folder in folders]
    vectors = [path for folder in folders for path in machine.glob(f"{folder}/msi_irqs/[0-9]*")]
    numbers = [int(path.rpartition("/")[2]) for path in vectors]
    if not numbers:
        numbers = [number for folder in folders if (number := machine.number(f"{folder}/irq"))]
    return Device(
        name=name,
        node=next((node for node in nodes if node is not None and node >= 0), None),
        irq_cpus=frozenset(cpu for number in numbers for cpu in irq_cpus(machine, number)),
    )


def irq_cpus(machine: ProcFs, number: int) -> tuple[int, ...]:
    """The CPUs to which an interrupt goes; if the kernel does not show that, those it may go to."""
    folder = f"proc/irq/{number}"
    where = machine.cpus(f"{folder}/effective_affinity_list")
    return where or machine.cpus(f"{folder}/smp_affinity_list")


def allowed(machine: ProcFs) -> tuple[int, ...]:
    """The CPUs that this process may use: its mask, and isolated ones (``unclaimed``)."""
    mask = os.sched_getaffinity(0)
    isolated = unclaimed(layout(machine), mask)
    return tuple(sorted(mask | granted(isolated) if isolated else mask))


def unclaimed(layout: Layout, mask: Collection[int]) -> frozenset[int]:
    """Isolated CPUs that are missing in a mask only because nobody asked for them.

    ``isolcpus`` takes them out of every task's mask (kernel/sched/core.c, ``sched_init_smp``). A
    mask that lacks others, too, was made on purpose.
    """
    return layout.isolated if layout.online - layout.isolated == set(mask) else frozenset()


def granted(cpus: Collection[int]) -> set[int]:
    """The CPUs among these that are there and that the cpuset grants: sched_setaffinity() drops the
    others."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, cpus)
        return os.sched_getaffinity(0)
    except OSError:
        return set()
    finally:
        os.sched_setaffinity(0, before)


# Their time

TICK_NS = 10**9 // os.sysconf("SC_CLK_TCK")
SOFTIRQ, STEAL = 6, 7
"""Columns of a CPU's line in /proc/stat."""


class CpuTime(NamedTuple):
    """Time of some CPUs between two moments, in nanoseconds, and the interrupts of all CPUs.

    ``total_ns`` is the time between, times their number. Steal and softirq are counted in ticks of
    10 ms: only sums over many slices show them.
    """

    total_ns: int
    steal_ns: int
    softirq_ns: int
    interrupts: int

    def since(self, earlier: CpuTime) -> CpuTime:
        """Never negative: counters are known to step back a little (proc(5))."""
        return CpuTime(*(max(0, now - then) for now, then in zip(self, earlier, strict=True)))


def cpu_time(stat: bytes, cpus: Collection[int], at_ns: int) -> CpuTime:
    """A moment, of which this is the text of /proc/stat, and the time (CLOCK_MONOTONIC)."""
    steal = softirq = 0
    for cpu in cpus:
        row = _stat_row(stat, cpu)
        if len(row) > STEAL:
            softirq += int(row[SOFTIRQ])
            steal += int(row[STEAL])
    start = stat.find(b"\nintr ") + len(b"\nintr ")
    interrupts = int(stat[start : stat.find(b" ", start)])
    return CpuTime(at_ns * len(cpus), steal * TICK_NS, softirq * TICK_NS, interrupts)


def stat_row(stat: str, cpu: int) -> list[int]:
    """Ticks of user nice system idle iowait irq softirq steal (proc(5)); zeros if it is offline."""
    fields = _stat_row(stat.encode(), cpu)[: STEAL + 1]
    return [*map(int, fields), *[0] * (STEAL + 1 - len(fields))]


def _stat_row(stat: bytes, cpu: int) -> list[bytes]:
    label = b"\ncpu%d " % cpu
    start = stat.find(label)
    return stat[start + len(label) : stat.find(b"\n", start + 1)].split() if start >= 0 else []


# Which to send from


@dataclass(frozen=True, slots=True)
class Choice:
    """CPUs for senders, thread i on ``cpus[i]``, and the reasons for this order."""

    cpus: tuple[int, ...]
    why: str


def choose(layout: Layout, allowed: Collection[int], devices: Sequence[Device] = ()) -> Choice:
    """The allowed CPUs, the best to send from first.

    Last come those that take the devices' interrupts. Isolated ones are before others, tickless
    ones first among them; then one CPU of each core before any of its siblings, and CPUs on the
    devices' node before those on others. CPU 0 is the last among equals: most kernels keep time
    and their other housekeeping there.
    """
    home = _home(layout, allowed, devices)
    disturbed = {cpu for device in devices for cpu in device.irq_cpus}

    def worth(cpu: int) -> tuple[bool, ...]:
        isolated, tickless = cpu in layout.isolated, cpu in layout.tickless
        return cpu in disturbed, not isolated, not tickless

    def seat(cpu: int) -> int:
        """Its index among its core's CPUs: no two CPUs with seat 0 share a core."""
        core = set(layout.core_of.get(cpu, ())) & set(allowed) | {cpu}
        return sorted(core, key=lambda one: (worth(one), one == 0, one)).index(cpu)

    def rank(cpu: int) -> tuple[object, ...]:
        return worth(cpu), seat(cpu), layout.node_of.get(cpu) != home.node, cpu == 0, cpu

    ordered = tuple(sorted(allowed, key=rank))
    reasons = [
        _isolated(layout.isolated.intersection(allowed), allowed),
        "one CPU of each core before its siblings" if any(map(seat, allowed)) else "",
        home.why,
        _disturbed(disturbed.intersection(allowed), allowed, devices),
        "CPU 0 last among equals" if ordered[1:] and 0 in ordered else "",
    ]
    said = "; ".join(filter(None, reasons))
    return Choice(ordered, f"auto: {said or ('all alike' if ordered[1:] else 'the only one')}")


class _Home(NamedTuple):
    """The NUMA node to be on."""

    node: int | None
    why: str


def _home(layout: Layout, allowed: Collection[int], devices: Sequence[Device]) -> _Home:
    """The first device's node; without one, the node with the most isolated CPUs, or most CPUs."""
    counts: dict[int, tuple[int, int]] = {}
    for cpu in sorted(allowed):
        if cpu in layout.node_of:
            isolated, all_ = counts.get(layout.node_of[cpu], (0, 0))
            counts[layout.node_of[cpu]] = isolated + (cpu in layout.isolated), all_ + 1
    if len(counts) < 2:
        return _Home(None, "")
    for device in devices:
        if device.node in counts:
            return _Home(device.node, f"node {device.node} first, where {device.name} is")
    most = max(sorted(counts), key=lambda node: counts[node])
    return _Home(most, f"node {most} first, which has the most of them")


def _isolated(isolated: Collection[int], allowed: Collection[int]) -> str:
    if not isolated:
        return ""
    if len(isolated) == len(allowed):
        return "all isolated"
    return f"{cpu_words(isolated)} first, isolated"


def _disturbed(
    disturbed: Collection[int], allowed: Collection[int], devices: Sequence[Device]
) -> str:
    if not disturbed:
        return ""
    names = " and ".join(device.name for device in devices if device.irq_cpus)
    if len(disturbed) == len(allowed):
        return f"all take interrupts of {names}"
    return f"{cpu_words(disturbed)} last for the interrupts of {names}"


# Keeping others off them


@contextmanager
def kept_off(senders: Sequence[int]) -> Iterator[None]:
    """Keep all threads of this process, and children that it starts, off the senders' CPUs.

    If there are no other CPUs, they share the last sender's, which the fewest cells use.
    """
    before = _masks()
    others = os.sched_getaffinity(0) - set(senders) or {senders[-1]}
    _place(dict.fromkeys(before, others))
    try:
        yield
    finally:
        # A thread that was started meanwhile has the mask of its parent. One that has ended may
        # have left its id to another process.
        _place({tid: before.get(tid, before[os.getpid()]) for tid in _threads()})


def _threads() -> list[int]:
    """The ids of our threads. Raises BenchError if /proc is another PID namespace's."""
    tids = [int(path.name) for path in Path("/proc/self/task").iterdir()]
    if os.getpid() not in tids:
        raise BenchError(
            "/proc shows another PID namespace than this process is in: mount -t proc proc /proc"
        )
    return tids


def _masks() -> dict[int, set[int]]:
    masks = {}
    for tid in _threads():
        with suppress(ProcessLookupError):  # it has ended
            masks[tid] = os.sched_getaffinity(tid)
    return masks


def _place(masks: Mapping[int, set[int]]) -> None:
    for tid, mask in masks.items():
        with suppress(ProcessLookupError):  # it has ended
            os.sched_setaffinity(tid, mask)
