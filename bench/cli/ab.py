"""``bench ab``: both sides interleaved in one run; what B changed, and a verdict per cell."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.base.exit_codes import ExitCode
from bench.base.stderr import say
from bench.cli import options, progress, stored, tables
from bench.cli.compare import exit_code, write_junit

HELP = (
    "measure two sides interleaved in one run (cores, sysctls, values of an axis): what B changed"
)
EXAMPLES = (
    "bench ab matrices/nightly.yaml --sysctl-b net.core.wmem_default=4194304",
    "bench ab matrices/nightly.yaml --core-a ../before --min-effect 2%",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_matrix(parser)
    for side in ("a", "b"):
        parser.add_argument(
            f"--core-{side}",
            metavar="DIR",
            type=Path,
            help=f"a checkout of bench whose core side {side.upper()} has (default: this one's)",
        )
    parser.add_argument(
        "--sysctl-b",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="a sysctl of side B: in its namespaces, or while B is measured; may be repeated",
    )
    parser.add_argument(
        "--set-b",
        metavar="AXIS=VALUE",
        action="append",
        default=[],
        help="a value, as in a matrix, that side B has on an axis; may be repeated",
    )
    options.add_exec(parser)
    options.add_min_effect(parser, 1)
    options.add_every(parser)
    options.add_verbose(parser)
    options.add_format(parser)
    options.add_junit(parser)
    options.add_results(parser)
    options.add_quiet(parser)
    stored.add_resume(parser)
    stored.add_wait(parser)


def execute(args: argparse.Namespace) -> int:
    from bench.campaign import ab
    from bench.measure import runner
    from bench.measure.measuring import measuring
    from bench.topology.link import Allowed

    options.load_engines(args)
    effect = ab.MIN_EFFECT if args.min_effect is None else args.min_effect
    wanted = ab.Wanted(args.core_a, args.core_b, args.sysctl_b, args.set_b)
    chosen = stored.wanted(args, ab.FOLDER)
    of = ab.planned(args.matrix, chosen.filters, args.seed, wanted, effect, chosen.settings)
    target = stored.target(args, of.matrix.name, chosen, ab.FOLDER)
    ready = measuring(
        of.plan.topologies,
        lambda: stored.diagnosis(of.plan),
        lambda: options.check_output(args),
        of.plan.senders,
        args.wait,
    )
    with ready as seen, progress.shown(sys.stderr, args.quiet) as bar:
        bar.stage(seen.found["verdict"])
        with ab.opened(of) as make_opening:
            run = runner.run(
                of.matrix,
                of.plan,
                target,
                bar,
                seen,
                Allowed(programs=args.allow_exec),
                make_opening,
                of.sides,
            )
    say(f"stored in {target.path}")
    from bench.render import sides  # not before: numpy starts threads, which keep what is given up

    result = sides.compared(run)
    tables.keep(sides.document_of(run, result), target.path, ["markdown"])
    write_junit([(run.header.matrix.name, result)], args)
    options.write(sides.document_of(run, result, options.every(args)), args)
    return ExitCode.INTERRUPTED if run.end == "interrupted" else exit_code([result])
