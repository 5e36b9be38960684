"""The CPUs of the senders: how fast they run, and with whom they share a core, node or memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from bench.doctor.finding import Check, Context, Found, Level
from bench.system.cpus import Layout, device, layout
from bench.system.procfs import CPU, ProcFs, cpu_list, cpu_words

SLOW_WAKE_US = 20
"""An idle state with a longer exit shows in every wait of a sender."""


# Frequency


def _governor(machine: ProcFs, context: Context) -> Iterator[Found]:
    chosen: dict[str, list[int]] = {}
    for cpu in context.senders:
        governor = machine.text(f"{CPU}/cpu{cpu}/cpufreq/scaling_governor")
        if governor is not None:
            chosen.setdefault(governor, []).append(cpu)
    if not chosen:
        yield Found(Level.UNKNOWN, "no frequency scaling to be seen")
    for governor, cpus in chosen.items():
        if governor == "performance":
            yield Found(Level.OK, f"governor is performance on {cpu_words(cpus)}")
        else:
            mend = f"echo performance | sudo tee /{CPU}/cpu*/cpufreq/scaling_governor"
            yield Found(Level.WARN, f"governor is {governor} on {cpu_words(cpus)}", mend)


_TURBO_SWITCHES = ((f"{CPU}/intel_pstate/no_turbo", 0, 1), (f"{CPU}/cpufreq/boost", 1, 0))
"""The switches of turbo: file, value for on, value for off."""


def _turbo(machine: ProcFs, _context: Context) -> Iterator[Found]:
    for path, on, off in _TURBO_SWITCHES:
        value = machine.number(path)
        if value == on:
            yield Found(Level.WARN, "turbo is on", f"echo {off} | sudo tee /{path}")
        elif value is not None:
            yield Found(Level.OK, "turbo is off")


def _idle(machine: ProcFs, context: Context) -> Iterator[Found]:
    states = [
        (latency, machine.text(f"{state}/name") or "")
        for cpu in context.senders
        for state in machine.glob(f"{CPU}/cpu{cpu}/cpuidle/state*")
        if machine.number(f"{state}/disable") == 0
        and (latency := machine.number(f"{state}/latency")) is not None
    ]
    if not states:
        return
    latency, name = max(states)
    what = f"the deepest idle state, {name}, takes {latency} us to leave"
    if latency > SLOW_WAKE_US:
        yield Found(Level.NOTE, what, f"sudo cpupower idle-set -D {SLOW_WAKE_US}")
    else:
        yield Found(Level.OK, what)


# Who shares a core


def _smt(machine: ProcFs, context: Context) -> Iterator[Found]:
    there = layout(machine)
    siblings = {cpu: there.core_of.get(cpu, ()) for cpu in context.senders}
    if not all(siblings.values()):
        yield Found(Level.UNKNOWN, "the kernel does not show which CPUs share a core")
        return
    shared = {core for cpu, core in siblings.items() if len(set(core) & set(context.senders)) > 1}
    cores = {cpu for core in siblings.values() for cpu in core}
    alone = cores & there.online - set(context.senders)
    if shared:
        yield _shared_cores(there, context, shared)
    elif alone:
        mend = f"echo off | sudo tee /{CPU}/smt/control"
        verb = "shares a core" if len(alone) == 1 else "share cores"
        yield Found(Level.NOTE, f"{cpu_words(alone)}, free for others, {verb} with a sender", mend)
    else:
        yield Found(Level.OK, f"{cpu_words(context.senders)}: no other CPU on the same core")


def _shared_cores(there: Layout, context: Context, shared: Iterable[tuple[int, ...]]) -> Found:
    cores = " and ".join(cpu_list(core) for core in sorted(shared)[:4])
    one_each = _one_of_each_core(there, context.cpus)
    named = f"measure: {{cpus: [{', '.join(map(str, one_each))}]}} in the matrix"
    if context.needs is None:
        return Found(Level.NOTE, f"SMT is on: {cores} share a core each", named)
    what = f"two senders on one core: {cores}"
    if len(one_each) < context.needs.threads:
        return Found(Level.WARN, what, f"threads: {len(one_each)} at most: one per core")
    return Found(Level.WARN, what, named)


def _one_of_each_core(there: Layout, cpus: Iterable[int]) -> tuple[int, ...]:
    first: dict[tuple[int, ...], int] = {}
    for cpu in cpus:
        first.setdefault(there.core_of.get(cpu, (cpu,)), cpu)
    return tuple(first.values())


# Isolation


def _isolation(machine: ProcFs, context: Context) -> Found:
    there = layout(machine)
    if not there.online:
        return Found(Level.UNKNOWN, "the kernel does not show its CPUs")
    if not there.isolated:
        return _nothing_isolated(sorted(there.online))
    if there.isolated.issuperset(context.senders):
        tickless = there.isolated <= there.tickless
        return Found(Level.OK, f"senders are on isolated CPUs{', without a tick' * tickless}")
    unused = there.isolated.difference(context.senders)
    if not unused:
        what = f"only {cpu_words(there.isolated)} of the senders' CPUs are isolated"
        return Found(Level.NOTE, what)
    others = [cpu for cpu in context.cpus if cpu not in there.isolated]
    best = [*sorted(there.isolated), *others][: context.threads]
    return Found(
        Level.WARN,
        f"{cpu_words(unused)} {'is' if len(unused) == 1 else 'are'} isolated and unused",
        f"taskset -c {cpu_list(there.online)} bench run MATRIX, "
        f"with measure: {{cpus: [{', '.join(map(str, best))}]}} in it",
    )


def _nothing_isolated(online: Sequence[int]) -> Found:
    if len(online) == 1:
        return Found(Level.NOTE, "one CPU only: everything runs beside the sender")
    rest = cpu_list(online[1:])
    mend = f"boot with isolcpus=managed_irq,domain,{rest} nohz_full={rest} rcu_nocbs={rest}"
    return Found(Level.NOTE, "no CPU is isolated", mend)


# NUMA


def _numa(machine: ProcFs, context: Context) -> Iterator[Found]:
    node_of = layout(machine).node_of
    nodes = sorted({node_of[cpu] for cpu in context.senders if cpu in node_of})
    if not nodes:
        return
    if len(nodes) == 1:
        yield Found(Level.OK, f"senders are on node {nodes[0]}")
    else:
        near = [cpu for cpu in context.cpus if node_of.get(cpu) == node_of.get(context.cpus[0])]
        mend = f"measure: {{cpus: [{', '.join(map(str, near))}]}} in the matrix"
        yield Found(Level.NOTE, f"senders are on nodes {', '.join(map(str, nodes))}", mend)
    for name in context.needs.devices if context.needs else ():
        yield from _device_distance(machine, name, nodes)


def _device_distance(machine: ProcFs, name: str, nodes: Iterable[int]) -> Iterator[Found]:
    home = device(machine, name).node
    if home is None:
        yield Found(Level.UNKNOWN, f"{name} does not show its node")
        return
    row = (machine.text(f"sys/devices/system/node/node{home}/distance") or "").split()
    there = machine.text(f"sys/devices/system/node/node{home}/cpulist")
    for node in nodes:
        if node == home:
            yield Found(Level.OK, f"{name} is on the senders' node {home}")
        else:
            what = f"{name} is on node {home}, senders on node {node} (distance {row[node]})"
            yield Found(Level.WARN, what, f"measure: {{cpus: [...]}} in the matrix, from {there}")


CHECKS = (
    Check(
        "governor",
        "The clock follows the load of the last milliseconds: a frame costs more nanoseconds "
        "after a pause (a drain, a blocked send) than in a full loop.",
        _governor,
    ),
    Check(
        "turbo",
        "Turbo lasts as long as heat and the other cores' load allow: the same code is slower "
        "beside a second sender, and on a warm machine.",
        _turbo,
    ),
    Check(
        "idle states",
        "A sleeping sender (in a drain, poll(), a blocked send) goes on only when its CPU has left "
        "its idle state, and pays for cold caches then.",
        _idle,
    ),
    Check(
        "SMT",
        "Two threads of a core share its execution units and caches: each sends slower than "
        "alone, by as much as the other does.",
        _smt,
    ),
    Check(
        "isolation",
        "On a CPU that is not isolated the tick, kernel threads and other tasks take turns with "
        "the sender.",
        _isolation,
    ),
    Check(
        "NUMA",
        "Frames, rings and a device's descriptors are in one node's memory; from another node each "
        "cache miss costs half as much again or more.",
        _numa,
    ),
)
