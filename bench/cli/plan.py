"""``bench plan``: what would run, without setting up or writing anything."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.base import ids
from bench.base.exit_codes import ExitCode
from bench.base.units import length_text
from bench.cli import options
from bench.render import FOR_PEOPLE
from bench.render.document import Document, Fact, Records, Table, count, text_column
from bench.render.facts import programs

if TYPE_CHECKING:
    from bench.measure.estimate import Estimate
    from bench.model.cells import Cell
    from bench.model.matrix import Matrix
    from bench.plan.plan import Plan

HELP = "show what a matrix would run and how long it would take"
EXAMPLES = (
    "bench plan matrices/smoke.yaml --cells",
    "bench plan matrices/scaling.yaml --format json",
)
LONG_OPENING_NS = 5_000_000_000
"""Of opening the cells: what a user would wonder about, in front of a bar that stands still."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_matrix(parser)
    options.add_format(parser)
    parser.add_argument(
        "--cells", action="store_true", help="list every cell as well, as csv and json always do"
    )


def execute(args: argparse.Namespace) -> int:
    from bench.measure import prepare
    from bench.measure.estimate import estimate
    from bench.system.procfs import ProcFs

    options.load_engines(args)
    options.check_output(args)
    matrix, planned = prepare.planned(args.matrix, args.filter, args.seed, args.set)
    told = estimate(planned, matrix, ProcFs())
    document = document_of(matrix, planned, told, args.cells, args.format not in FOR_PEOPLE)
    options.write(document, args)
    return ExitCode.FINE


def document_of(
    matrix: Matrix, planned: Plan, told: Estimate, cells: bool = False, records: bool = True
) -> Document:
    """What would run; ``cells``: with a line for each cell; ``records``: and for programs."""
    return Document(
        records=_records(planned if records else replace(planned, cells=())),
        name=matrix.name,
        description=matrix.description,
        facts=_facts(matrix, planned, told),
        blocks=(_table(planned),) if cells else (),
        notes=_notes(matrix, planned),
    )


def _notes(matrix: Matrix, planned: Plan) -> tuple[str, ...]:
    from bench.analysis.openings import why_no_interval

    measure = matrix.measure
    ratios = sum(1 for cell, base in planned.baselines.items() if cell != base)
    why = why_no_interval(measure.rounds.max, measure.openings, ratios)
    return (why,) if why else ()


def _facts(matrix: Matrix, planned: Plan, told: Estimate) -> tuple[Fact, ...]:
    compared = sum(1 for cell, base in planned.baselines.items() if cell != base)
    cpus = ", ".join(map(str, planned.cpus))
    rounds, openings = matrix.measure.rounds, matrix.measure.openings
    devices = planned.devices
    return (
        count("combinations", planned.combinations),
        count("excluded", planned.excluded),
        count("collapsed", planned.collapsed),
        count("cells", len(planned.cells)),
        Fact("cells that cannot run here", _unfit(planned), "unfit", len(planned.unfit)),
        count("topologies", len(planned.topologies)),
        count("compared with a baseline", compared, "compared_cells"),
        Fact(
            "rounds",
            _span(rounds.min, rounds.max),
            "rounds",
            {"min": rounds.min, "max": rounds.max},
        ),
        Fact("openings", str(openings) if openings > 1 else "", "openings", openings),
        Fact(
            "CPUs, in the order of the threads",
            f"{cpus} ({planned.cpus_why})",
            "cpus",
            list(planned.cpus),
        ),
        programs(planned.cells),
        Fact(
            "memory of rings and buffers",
            f"{told.memory / 2**20:.1f} MiB",
            "memory_bytes",
            told.memory,
        ),
        Fact(
            "estimated time",
            time_text(told),
            "time_ns",
            {"least": told.least_ns, "most": told.most_ns, "opening": told.opening_ns},
        ),
        Fact(
            "needs",
            " ".join(f"--allow-device {name}" for name in devices),
            "devices",
            list(devices),
        ),
    )


def _records(planned: Plan) -> Records:
    from bench.render.records import axis_fields, axis_values

    axes = axis_fields(planned.cells)
    return Records(
        "cells",
        {"cell": ("cell",), **axes, "baseline": ("baseline",), "unfit": ("unfit",)},
        tuple(
            {
                "cell": ids.shown(cell.id),
                "axes": axis_values(cell, axes),
                "baseline": ids.shown(planned.baselines.get(cell.id, "")) or None,
                "unfit": planned.unfit.get(cell.id),
            }
            for cell in planned.cells
        ),
    )


def _table(planned: Plan) -> Table:
    """A line for each cell, with its axes as --filter takes them."""
    return Table(
        (
            text_column("cell", (ids.shown(cell.id) for cell in planned.cells)),
            text_column("axes", (" ".join(_named(cell)) for cell in planned.cells)),
        )
    )


def _named(cell: Cell) -> Iterator[str]:
    """``axis=value`` of each axis that the cell has; that it is there once need not be said."""
    from bench.base.values import value_text
    from bench.model.axes import AXES, Role, role_of

    for name, value in cell.values.items():
        is_single = role_of(name) is Role.REPLICA and value == AXES[name].default
        if value is not None and not is_single:
            yield f"{name}={value_text(value)}"


def _unfit(planned: Plan) -> str:
    """How many cells cannot run here, and why; nothing if all can."""
    if not planned.unfit:
        return ""
    return f"{len(planned.unfit)} ({'; '.join(dict.fromkeys(planned.unfit.values()))})"


def _span(least: object, most: object) -> str:
    return str(least) if least == most else f"{least} to {most}"


def time_text(told: Estimate) -> str:
    """With the least and the most rounds, and of it the opening of cells where that is long."""
    span = _span(length_text(told.least_ns), length_text(told.most_ns))
    if told.opening_ns < LONG_OPENING_NS:
        return span
    return f"{span}, {length_text(told.opening_ns)} of it to open the cells and check their frames"
