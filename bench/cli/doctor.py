"""``bench doctor``: what on this host would spoil a measurement, and how to mend it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from bench.base.exit_codes import ExitCode
from bench.base.printable import printable
from bench.cli import options

if TYPE_CHECKING:
    from bench.doctor import Finding
    from bench.plan.plan import Plan

HELP = "say what on this host would spoil a measurement, and how to mend it"
SHOWN_CELLS = 6
_COLOURS = {"bad": "\x1b[1;31m", "warn": "\x1b[33m"}
_PLAIN = "\x1b[0m"
_LEVEL, _CHECK = 9, 17
"""Widths of the first two columns."""


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
    parser.add_argument(
        "--format", choices=("terminal", "json"), default="terminal", help="of the findings"
    )


def execute(args: argparse.Namespace) -> int:
    """Findings are information: the exit code is 0 whatever they are."""
    from bench import doctor
    from bench.base.errors import UsageError
    from bench.measure import prepare, trial
    from bench.measure.measuring import measuring
    from bench.plan.needs import needs_of
    from bench.system import cpus

    if args.matrix is None and args.filter:
        raise UsageError("--filter: it chooses cells of a MATRIX; name one")
    planned = prepare.planned(args.matrix, args.filter)[1] if args.matrix else None
    machine = doctor.Machine()
    if planned is None:
        findings = doctor.examine(machine, cpus.allowed(machine))
        refused = {}
    else:
        with measuring(
            planned, lambda: doctor.examine(machine, planned.cpus, needs_of(planned))
        ) as seen:
            findings, refused = seen.found, trial.unrunnable(planned, options.allowed(args))
    if args.format == "json":
        print(json.dumps(_document(findings, planned, refused), indent=2))
        return ExitCode.FINE
    on_terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if on_terminal else options.TABLE_WIDTH
    colour = on_terminal and not os.environ.get("NO_COLOR")
    for line in render(findings, planned, refused, width, colour):
        print(line)
    return ExitCode.FINE


def _document(
    findings: Sequence[Finding], planned: Plan | None, refused: Mapping[str, str]
) -> dict[str, Any]:
    from bench import doctor

    document = doctor.diagnosis(findings)
    if planned is None:
        return document
    return document | {"cells": len(planned.cells), "unrunnable": dict(refused)}


# The terminal


def render(
    findings: Sequence[Finding],
    planned: Plan | None,
    refused: Mapping[str, str],
    width: int,
    colour: bool,
) -> Iterator[str]:
    """Findings with the most serious first, then what cannot run, then the verdict."""
    from bench import doctor

    for finding in findings:
        yield from _finding(finding, width, colour)
    yield ""
    if planned is not None:
        yield from _cells(planned, refused, width)
        yield ""
    yield _wrapped("", doctor.verdict(findings), width)


def _finding(finding: Finding, width: int, colour: bool) -> Iterator[str]:
    """What was found; of what is not as it should be also why it matters, and what mends it."""
    level, indent = f"{finding.level:{_LEVEL}}", " " * (_LEVEL + _CHECK)
    text = _wrapped(f"{level}{finding.check:{_CHECK}}", finding.found, width)
    code = _COLOURS.get(finding.level, "") if colour else ""
    yield f"{code}{level}{_PLAIN}{text[_LEVEL:]}" if code else text
    if finding.level in ("bad", "warn", "note"):
        yield _wrapped(f"{indent}why:  ", finding.why, width)
        if finding.mend:
            yield _wrapped(f"{indent}mend: ", finding.mend, width)


def _cells(planned: Plan, refused: Mapping[str, str], width: int) -> Iterator[str]:
    """Cells that cannot run, gathered by the reason."""
    if not refused:
        yield f"all {len(planned.cells)} cells can run here"
        return
    yield f"{len(refused)} of {len(planned.cells)} cells cannot run here:"
    for reason in dict.fromkeys(refused.values()):
        cells = [cell for cell, its_reason in refused.items() if its_reason == reason]
        yield _wrapped(f"{len(cells):{_LEVEL - 2}}  ", f"{reason} ({_named(cells)})", width)


def _named(cells: Sequence[str]) -> str:
    more = len(cells) - SHOWN_CELLS
    return " ".join(cells[:SHOWN_CELLS]) + (f" and {more} more" if more > 0 else "")


def _wrapped(lead: str, text: str, width: int) -> str:
    return fill(
        printable(text),
        max(width, len(lead) + 40),
        initial_indent=lead,
        subsequent_indent=" " * len(lead),
        break_long_words=False,
        break_on_hyphens=False,
    )
