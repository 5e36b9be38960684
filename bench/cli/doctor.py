"""``bench doctor``: what on this host would spoil a measurement, and how to mend it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base.exit_codes import ExitCode
from bench.cli import options
from bench.render.document import Document, Item, Listing, Records

if TYPE_CHECKING:
    from bench.doctor import Finding
    from bench.plan.plan import Plan

HELP = "say what on this host would spoil a measurement, and how to mend it"
EXAMPLES = (
    "bench doctor",
    "bench doctor matrices/nightly.yaml",
)
SHOWN_CELLS = 6
SPOILING = ("bad", "warn", "note")
"""Levels of findings that are not as they should be."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "matrix",
        metavar="MATRIX",
        nargs="?",
        type=Path,
        help="also what this matrix wants, and which of its cells cannot run here",
    )
    options.add_filter(parser)
    options.add_devices(parser)
    options.add_format(parser)


def execute(args: argparse.Namespace) -> int:
    """Findings are information: the exit code is 0 whatever they are."""
    from bench import doctor
    from bench.base.errors import UsageError
    from bench.engines.config import memory_of
    from bench.measure import prepare, trial
    from bench.measure.measuring import measuring
    from bench.plan.needs import needs_of
    from bench.system import cpus

    options.check_output(args)
    if args.matrix is None and args.filter:
        raise UsageError("--filter: it chooses cells of a MATRIX; name one")
    planned = prepare.planned(args.matrix, args.filter)[1] if args.matrix else None
    machine = doctor.ProcFs()
    if planned is None:
        findings = doctor.examine(machine, cpus.allowed(machine))
        refused = {}
    else:
        with measuring(
            planned.topologies,
            lambda: doctor.examine(machine, planned.cpus, needs_of(planned, memory_of)),
        ) as seen:
            findings, refused = seen.found, trial.unrunnable(planned, options.allowed(args))
    options.write(document_of(findings, planned, refused), args)
    return ExitCode.FINE


def document_of(
    findings: Sequence[Finding], planned: Plan | None, refused: Mapping[str, str]
) -> Document:
    """Findings with the most serious first, then what cannot run, then the verdict."""
    from bench import doctor

    blocks = [Listing(items=tuple(map(_item, findings)))]
    data: dict[str, object] = {"verdict": doctor.verdict(findings)}
    if planned is not None:
        blocks.append(_cells(planned, refused))
        data |= {"cells": len(planned.cells), "unrunnable": dict(refused)}
    fields = ("level", "check", "found", "why", "mend")
    return Document(
        records=Records(
            "findings", {name: (name,) for name in fields}, tuple(doctor.as_json(findings))
        ),
        blocks=(*blocks, Listing(doctor.verdict(findings))),
        data=data,
    )


def _item(finding: Finding) -> Item:
    """What was found; of what is not as it should be also why it matters, and what mends it."""
    said = {"why": finding.why, "mend": finding.mend} if finding.level in SPOILING else {}
    return Item(
        names=(str(finding.level), finding.check),
        text=finding.found,
        details=tuple((label, text) for label, text in said.items() if text),
        severity=str(finding.level),
    )


def _cells(planned: Plan, refused: Mapping[str, str]) -> Listing:
    """Cells that cannot run, gathered by the reason."""
    if not refused:
        return Listing(f"all {len(planned.cells)} cells can run here")
    gathered: dict[str, list[str]] = {}
    for cell, reason in refused.items():
        gathered.setdefault(reason, []).append(cell)
    return Listing(
        f"{len(refused)} of {len(planned.cells)} cells cannot run here:",
        tuple(
            Item((str(len(cells)),), f"{reason} ({_named(cells)})")
            for reason, cells in gathered.items()
        ),
    )


def _named(cells: Sequence[str]) -> str:
    more = len(cells) - SHOWN_CELLS
    return " ".join(cells[:SHOWN_CELLS]) + (f" and {more} more" if more > 0 else "")
