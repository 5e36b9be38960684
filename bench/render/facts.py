"""What the heading of a run says: each fact in words for people, and typed for programs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence

from bench.analysis import calibration, figures
from bench.analysis.openings import MIN_OPENING_ROUNDS, MIN_OPENINGS
from bench.model.cells import Cell
from bench.model.header import CoreBuild, DeviceFacts, Diagnosis, HostFacts, RunHeader
from bench.model.programs import EXEC, program_of
from bench.model.run import Run
from bench.render.document import Fact
from bench.render.scale import si_text
from bench.system.privileges import Standing


def of(run: Run) -> tuple[Fact, ...]:
    """In the order to show; what an old run does not say is left out."""
    header = run.header
    host = header.host
    found = (
        Fact("date", str(header.started or ""), "started", _iso(run)),
        _machine(header),
        _kernel(host),
        _cpu(host),
        _cores(run),
        Fact("virtualisation", host.virtualisation, "virtualisation", host.virtualisation, ""),
        _mitigations(host),
        _memory(host),
        *_devices(run),
        _core(header.core),
        _engines(header.core),
        programs(run.cells),
        Fact("called with", header.called_with, "called_with", header.called_with or None),
        _measured(run),
        _intervals(run),
        _privileges(run),
        _speed(run),
        _disturbance(run),
        _doctor(header.doctor),
    )
    return tuple(fact for fact in found if fact.text or fact.value)


def _iso(run: Run) -> str | None:
    return run.header.started.isoformat() if run.header.started else None


def _machine(header: RunHeader) -> Fact:
    """In a short heading with what else says where it was."""
    host, name = header.host, header.machine_name
    kernel = host.kernel and f"Linux {host.kernel}"
    short = ", ".join(filter(None, (name, kernel, host.cpu, host.virtualisation)))
    return Fact("machine", name, "machine", name, short)


def _kernel(host: HostFacts) -> Fact:
    parts = {"release": host.kernel, "version": host.kernel_version, "arch": host.arch}
    return Fact("kernel", " ".join(filter(None, parts.values())), "kernel", parts, short="")


def _cpu(host: HostFacts) -> Fact:
    usable = f"{len(host.cpus_allowed)} usable" if host.cpus_allowed else ""
    value = {"model": host.cpu, "usable": list(host.cpus_allowed)}
    return Fact("CPU", ", ".join(filter(None, (host.cpu, usable))), "cpu", value, short="")


def _memory(host: HostFacts) -> Fact:
    text = f"{host.memory_bytes / 2**30:.1f} GiB" if host.memory_bytes else ""
    return Fact("memory", text, "memory_bytes", host.memory_bytes, short="")


def _core(core: CoreBuild) -> Fact:
    text = ", ".join(
        filter(None, (core.hash[:12], core.commit and f"commit {core.commit}", core.compiler))
    )
    return Fact("core", text, "core", dataclasses.asdict(core), short="")


def _engines(core: CoreBuild) -> Fact:
    """Methods of the user's own C files, and the hashes of these."""
    text = ", ".join(f"{name} {digest[:12]}" for name, digest in sorted(core.engines.items()))
    return Fact("C files of your own", text, "engines", dict(core.engines) or None)


def programs(cells: Sequence[Cell]) -> Fact:
    """The commands of methods that are programs."""
    methods = {cell.method: cell.values["method"] for cell in cells if cell.engine == EXEC}
    commands = {name: list(program_of(value).command) for name, value in methods.items()}
    text = "; ".join(f"{name}: {' '.join(command)}" for name, command in commands.items())
    return Fact("programs", text, "programs", commands or None, short="")


def _measured(run: Run) -> Fact:
    measure = run.header.measure
    samples = Counter(sample.cell for sample in run.samples)
    rounds = sorted({samples[cell.id] for cell in run.cells} - {0})
    window = f"{measure.window_ns / 1e6:g} ms slices" if measure.window_ns else "slices"
    seed = "" if measure.seed is None else f", shuffled with seed {measure.seed}"
    return Fact(
        "measured",
        f"{window} in {_span(rounds)} rounds{seed}",
        "measured",
        {
            "window_ns": measure.window_ns or None,
            "rounds": {"min": min(rounds, default=0), "max": max(rounds, default=0)},
            "seed": measure.seed,
        },
        short="",
    )


def _intervals(run: Run) -> Fact:
    """What they are of, in a run of several openings."""
    rounds = Counter(opening for _, opening in {(s.round, s.opening) for s in run.samples})
    full = [opening for opening, count in rounds.items() if count >= MIN_OPENING_ROUNDS]
    text = ""
    if len(full) >= MIN_OPENINGS:
        text = f"from {len(full)} openings"
    elif len(rounds) > 1:
        text = "of the rounds alone: another run may differ by more"
    return Fact("intervals", text, "openings", len(rounds))


def _span(counts: list[int]) -> str:
    if not counts:
        return "0"
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _privileges(run: Run) -> Fact:
    """Only where some of what a cell may ask for was out of reach."""
    standing = run.header.measure.privileges
    text = ""
    if standing == Standing.USER_NAMESPACE:
        text = f"{standing}: no SO_SNDBUFFORCE, no MAP_LOCKED beyond ulimit -l"
    return Fact("privileges", text, "privileges", standing)


# Real interfaces

_OFFLOADS = {
    "tx-scatter-gather": "sg",
    "tx-checksum-ip-generic": "csum",
    "tx-generic-segmentation": "gso",
    "tx-tcp-segmentation": "tso",
}


def _device_text(facts: DeviceFacts) -> str:
    """What figures depend on most; the run file has the rest."""
    channels = facts.channels.get("tx", 0) + facts.channels.get("combined", 0)
    queues = channels if facts.channels else facts.tx_queues
    offloads = [short for name, short in _OFFLOADS.items() if name in facts.features]
    speed = facts.speed_mbit
    parts = [
        " ".join(filter(None, (facts.driver, facts.version, facts.bus))),
        f"{speed} Mb/s {facts.duplex} duplex" if speed else "speed unknown",
        f"{queues} tx queue{'' if queues == 1 else 's'}" if queues else "",
        f"ring of {facts.rings['tx']}" if "tx" in facts.rings else "",
        f"offloads {' '.join(offloads)}" if offloads else "",
        f"MTU {facts.mtu}, qdisc {facts.qdisc or None} as found",
        "in use by others" if facts.in_use else "",
    ]
    return "; ".join(filter(None, parts))


def _devices(run: Run) -> Iterator[Fact]:
    """A line for each, and all of them under one key."""
    devices = run.header.devices
    for name, facts in devices.items():
        yield Fact(f"device {name}", _device_text(facts), short=_device_text(facts).split("; ")[0])
    if devices:
        value = {name: dataclasses.asdict(facts) for name, facts in devices.items()}
        yield Fact("", " ".join(devices), "devices", value)


# CPUs


def _cores(run: Run) -> Fact:
    """Those on which windows ended, in the order in which threads get them, and why in this one."""
    measure = run.header.measure
    used = {t.cpu for sample in run.samples for t in sample.threads}
    ordered = [cpu for cpu in measure.cpus if cpu in used]
    cpus = [*ordered, *sorted(used.difference(ordered))]
    names = ", ".join(f"CPU {cpu}" for cpu in cpus) or "none"
    why = f" ({measure.cpus_why})" if measure.cpus_why else ""
    return Fact("cores used", names + why, "cores_used", cpus, short="")


def _mitigations(host: HostFacts) -> Fact:
    """Whether any is off, and the command line's word on it; the run file has the whole."""
    options = [o for o in host.cmdline.split() if o.startswith("mitigations=")]
    states = host.mitigations
    if states is None:
        return Fact("mitigations", "")
    vulnerable = [name for name, state in states.items() if state.startswith("Vulnerable")]
    active = len(states) - len(vulnerable)
    parts = [f"{active} active"]
    if vulnerable:
        parts.append(f"vulnerable to {', '.join(vulnerable)}")
    return Fact(
        "mitigations",
        "; ".join([*parts, *options]),
        "mitigations",
        {"active": active, "vulnerable": vulnerable, "options": options},
        short="",
    )


# How it went


_OF_SPEED = {"syscall": "of system calls", "null": "of copying"}


def _speed(run: Run) -> Fact:
    """How fast the calibration cells ran, and how that drifted from first to last quarter."""
    texts, short, values = [], [], {}
    for cell in run.calibration:
        speed = calibration.calibration_speed(run, cell)
        if speed is None:
            continue
        values[cell.method] = {
            "frames_per_second": speed.rate,
            "frame_size": cell.frame_size,
            "drift": speed.drift,
            "spread": speed.spread,
        }
        if cell.method == "syscall":
            rate = si_text(speed.rate, " system calls/s")
        else:
            rate = f"{si_text(speed.rate * cell.frame_size, 'B/s')} copied"
        strays = f"drift {speed.drift:+.1%}, spread {speed.spread:.1%}"
        texts.append(f"{rate} ({strays})")
        short.append(f"{strays} {_OF_SPEED.get(cell.method, '')}".strip())
    return Fact("machine speed", "; ".join(texts), "machine_speed", values, "; ".join(short))


def _disturbance(run: Run) -> Fact:
    """What else the senders' CPUs did while they were measured."""
    if not run.samples:
        return Fact("disturbance", "")
    parts: list[str] = []
    interrupts, short = None, None
    steal, softirq = (figures.share_of_cpus(run.samples, p) for p in ("steal_ns", "softirq_ns"))
    if steal is not None and softirq is not None:  # else it was measured before they were read
        interrupts = sum(sample.interrupts for sample in run.samples)
        short = f"steal {steal:.1%}, softirq {softirq:.1%} of the senders' CPUs"
        parts = [f"{short}; {interrupts} interrupts"]
    taken = sum(sample.total("involuntary") for sample in run.samples)
    parts.append(f"{taken} involuntary switches in {len(run.samples)} slices")
    return Fact(
        "disturbance",
        ", ".join(parts),
        "disturbance",
        {
            "steal_share": steal,
            "softirq_share": softirq,
            "interrupts": interrupts,
            "involuntary_switches": taken,
            "slices": len(run.samples),
        },
        short,
    )


def _doctor(diagnosis: Diagnosis) -> Fact:
    """What was wrong with the host before the run began: programs get the checks by level."""
    checks: dict[str, list[str]] = {}
    for finding in diagnosis.findings:
        if isinstance(finding, dict):
            checks.setdefault(str(finding.get("level")), []).append(str(finding.get("check")))
    return Fact("doctor", diagnosis.verdict.removeprefix("doctor: "), "doctor", checks)
