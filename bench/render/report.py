"""From a stored run to what a table shows: a row per cell, and what was measured on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.analysis import calibration, figures, summary
from bench.model.results import Report
from bench.model.run import Run
from bench.store import reader
from bench.system.privileges import Standing


def make_report(run: Run) -> Report:
    """The rows and the heading of a run, also of one that is not finished.

    Raises UsageError when its header is not what a run begins with.
    """
    with reader.looking_into(f"{run.path}:1"):
        matrix, precision = run.header["matrix"], float(run.header["measure"]["precision"])
        heading = Report(
            name=matrix["name"],
            description=matrix["description"],
            run=Path(run.path).stem,
            facts=tuple(_facts(run)),
            rows=(),
            baseline=matrix["baseline"],
            notes=tuple(_notes(run)),
        )
    return replace(heading, rows=tuple(summary.summarise(run, precision)))


def is_complete(report: Report, run: Run) -> bool:
    """Whether every cell has valid figures and the run was not cut short."""
    return run.end == "done" and all(row.pps and not row.failure for row in report.rows)


def _facts(run: Run) -> list[tuple[str, str]]:
    header, machine = run.header, run.header["host"]
    measure = header["measure"]
    samples = Counter(sample.cell for sample in run.samples)
    rounds = sorted({samples[cell.id] for cell in run.cells} - {0})
    return [
        ("date", str(datetime.fromisoformat(header["started"]))),
        ("kernel", f"{machine['kernel']} {machine['kernel_version']} {machine['arch']}"),
        ("CPU", f"{machine['cpu']}, {len(machine['cpus_allowed'])} usable"),
        ("cores used", _cores(run)),
        ("virtualisation", machine["virtualisation"]),
        ("mitigations", _mitigations(machine)),
        ("memory", f"{machine['memory_bytes'] / 2**30:.1f} GiB"),
        *_devices(run),
        ("core", f"{header['core']['hash'][:12]}, {header['core']['compiler']}"),
        (
            "measured",
            f"{measure['window_ns'] / 1e6:g} ms slices in {_span(rounds)} rounds, "
            f"shuffled with seed {measure['seed']}",
        ),
        *_privileges(run),
        *_speed(run),
        *_disturbance(run),
        *_doctor(run),
    ]


def _privileges(run: Run) -> list[tuple[str, str]]:
    """Only where some of what a cell may ask for was out of reach."""
    standing = run.header["measure"].get("privileges", Standing.ROOT)
    if standing != Standing.USER_NAMESPACE:
        return []
    return [("privileges", f"{standing}: no SO_SNDBUFFORCE, no MAP_LOCKED beyond ulimit -l")]


def _devices(run: Run) -> list[tuple[str, str]]:
    """What the real interfaces are; the run file has the rest."""
    found = run.header.get("devices", {})
    return [(f"device {name}", _device_text(facts)) for name, facts in found.items()]


_OFFLOADS = {
    "tx-scatter-gather": "sg",
    "tx-checksum-ip-generic": "csum",
    "tx-generic-segmentation": "gso",
    "tx-tcp-segmentation": "tso",
}


def _device_text(facts: Mapping[str, Any]) -> str:
    speed, rings, channels = facts.get("speed_mbit"), facts.get("rings"), facts.get("channels")
    queues = channels["tx"] + channels["combined"] if channels else facts.get("tx_queues")
    features = facts.get("features", [])
    offloads = [short for name, short in _OFFLOADS.items() if name in features]
    parts = [
        " ".join(facts[name] for name in ("driver", "version", "bus") if name in facts),
        f"{speed} Mb/s {facts.get('duplex', '')} duplex" if speed else "speed unknown",
        f"{queues} tx queue{'' if queues == 1 else 's'}" if queues else "",
        f"ring of {rings['tx']}" if rings else "",
        f"offloads {' '.join(offloads)}" if offloads else "",
        f"MTU {facts.get('mtu')}, qdisc {facts.get('qdisc')} as found",
        "in use by others" if facts.get("in_use") else "",
    ]
    return "; ".join(filter(None, parts))


def _speed(run: Run) -> list[tuple[str, str]]:
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
    return [("machine speed", "; ".join(texts))] if texts else []


def _doctor(run: Run) -> list[tuple[str, str]]:
    """What was wrong with the host before the run began."""
    verdict = run.header.get("doctor", {}).get("verdict", "")
    return [("doctor", verdict.removeprefix("doctor: "))] if verdict else []


def _disturbance(run: Run) -> list[tuple[str, str]]:
    """What else the senders' CPUs did while they were measured."""
    if not run.samples:
        return []
    parts = []
    steal, softirq = (figures.share_of_cpus(run.samples, p) for p in ("steal_ns", "softirq_ns"))
    if steal is not None and softirq is not None:  # else it was measured before they were read
        interrupts = sum(sample.interrupts for sample in run.samples)
        shares = f"steal {steal:.1%}, softirq {softirq:.1%} of the senders' CPUs"
        parts = [f"{shares}; {interrupts} interrupts"]
    taken = sum(sample.total("involuntary") for sample in run.samples)
    parts.append(f"{taken} involuntary switches in {len(run.samples)} slices")
    return [("disturbance", ", ".join(parts))]


def _span(counts: list[int]) -> str:
    if not counts:
        return "0"
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def _cores(run: Run) -> str:
    """Those on which windows ended, in the order in which threads get them, and why in this one."""
    measure = run.header["measure"]
    used = {t.cpu for sample in run.samples for t in sample.threads}
    ordered = [cpu for cpu in measure.get("cpus", ()) if cpu in used]
    names = ", ".join(f"CPU {cpu}" for cpu in [*ordered, *sorted(used.difference(ordered))])
    why = measure.get("cpus_why")
    return (names or "none") + (f" ({why})" if why else "")


def _mitigations(machine: Mapping[str, Any]) -> str:
    """Whether any is off, and the command line's word on it; the run file has the whole."""
    options = [o for o in machine["cmdline"].split() if o.startswith("mitigations=")]
    states = machine["mitigations"]
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
