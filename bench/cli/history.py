"""``bench history``: the series of each cell on a machine, and its changes."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base import ids
from bench.base.errors import UsageError
from bench.base.exit_codes import ExitCode
from bench.cli import options

if TYPE_CHECKING:
    from bench.campaign.nights import Night
    from bench.model.cells import Cell

HELP = "show the series of each cell over all nights, its changes and their causes"
EXAMPLES = (
    "bench history nightly --machine vm",
    "bench history matrices/nightly.yaml --since 2026-11-01 --filter interface=veth",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "matrix", metavar="MATRIX", help="a matrix file (YAML), or the name of a matrix"
    )
    parser.add_argument(
        "--cell",
        metavar="ID",
        action="append",
        default=[],
        help="only this cell, one that the matrix has no more, too; may be repeated",
    )
    options.add_filter(parser)
    parser.add_argument(
        "--since",
        metavar="DATE",
        type=options.date,
        help="show nights and changes from then on (2026-11-28); earlier nights still count",
    )
    options.add_results(parser)
    options.add_format(parser)


def execute(args: argparse.Namespace) -> int:
    from bench.campaign import acknowledgements
    from bench.campaign.nights import nights
    from bench.campaign.timeline import timeline
    from bench.render import history
    from bench.store.folders import results_folder
    from bench.system import host

    options.check_output(args)
    name = _name(args.matrix)
    folder = results_folder(args.results, args.machine or host.machine_name(), name)
    found = nights(folder)
    remarks = [odd.text for odd in found.oddities]
    if not found.nights:
        raise UsageError("\n".join([*remarks, _no_nights(args.results, folder)]))
    try:
        known = acknowledgements.read(folder)
    except UsageError as error:
        known = ()
        remarks.append(f"{error}; no change is taken for a known one")
    cells = _cells(args, found.nights)
    _check_since(args, found.nights)
    made = timeline(found.nights, cells, known, folder)
    options.write(history.document_of(made, folder, remarks, args.since), args)
    return ExitCode.FINE


def _name(matrix: str) -> str:
    """Of a matrix: that in the file, or, where there is no such file, the argument itself."""
    from bench.matrix import load

    path = Path(matrix)
    is_name = path.name == matrix and path.suffix not in (".yaml", ".yml") and not path.is_file()
    return matrix if is_name else load.name_in(path)


def _no_nights(results: Path, folder: Path) -> str:
    """What there is instead."""
    if any(folder.glob("*.jsonl*")):
        return f"no run in {folder} is a night; why is told above"
    others = sorted(path.parent.name for path in results.glob(f"*/{folder.name}") if path.is_dir())
    there = [other for other in others if other != folder.parent.name]
    if there:
        return f"no runs in {folder}; --machine is one of {', '.join(there)}"
    beside = sorted(path.name for path in folder.parent.glob("*") if path.is_dir())
    near = difflib.get_close_matches(folder.name, beside, 1)
    hint = f"; did you mean {near[0]}?" if near else "; bench nightly makes some"
    return f"no runs in {folder}{hint}"


def _cells(args: argparse.Namespace, nights: Sequence[Night]) -> list[Cell]:
    """Those of the last night, or those that were asked for. Raises UsageError."""
    from bench.campaign.timeline import cells_of
    from bench.model.cells import axes_of
    from bench.plan import selection

    every = cells_of(nights)
    wanted = dict.fromkeys(map(ids.meant, args.cell))
    for cell in wanted:
        if cell not in every:
            near = difflib.get_close_matches(cell, every, 1)
            there = [ids.shown(name) for name in near or every]
            hint = f"did you mean {there[0]}?" if near else f"one of {', '.join(there)}"
            raise UsageError(f"--cell {ids.shown(cell)}: no night has it; {hint}")
    cells = [every[cell] for cell in wanted] or list(nights[-1].run.cells)
    filters = selection.parse_filters(args.filter, axes_of(cells))
    kept = selection.passing(cells, filters)
    if not kept:
        raise UsageError(f"--filter {' '.join(args.filter)}: no cell has that")
    return [cell for cell in cells if cell.id in kept]


def _check_since(args: argparse.Namespace, nights: Sequence[Night]) -> None:
    """Raises UsageError where nothing is left to be shown."""
    last = nights[-1].started
    if args.since and args.since > last:
        raise UsageError(
            f"--since {args.since:%Y-%m-%d %H:%M}: no night since; the last began "
            f"{last:%Y-%m-%d %H:%M}"
        )
