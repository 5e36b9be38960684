"""``bench plot``: one picture of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base.errors import UsageError
from bench.base.exit_codes import ExitCode
from bench.cli import options
from bench.render.pictures import KINDS, kind

if TYPE_CHECKING:
    from bench.render.pictures.picture import Choice, Kind, Picture, Subject

HELP = "draw one picture of a run, as SVG or PNG"
EXAMPLES = (
    "bench plot latest --kind ratio -o ratio.svg",
    "bench plot latest --kind heat --x burst --y method -o heat.png",
)
FIGURES = ("pps", "gbps", "ns_per_frame", "ratio")
SUFFIXES = (".svg", ".png", ".json")
NARROWEST, WIDEST = 240, 4000
PNG_SCALE = 2
"""Pixels of a PNG for one of the picture: half of all screens have as many."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser, nargs="+")
    kinds = "; ".join(f"{name}: {what}" for name, what in KINDS.items())
    parser.add_argument("--kind", choices=KINDS, required=True, help=f"what to draw. {kinds}")
    parser.add_argument("--x", metavar="AXIS", default="", help="the horizontal axis (axis, heat)")
    parser.add_argument("--y", metavar="AXIS", default="", help="the vertical axis (heat)")
    parser.add_argument("--figure", choices=FIGURES, default="", help="of what; not of every kind")
    options.add_filter(parser)
    parser.add_argument(
        "--width", type=_width, default=900, metavar="PIXELS", help="of the picture (default: 900)"
    )
    parser.add_argument("--dark", action="store_true", help="in light colours on a dark ground")
    parser.add_argument(
        *("-o", "--output"),
        metavar="FILE",
        type=Path,
        required=True,
        help="the file to write: .svg, .png, or .json for the Vega-Lite specification",
    )


def _width(text: str) -> int:
    if not (text.isdecimal() and len(text) < 6 and NARROWEST <= int(text) <= WIDEST):
        raise argparse.ArgumentTypeError(f"{text!r} is no width; write {NARROWEST} to {WIDEST}")
    return int(text)


def execute(args: argparse.Namespace) -> int:
    from bench.base.files import write_bytes
    from bench.cli import subjects
    from bench.render.pictures import convert
    from bench.render.pictures.picture import Choice, NotDrawn

    suffix = args.output.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"-o {args.output}: its name ends with one of {', '.join(SUFFIXES)}")
    of, choice = kind(args.kind), Choice(args.x, args.y, args.figure)
    _check(args, of, choice)
    options.check_output(args)
    convert.library()
    subject = subjects.subject(args.run, args.filter)
    try:
        picture = of.pictures(subject, choice)[0]
    except NotDrawn as why:
        raise UsageError(f"--kind {args.kind}: {why}") from None
    write_bytes(args.output, _content(args, picture, subject, suffix))
    return ExitCode.FINE


def _check(args: argparse.Namespace, of: Kind, choice: Choice) -> None:
    """No option is passed over in silence."""
    for name in ("x", "y", "figure"):
        if getattr(choice, name) and name not in of.reads:
            raise UsageError(f"--{name}: --kind {args.kind} does not read it")
    several = args.kind == "comparison"
    if len(args.run) > 1 + several:
        most = "two runs at most" if several else "one run"
        raise UsageError(f"--kind {args.kind} draws {most}; {len(args.run)} were named")


def _content(args: argparse.Namespace, picture: Picture, subject: Subject, suffix: str) -> bytes:
    import json

    from bench.render.page import contents
    from bench.render.pictures import convert, theme

    scheme = theme.DARK if args.dark else theme.LIGHT
    below = contents.title_of(subject.run.header)
    spec = convert.standing_alone(picture, args.width, scheme, below)
    if suffix == ".json":
        return json.dumps(spec, indent=1).encode()
    return convert.svg(spec).encode() if suffix == ".svg" else convert.png(spec, PNG_SCALE)
