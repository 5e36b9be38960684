"""The host's faults that would spoil a measurement of packet transmit, and how to mend them.

A check is one function and one row of a CHECKS table: it says what it found, why that matters and
how to mend it. All is read from /proc and /sys through a ProcFs; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.doctor import contention, cpus, kernel, limits, network
from bench.doctor.finding import Check, Context, Finding, Found, Level
from bench.doctor.readings import watch
from bench.model.needs import Needs
from bench.system.procfs import ProcFs

__all__ = [
    "CHECKS",
    "Check",
    "Context",
    "Finding",
    "Level",
    "Needs",
    "ProcFs",
    "as_json",
    "consult",
    "diagnosis",
    "examine",
    "verdict",
]

CHECKS: tuple[Check, ...] = (
    *cpus.CHECKS,
    *contention.CHECKS,
    *kernel.CHECKS,
    *network.CHECKS,
    *limits.CHECKS,
)

INTERVAL_S = 0.2
"""Between the two readings: twenty ticks of /proc/stat per CPU, which show 5 % of its time."""
SAID_IN_VERDICT = 4


def examine(
    machine: ProcFs,
    cpus: Sequence[int],
    needs: Needs | None = None,
    interval_s: float = INTERVAL_S,
) -> tuple[Finding, ...]:
    """Every check's findings, the most serious first.

    Thread i of a cell sends on ``cpus[i]``; ``needs`` are a matrix's, if there is one.
    Takes little more than ``interval_s`` seconds, in which this process sleeps. Never fails:
    a file that cannot be read is a finding of level UNKNOWN.
    """
    return consult(machine, Context(tuple(cpus), needs, watch(machine, interval_s)))


def consult(machine: ProcFs, context: Context) -> tuple[Finding, ...]:
    """Every check's findings; the counters were already read twice."""
    findings = [
        Finding(found.level, check.name, found.what, check.why, found.mend)
        for check in CHECKS
        for found in _look(check, machine, context)
    ]
    order = list(Level)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.level)))


def _look(check: Check, machine: ProcFs, context: Context) -> tuple[Found, ...]:
    try:
        found = check.look(machine, context)
        return (found,) if isinstance(found, Found) else tuple(found)
    except (ValueError, LookupError) as error:  # another kernel's wording must not end a run
        return (Found(Level.UNKNOWN, f"not understood: {error}"),)


def verdict(findings: Sequence[Finding]) -> str:
    """One line: how many findings spoil a measurement, and which."""
    bad = [finding for finding in findings if finding.level == Level.BAD]
    warnings = [finding for finding in findings if finding.level == Level.WARN]
    counts = [f"{len(bad)} bad"] if bad else []
    if warnings:
        counts.append(f"{len(warnings)} warning{'s' if len(warnings) > 1 else ''}")
    if not counts:
        return "doctor: found nothing that would spoil a measurement"
    said = [finding.found for finding in (*bad, *warnings)]
    more = len(said) - SAID_IN_VERDICT
    said[SAID_IN_VERDICT:] = [f"{more} more"] if more > 0 else []
    return f"doctor: {', '.join(counts)}: {'; '.join(said)}"


def diagnosis(findings: Sequence[Finding]) -> dict[str, Any]:
    """For the header of a run: the verdict, and every finding."""
    return {"verdict": verdict(findings), "findings": as_json(findings)}


def as_json(findings: Sequence[Finding]) -> list[dict[str, str]]:
    """Findings as JSON has them, in their order."""
    return [
        {
            "level": str(finding.level),
            "check": finding.check,
            "found": finding.found,
            "why": finding.why,
            "mend": finding.mend,
        }
        for finding in findings
    ]
