"""``bench run``: plan, build the core if stale, set up, measure, store, print the table."""

from __future__ import annotations

import argparse
import sys

from bench.base.exit_codes import ExitCode
from bench.base.stderr import say
from bench.cli import options, progress, stored, tables

HELP = "run a matrix: set up, measure, store, print the table"
EXAMPLES = (
    "bench run matrices/smoke.yaml",
    "bench run matrices/mmap_vs_sendto.yaml --filter interface=veth --filter frame_size=64",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_matrix(parser)
    options.add_devices(parser)
    options.add_exec(parser)
    options.add_normalise(parser)
    options.add_whole(parser)
    options.add_format(parser)
    options.add_results(parser)
    options.add_quiet(parser)
    stored.add_resume(parser)
    stored.add_wait(parser)


def execute(args: argparse.Namespace) -> int:
    from bench.analysis import calibration
    from bench.analysis.answer import answer_of
    from bench.measure import prepare, runner
    from bench.measure.measuring import measuring
    from bench.render import report
    from bench.render.answer import answered
    from bench.store import reader

    options.load_engines(args)
    wanted = stored.wanted(args)
    matrix, plan = prepare.planned(args.matrix, wanted.filters, args.seed, wanted.settings)
    target = stored.target(args, matrix.name, wanted)
    looking = measuring(
        plan.topologies,
        lambda: stored.diagnosis(plan),
        lambda: options.check_output(args),
        plan.senders,
        args.wait,
    )
    with looking as seen, progress.shown(sys.stderr, args.quiet) as bar:
        bar.stage(seen.found["verdict"])
        if target.resume:  # what cannot be shown is known before it is measured
            # Not before ``looking``: scipy starts threads, which keep what this one gives up there.
            report.make_report(reader.read(target.path))
        run = runner.run(matrix, plan, target, bar, seen, options.allowed(args))
    say(f"stored in {target.path}")
    made = report.make_report(run)
    answer = answer_of(run, made.rows)
    tables.keep(answered(run, made, known=answer), target.path, ["markdown"])
    whole = options.whole(args)
    if args.normalise:
        normal = calibration.normalised(run)
        document = answered(normal, report.make_report(normal), whole)
    else:
        document = answered(run, made, whole, answer)
    options.write(document, args)
    if run.end == "interrupted":
        return ExitCode.INTERRUPTED
    return ExitCode.FINE if report.is_complete(made, run) else ExitCode.INCONCLUSIVE
