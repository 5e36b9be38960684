"""Who else uses this machine: the hypervisor, other tasks, control groups, interrupts."""

from __future__ import annotations

from bench.doctor import cgroup
from bench.doctor.finding import Check, Context, Found, Level
from bench.system.cpus import irq_cpus, layout, unclaimed
from bench.system.hardware import virtualisation
from bench.system.procfs import ProcFs, cpu_list, cpu_words, parse_cpus

# Shares of a CPU, and interrupts per second, from which a finding of a level is made.
STEAL_NOTE, STEAL_WARN, STEAL_BAD = 0.001, 0.01, 0.1


BUSY_WARN, BUSY_BAD = 0.1, 0.5


FEW_TICKS = 5
"""With fewer ticks of 10 ms a CPU's shares mean nothing."""


IRQS_NOTE, IRQS_WARN = 100, 2000
"""At 2,000 a second, a 10 ms slice has 20: some 2 us each are 0.4 % of it."""


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


# The hypervisor


def _virtual(machine: ProcFs, _context: Context) -> Found:
    found = virtualisation(machine)
    if found is None:
        return Found(Level.UNKNOWN, "nothing shows whether this is a virtual machine")
    return Found(Level.NOTE if found.startswith("virtual machine") else Level.OK, found)


def _steal(_machine: ProcFs, context: Context) -> Found:
    ticks = context.watched.after.cpus
    if not ticks:
        return Found(Level.UNKNOWN, "/proc/stat cannot be read")
    steal = sum(cpu.steal for cpu in ticks.values())
    since_boot = steal / max(1, steal + sum(cpu.busy for cpu in ticks.values()))
    lately = [context.watched.ticks(cpu) for cpu in context.senders]
    now = max((t.steal_share for t in lately if t.busy + t.steal >= FEW_TICKS), default=0.0)
    share, when = (now, "now") if now > since_boot else (since_boot, "of the busy time since boot")
    what = f"steal is {100 * share:.1f} % {when}"
    mend = "give the virtual machine CPUs of its own (virsh vcpupin), or a quieter host"
    if share >= STEAL_BAD:
        return Found(Level.BAD, what, mend)
    if share >= STEAL_WARN:
        return Found(Level.WARN, what, mend)
    return Found(Level.NOTE if share >= STEAL_NOTE else Level.OK, what)


# Other tasks


def _load(machine: ProcFs, context: Context) -> Found:
    words = (machine.text("proc/loadavg") or "").split()
    if not words or not context.watched.after.cpus:
        return Found(Level.UNKNOWN, "/proc/loadavg and /proc/stat cannot be read")
    busy = {cpu: context.watched.ticks(cpu).busy_share for cpu in context.senders}
    worst = max(busy, key=lambda cpu: busy[cpu])
    others = int(words[3].partition("/")[0]) - 1  # this process is running, too
    tasks = _counted(others, "other task")
    what = f"CPU {worst} is {100 * busy[worst]:.0f} % busy, {tasks} running, load {words[0]}"
    mend = "stop what uses it: top -H -o %CPU shows it"
    if busy[worst] >= BUSY_BAD:
        return Found(Level.BAD, what, mend)
    if busy[worst] >= BUSY_WARN:
        return Found(Level.WARN, what, mend)
    crowded = float(words[0]) >= max(1, len(machine.online())) / 2
    return Found(Level.NOTE, what, mend) if crowded else Found(Level.OK, what)


# Control groups


def _quota(machine: ProcFs, context: Context) -> Found:
    limits = cgroup.quotas(machine)
    if limits is None:
        return Found(Level.UNKNOWN, "the control groups of this process cannot be seen")
    if not limits:
        return Found(Level.OK, "no limit on CPU time")
    limit = min(limits, key=lambda quota: quota.cpus)
    throttled = context.watched.after.throttled
    now = throttled - context.watched.before.throttled
    what = f"a quota of {limit.cpus:g} CPUs for {_counted(context.threads, 'sender')}"
    what += f", used up {_counted(throttled, 'time')}" if throttled else ""
    if now or limit.cpus < context.threads:
        return Found(Level.BAD, f"{what}, {now} of them now" if now else what, limit.lift)
    # The controlling side, and the kernel's work for it, need CPU time, too.
    if throttled or limit.cpus < context.threads + 0.5:
        return Found(Level.WARN, what, limit.lift)
    return Found(Level.OK, what)


def _cpuset(machine: ProcFs, context: Context) -> Found:
    allowed, online = parse_cpus(machine.status("Cpus_allowed_list")), machine.online()
    if not allowed:
        return Found(Level.UNKNOWN, "/proc/self/status cannot be read")
    senders = context.cpus[: context.threads]
    if forbidden := set(senders) - set(allowed) - unclaimed(layout(machine), allowed):
        mend = f"measure: {{cpus: [{', '.join(map(str, allowed))}]}} in the matrix"
        return Found(Level.BAD, f"{cpu_words(forbidden)} may not be used", mend)
    if set(allowed) - set(senders):
        return Found(Level.OK, f"{cpu_words(allowed)} of {cpu_list(online)} may be used")
    what = f"no CPU is left beside {cpu_words(senders)} of the senders"
    if set(allowed) < set(online):
        mend = f"taskset -c {cpu_list(online)} bench run MATRIX, if no cpuset forbids it"
        return Found(Level.NOTE, what, mend)
    return Found(Level.NOTE, what, "one thread less" if len(senders) > 1 else "")


# Interrupts


def _irqbalance(machine: ProcFs, _context: Context) -> Found:
    names = {machine.text(path) for path in machine.glob("proc/[0-9]*/comm")}
    if not names:
        return Found(Level.UNKNOWN, "other processes cannot be seen")
    if "irqbalance" in names:
        return Found(Level.WARN, "irqbalance is running", "sudo systemctl stop irqbalance")
    return Found(Level.OK, "irqbalance is not running")


def _interrupts(machine: ProcFs, context: Context) -> Found:
    irqs = context.watched.after.irqs
    if not irqs:
        return Found(Level.UNKNOWN, "/proc/interrupts cannot be read")
    rates = context.watched.irq_rates(context.senders)
    routed = [number for number in irqs if _is_routed(machine, number, context)]
    rate = sum(rates.values())
    busiest = next(iter(rates), None)
    what = f"{rate:.0f} interrupts/s on {cpu_words(context.senders)}, {len(routed)} routed there"
    if busiest is None or rate < IRQS_NOTE:
        return Found(Level.OK, what)
    what += f"; most from {irqs[busiest].name}, {rates[busiest]:.0f}/s"
    level = Level.WARN if rate >= IRQS_WARN else Level.NOTE
    home = cpu_list(set(machine.online()) - set(context.senders))
    if not home:
        return Found(level, what, "leave a CPU to the interrupts: fewer threads")
    return Found(level, what, f"echo {home} | sudo tee /proc/irq/{busiest}/smp_affinity_list")


def _is_routed(machine: ProcFs, number: int, context: Context) -> bool:
    """Whether an interrupt may come to a sender's CPU."""
    return not set(context.senders).isdisjoint(irq_cpus(machine, number))


CHECKS = (
    Check(
        "virtual machine",
        "The hypervisor may take the CPU away between any two instructions, and need not count "
        "it as steal: only rounds that are compared within milliseconds stand that.",
        _virtual,
    ),
    Check(
        "steal",
        "Stolen time passes on every clock but the sender's work: it lowers pps, and comes in "
        "bursts longer than a slice.",
        _steal,
    ),
    Check(
        "load",
        "What runs beside a sender takes turns with it, empties its caches, and lowers the "
        "clock of all cores.",
        _load,
    ),
    Check(
        "CPU quota",
        "When a control group's quota is used up, all its threads stand still until the next "
        "period, up to 100 ms: ten slices.",
        _quota,
    ),
    Check(
        "CPU set",
        "Without a CPU beside those of the senders, the controlling thread and everything else "
        "run on theirs.",
        _cpuset,
    ),
    Check(
        "irqbalance",
        "It moves interrupts between CPUs every ten seconds: in the middle of a run the same "
        "cell may get another neighbour.",
        _irqbalance,
    ),
    Check(
        "interrupts",
        "An interrupt, and the softirq after it, runs on top of the sender, and its time counts "
        "as the sender's.",
        _interrupts,
    ),
)
