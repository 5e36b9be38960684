"""``bench ack``: a change is known, and silent until the next one; a night begins a new level."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from bench.base import ids
from bench.base.errors import UsageError
from bench.base.exit_codes import ExitCode
from bench.cli import options
from bench.render.document import Document, Json, Listing, Records

HELP = "say that a change is known: it is silent until the next one; or that a night is special"
EXAMPLES = (
    'bench ack all --why "6.19 checks every frame"',
    'bench ack --night 2026-11-28 --note "new BIOS" --matrix nightly',
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "series",
        metavar="CELL|SHIFT",
        nargs="?",
        help="what changed, as `bench nightly` names it: a cell's id, an interface, or all",
    )
    parser.add_argument("--why", metavar="TEXT", help="what made it change")
    parser.add_argument(
        "--night",
        metavar="DATE",
        type=options.date,
        help="from that night on (2026-11-28, or with a time) every series has a new level",
    )
    parser.add_argument("--note", metavar="TEXT", help="what was done to the machine then")
    parser.add_argument("--matrix", metavar="NAME", help="of this matrix only")
    options.add_results(parser)
    options.add_format(parser)


def execute(args: argparse.Namespace) -> int:
    from bench.campaign import acknowledgements
    from bench.campaign.acknowledgements import Acknowledgement

    options.check_output(args)
    folders = _folders(args)
    if args.series is not None and args.why and not (args.night or args.note):
        series = ids.meant(args.series)
        folder, since = _told(folders, series)
        entries = [(folder, Acknowledgement(since=since, why=args.why, series=series))]
    elif args.series is None and args.night and args.note and not args.why:
        entries = [(folder, Acknowledgement(since=args.night, why=args.note)) for folder in folders]
    else:
        raise UsageError("write CELL|SHIFT --why TEXT, or --night DATE --note TEXT")
    rows = []
    for folder, entry in entries:
        path = acknowledgements.add(folder, entry)
        rows.append(
            {"file": str(path), "series": ids.shown(entry.series) or None, "why": entry.why}
        )
        rows[-1]["since"] = entry.since.isoformat()
    options.write(document_of(rows), args)
    return ExitCode.FINE


def document_of(rows: Sequence[dict[str, Json]]) -> Document:
    fields = ("file", "series", "since", "why")
    return Document(
        records=Records("acknowledgements", {name: (name,) for name in fields}, tuple(rows)),
        blocks=tuple(
            Listing(
                f"{row['file']}: {row['series'] or 'every series'} has a new level since "
                f"{row['since']}: {row['why']}"
            )
            for row in rows
        ),
    )


def _folders(args: argparse.Namespace) -> list[Path]:
    """Of the matrices of the machine. Raises UsageError if none."""
    from bench.store.folders import results_folder
    from bench.system import host

    machine = args.machine or host.machine_name()
    root = results_folder(args.results, machine, "any").parent
    found = sorted(path for path in root.glob("*") if path.is_dir())
    if args.matrix:
        found = [path for path in found if path.name == args.matrix]
    if not found:
        of = f"{args.matrix} in {root}" if args.matrix else f"any matrix in {root}"
        raise UsageError(f"no nights of {of}; name --results, --machine and --matrix")
    return found


def _told(folders: Sequence[Path], series: str) -> tuple[Path, datetime]:
    """Where a change was told last, and since when it is there. Raises UsageError."""
    from bench.campaign import told

    found = []
    known: dict[str, None] = {}
    for folder in folders:
        nights, _ = told.all_of(folder)
        for night in reversed(nights):
            changes = [change for change in night.changes if change.series == series]
            known |= dict.fromkeys(change.series for change in night.changes)
            if changes:
                found.append((folder, min(change.since for change in changes)))
                break
    if len(found) > 1:
        names = ", ".join(folder.name for folder, _ in found)
        raise UsageError(f"{ids.shown(series)} changed in {names}; name one with --matrix")
    if not found:
        names = ", ".join(map(ids.shown, known)) or "nothing"
        raise UsageError(f"no night told a change of {ids.shown(series)}; told were: {names}")
    return found[0]
