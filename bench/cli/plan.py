"""``bench plan``: what would run, without setting up or writing anything."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.base.exit_codes import ExitCode
from bench.base.printable import printable
from bench.cli import options

if TYPE_CHECKING:
    from bench.measure.estimate import Estimate
    from bench.model.cells import Cell
    from bench.plan.plan import Plan

HELP = "show what a matrix would run and how long it would take"
LONG_OPENING_NS = 5_000_000_000
"""Of opening the cells: what a user would wonder about, in front of a bar that stands still."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_matrix(parser)
    parser.add_argument("--cells", action="store_true", help="list every cell as well")


def execute(args: argparse.Namespace) -> int:
    from bench.measure import prepare
    from bench.measure.estimate import estimate
    from bench.system.procfs import Machine

    matrix, planned = prepare.planned(args.matrix, args.filter, args.seed)
    told = estimate(planned, matrix, Machine())
    compared = sum(1 for cell, base in planned.baselines.items() if cell != base)
    cpus = ", ".join(map(str, planned.cpus))
    rows = [
        ("combinations", planned.combinations),
        ("excluded", planned.excluded),
        ("collapsed", planned.collapsed),
        ("cells", len(planned.cells)),
        *_unfit(planned),
        ("topologies", len(planned.topologies)),
        ("compared with a baseline", compared),
        ("rounds", _span(matrix.measure.rounds.min, matrix.measure.rounds.max)),
        ("CPUs, in the order of the threads", f"{cpus} ({planned.cpus_why})"),
        ("memory of rings and buffers", f"{told.memory / 2**20:.1f} MiB"),
        ("estimated time", time_text(told)),
    ]
    if devices := planned.devices:
        rows.append(("needs", " ".join(f"--allow-device {name}" for name in devices)))
    width = max(len(label) for label, _ in rows)
    description = " ".join(matrix.description.split())
    print(printable(f"{matrix.name}: {description}".rstrip(": ")))
    for label, value in rows:
        print(printable(f"  {label:{width}}  {value}"))
    if args.cells:
        for cell in planned.cells:
            print(printable(f"{cell.id}  {' '.join(_named(cell))}"))
    return ExitCode.FINE


def _named(cell: Cell) -> Iterator[str]:
    """``axis=value`` of each axis that the cell has; that it is there once need not be said."""
    from bench.base.values import value_text
    from bench.model.axes import AXES, Role

    for name, axis in AXES.items():
        value = cell.values[name]
        is_single = axis.role is Role.REPLICA and value == axis.default
        if value is not None and not is_single:
            yield f"{name}={value_text(value)}"


def _unfit(planned: Plan) -> list[tuple[str, str]]:
    """How many cells cannot run here, and why; nothing if all can."""
    if not planned.unfit:
        return []
    reasons = "; ".join(dict.fromkeys(planned.unfit.values()))
    return [("cells that cannot run here", f"{len(planned.unfit)} ({reasons})")]


def _span(least: object, most: object) -> str:
    return str(least) if least == most else f"{least} to {most}"


def time_text(told: Estimate) -> str:
    """With the least and the most rounds, and of it the opening of cells where that is long."""
    span = _span(_duration(told.least_ns), _duration(told.most_ns))
    if told.opening_ns < LONG_OPENING_NS:
        return span
    return f"{span}, {_duration(told.opening_ns)} of it to open the cells and check their frames"


def _duration(ns: int) -> str:
    seconds = max(1, round(ns / 1e9))
    if seconds < 120:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"
