"""From a stored run to what a table shows: a row per cell, and what was measured on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.analysis import calibration, figures, summary
from bench.base.values import Value
from bench.model.header import DeviceFacts, HostFacts
from bench.model.results import CellResult
from bench.model.run import Run
from bench.render.document import Fact
from bench.system.privileges import Standing


@dataclass(frozen=True, slots=True)
class Report:
    """Everything a table shows: what was measured, on what, and a row per cell."""

    name: str
    description: str
    run: str
    facts: tuple[Fact, ...]
    """About the machine and the run, in the order to show."""
    rows: tuple[CellResult, ...]
    baseline: Mapping[str, Value] | None
    notes: tuple[str, ...] = ()


def make_report(run: Run) -> Report:
    """The rows and the heading of a run, also of one that is not finished."""
    matrix = run.header.matrix
    return Report(
        name=matrix.name,
        description=matrix.description,
        run=Path(run.path).stem,
        facts=tuple(Fact(label, text, label, text) for label, text in _facts(run) if text),
        rows=tuple(summary.summarise(run, run.header.measure.precision)),
        baseline=matrix.baseline,
        notes=tuple(_notes(run)),
    )


def is_complete(report: Report, run: Run) -> bool:
    """Whether every cell has valid figures and the run was not cut short."""
    return run.end == "done" and all(row.pps and not row.failure for row in report.rows)


def _facts(run: Run) -> list[tuple[str, str]]:
    """Label and text of each; the text is empty where an old run does not say it."""
    header = run.header
    host, measure = header.host, header.measure
    samples = Counter(sample.cell for sample in run.samples)
    rounds = sorted({samples[cell.id] for cell in run.cells} - {0})
    window = f"{measure.window_ns / 1e6:g} ms slices" if measure.window_ns else "slices"
    seed = "" if measure.seed is None else f", shuffled with seed {measure.seed}"
    usable = f"{len(host.cpus_allowed)} usable" if host.cpus_allowed else ""
    return [
        ("date", str(header.started or "")),
        ("kernel", " ".join(filter(None, (host.kernel, host.kernel_version, host.arch)))),
        ("CPU", ", ".join(filter(None, (host.cpu, usable)))),
        ("cores used", _cores(run)),
        ("virtualisation", host.virtualisation),
        ("mitigations", _mitigations(host)),
        ("memory", f"{host.memory_bytes / 2**30:.1f} GiB" if host.memory_bytes else ""),
        *((f"device {name}", _device_text(facts)) for name, facts in header.devices.items()),
        ("core", ", ".join(filter(None, (header.core.hash[:12], header.core.compiler)))),
        ("measured", f"{window} in {_span(rounds)} rounds{seed}"),
        ("privileges", _privileges(run)),
        ("machine speed", _speed(run)),
        ("disturbance", _disturbance(run)),
        ("doctor", header.doctor.verdict.removeprefix("doctor: ")),
    ]


def _privileges(run: Run) -> str:
    """Only where some of what a cell may ask for was out of reach."""
    standing = run.header.measure.privileges
    if standing != Standing.USER_NAMESPACE:
        return ""
    return f"{standing}: no SO_SNDBUFFORCE, no MAP_LOCKED beyond ulimit -l"


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


def _speed(run: Run) -> str:
    """How fast the calibration cells ran, and how that drifted from first to last quarter."""
    texts = []
    for cell in run.calibration:
        speed = calibration.calibration_speed(run, cell)
        if speed is None:
            continue
        if cell.method == "syscall":
            rate = f"{speed.rate / 1e6:.2f} M system calls/s"
        else:
            rate = f"{speed.rate * cell.frame_size / 2**30:.1f} GiB/s copied"
        texts.append(f"{rate} (drift {speed.drift:+.1%}, spread {speed.spread:.1%})")
    return "; ".join(texts)


def _disturbance(run: Run) -> str:
    """What else the senders' CPUs did while they were measured."""
    if not run.samples:
        return ""
    parts = []
    steal, softirq = (figures.share_of_cpus(run.samples, p) for p in ("steal_ns", "softirq_ns"))
    if steal is not None and softirq is not None:  # else it was measured before they were read
        interrupts = sum(sample.interrupts for sample in run.samples)
        shares = f"steal {steal:.1%}, softirq {softirq:.1%} of the senders' CPUs"
        parts = [f"{shares}; {interrupts} interrupts"]
    taken = sum(sample.total("involuntary") for sample in run.samples)
    parts.append(f"{taken} involuntary switches in {len(run.samples)} slices")
    return ", ".join(parts)


def _span(counts: list[int]) -> str:
    if not counts:
        return "0"
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _cores(run: Run) -> str:
    """Those on which windows ended, in the order in which threads get them, and why in this one."""
    measure = run.header.measure
    used = {t.cpu for sample in run.samples for t in sample.threads}
    ordered = [cpu for cpu in measure.cpus if cpu in used]
    names = ", ".join(f"CPU {cpu}" for cpu in [*ordered, *sorted(used.difference(ordered))])
    why = measure.cpus_why
    return (names or "none") + (f" ({why})" if why else "")


def _mitigations(host: HostFacts) -> str:
    """Whether any is off, and the command line's word on it; the run file has the whole."""
    options = [o for o in host.cmdline.split() if o.startswith("mitigations=")]
    states = host.mitigations
    if states is None:
        return ""
    vulnerable = [name for name, state in states.items() if state.startswith("Vulnerable")]
    mitigated = len(states) - len(vulnerable)
    parts = [f"{mitigated} active"]
    if vulnerable:
        parts.append(f"vulnerable to {', '.join(vulnerable)}")
    return "; ".join([*parts, *options])


def _notes(run: Run) -> list[str]:
    notes = list(run.warnings)
    if run.end == "":
        notes.append("this run was killed, or is still going on: --resume takes it up")
    elif run.end != "done":
        notes.append(f"this run did not finish ({run.end}): --resume takes it up")
    for cell in run.calibration:
        if reason := run.failures.get(cell.id):
            notes.append(f"the calibration cell {cell.method} failed: {reason}")
    return notes
