"""``bench compare``: two sides of runs, a verdict per cell."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.base.exit_codes import ExitCode
from bench.base.printable import printable
from bench.base.stderr import say
from bench.cli import options

if TYPE_CHECKING:
    from bench.analysis.environments import Difference
    from bench.analysis.verdicts import Comparison, RunFigures
    from bench.model.run import Rates

HELP = "compare two runs, or two sets of runs: a verdict per cell"
MOST_HISTORY = 20
"""Runs of the history that are read, the latest first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    for side in ("A", "B"):
        parser.add_argument(
            side.lower(),
            metavar=side,
            help="a run file, a folder or a quoted glob of them, or GIT-REVISION:FILE",
        )
    parser.add_argument("--force", action="store_true", help="compare what is not comparable")
    parser.add_argument(
        "--min-effect",
        type=_fraction,
        metavar="PERCENT",
        help="changes below it are no regression (default 3%%)",
    )
    parser.add_argument(
        "--false-discoveries",
        type=_fraction,
        default=0.01,
        metavar="PERCENT",
        help="of the verdicts regressed and improved, at most so many are wrong (default 1%%)",
    )
    parser.add_argument(
        "--normalise",
        action=argparse.BooleanOptionalAction,
        help="divide by the speed of the calibration cells (default: where both sides have the "
        "same kernel)",
    )
    options.add_format(parser, normalise=False)


def _fraction(text: str) -> float:
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share such as 3% or 0.03")
    return number


def execute(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from bench.analysis import environments, verdicts
    from bench.analysis.verdicts import Verdict
    from bench.base.errors import UsageError
    from bench.render.comparison import render

    sources_a, sources_b = _sources(args.a), _sources(args.b)
    options.check_output(args)
    rates_a, rates_b = _distinct(_read(sources_a)), _distinct(_read(sources_b))
    _refuse_overlap(rates_a, rates_b)
    sides = [*rates_a, *rates_b]
    if args.normalise and (reason := verdicts.uncalibrated(sides)):
        raise UsageError(f"--normalise: {reason}")
    why_not = verdicts.why_not_normalise(sides) if args.normalise is None else ""
    normalise = not why_not if args.normalise is None else args.normalise
    a, b = ([verdicts.figures_of(r, normalise) for r in side] for side in (rates_a, rates_b))
    found = environments.differences(a, b)
    _check(a, b, found, args.force)
    history = _history(sides, normalise)
    result = verdicts.compare(
        a,
        b,
        history,
        _thresholds([*a, *b], args.min_effect),
        args.false_discoveries,
    )
    if all(row.verdict in (Verdict.MISSING, Verdict.NEW) for row in result.rows):
        raise UsageError(_nothing_in_common(args, a, b))
    result = replace(result, normalised=normalise, why_not_normalised=why_not)
    options.write(lambda width, _: render(result, found, args.format, width), args)
    return _exit_code(result)


def _nothing_in_common(args: argparse.Namespace, a: list[RunFigures], b: list[RunFigures]) -> str:
    for text, side in ((args.a, a), (args.b, b)):
        if not any(run.figures for run in side):
            return f"{text} has no valid sample: there is nothing to compare"
    return f"{args.a} and {args.b} have no cell in common; compare runs of one matrix"


def _thresholds(runs: list[RunFigures], given: float | None) -> dict[str, float]:
    """The minimum effect of cells: as the option says, else as the matrix of the last run does."""
    if given is not None:
        return {cell: given for run in runs for cell in run.cells}
    return dict(runs[-1].header.get("thresholds", {}))


def _exit_code(result: Comparison) -> int:
    from bench.analysis.verdicts import Verdict

    verdicts = {row.verdict for row in result.rows}
    if Verdict.REGRESSED in verdicts:
        return ExitCode.REGRESSION
    unsure = verdicts & {Verdict.INCONCLUSIVE, Verdict.MISSING}
    return ExitCode.INCONCLUSIVE if unsure else ExitCode.FINE


def _check(
    a: list[RunFigures], b: list[RunFigures], found: tuple[Difference, ...], force: bool
) -> None:
    """Refuse what is not comparable, unless forced. Raises UsageError."""
    from bench.base.errors import UsageError

    names = {printable(run.header["matrix"]["name"]) for run in (*a, *b)}
    if len(names) > 1:
        raise UsageError(f"runs of different matrices: {', '.join(sorted(names))}")
    bad = [d for d in found if d.incomparable]
    if bad and not force:
        raise UsageError(
            "not comparable: "
            + "; ".join(f"{d.what} is {d.a} in A and {d.b} in B" for d in bad)
            + "; --force compares all the same"
        )


# Which runs


Source = tuple[Path, bytes | None]
"""A run file, and its content where that is not what the file has now."""


def _sources(text: str) -> list[Source]:
    """The run files that an argument names. Raises UsageError if none."""
    from bench.base.errors import UsageError

    revision = _at_revision(text)
    found: list[Source] = [(path, None) for path in _paths(text)] if not revision else [revision]
    if not found:
        raise UsageError(f"{text}: no run file there; name a .jsonl file, a folder or a glob")
    return found


def _distinct(runs: list[Rates]) -> list[Rates]:
    """Each run once, and of its copies the one that got farthest: copies agree, which would be
    taken for how little runs differ."""
    found: dict[object, Rates] = {}
    for run in runs:
        kept = found.setdefault(run.identity, run)
        if kept is not run:
            say(f"{run.path} is the same run as {kept.path}: it counts once")
            found[run.identity] = max(kept, run, key=_slices)
    return [*found.values()]


def _slices(run: Rates) -> int:
    return sum(map(len, run.pps.values()))


def _refuse_overlap(a: list[Rates], b: list[Rates]) -> None:
    """Raise UsageError where a run is on both sides: it would be told to be as it is."""
    from bench.base.errors import UsageError

    of_b = {run.identity: run.path for run in b}
    for run in a:
        if path := of_b.get(run.identity):
            name = run.path if run.path == path else f"{run.path} (also {path})"
            raise UsageError(f"{name} is in A and in B; name runs that are in one of them only")


def _read(sources: list[Source]) -> list[Rates]:
    from bench.store.rates import read_rates

    read = [read_rates(path, content) for path, content in sources]
    for rates in read:
        for warning in rates.warnings:
            say(warning)
    return read


def _paths(text: str) -> list[Path]:
    import glob

    path = Path(text)
    if path.is_dir():
        return sorted(path.glob("*.jsonl"))
    if glob.has_magic(text) and not path.exists():
        names = sorted(glob.glob(text))  # noqa: PTH207 - Path.glob takes no absolute pattern
        return [Path(name) for name in names if name.endswith(".jsonl")]
    return [path]


def _at_revision(text: str) -> Source | None:
    """``HEAD~1:results/x.jsonl`` as git has it; None where the argument is not of that form."""
    import subprocess

    from bench.base.errors import UsageError

    revision, colon, name = text.partition(":")
    if not colon or not revision or Path(text).exists():
        return None
    try:
        command = ["git", "show", "--end-of-options", text]
        shown = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise UsageError(f"{text}: git does not run here: {error.strerror}") from error
    if shown.returncode != 0:
        said = " ".join(shown.stderr.decode(errors="replace").split())
        raise UsageError(f"{text}: {said or 'git does not know it'}")
    return Path(name), shown.stdout


def _beside(path: Path) -> list[Path]:
    """The run files of its folder, the latest first."""
    return sorted(path.parent.glob("*.jsonl"), reverse=True)


def _history(sides: list[Rates], normalise: bool) -> list[RunFigures]:
    """Other runs in the folder of A's that should agree with A's first, the latest of them."""
    from bench.analysis import environments, verdicts
    from bench.base.errors import UsageError
    from bench.store.rates import read_rates

    taken = {run.identity for run in sides}
    found: list[RunFigures] = []
    for path in _beside(Path(sides[0].path)):
        if len(found) == MOST_HISTORY:
            break
        try:
            run = read_rates(path)
        except UsageError:
            continue
        if run.identity in taken or (normalise and verdicts.uncalibrated([*sides, run])):
            continue
        taken.add(run.identity)
        if environments.is_alike(run.header, sides[0].header):
            found.append(verdicts.figures_of(run, normalise))
    return found
