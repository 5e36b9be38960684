"""``bench nightly``: measure, compare with the nights before, confirm before an alarm, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base.errors import BenchError, UsageError
from bench.base.exit_codes import ExitCode
from bench.base.stderr import say
from bench.base.units import parse_time
from bench.cli import options, progress, stored, tables

if TYPE_CHECKING:
    from bench.campaign.nightly import Outcome
    from bench.campaign.task import Means, Task

HELP = "run matrices, compare with the nights before, confirm before an alarm; for timers and CI"
EXAMPLES = (
    "bench nightly matrices/nightly.yaml --budget 20min",
    "bench nightly matrices/nightly.yaml matrices/scaling.yaml --commit --junit night.xml",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "matrices", metavar="MATRIX", nargs="+", type=Path, help="matrix files (YAML)"
    )
    options.add_engine(parser)
    options.add_results(parser)
    options.add_quiet(parser)
    options.add_devices(parser)
    options.add_exec(parser)
    parser.add_argument(
        "--budget",
        metavar="TIME",
        type=_budget,
        help="of the whole night (20min, 2h): rounds shrink to fit, cells never do",
    )
    parser.add_argument(
        "--confirm",
        choices=("next", "now"),
        default="next",
        help="who must agree before a change is a regression: the next night (default), or a "
        "second session of this one",
    )
    parser.add_argument(
        "--commit",
        action="store_true",
        help="commit the night's files, and nothing else, on the branch that is checked out",
    )
    stored.add_wait(parser)
    options.add_format(parser)
    options.add_junit(parser)


def _budget(text: str) -> int:
    try:
        return parse_time(text) * 1_000_000_000
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def execute(args: argparse.Namespace) -> int:
    from bench import doctor
    from bench.campaign import commit, lock
    from bench.campaign.budget import Budget
    from bench.campaign.task import Means
    from bench.engines.config import memory_of
    from bench.measure.measuring import measuring
    from bench.plan.needs import needs_of
    from bench.plan.plan import Plan

    budget = Budget.of(args.budget)
    options.load_engines(args)
    tasks = _tasks(args)
    _check_time(tasks, budget)
    if args.commit and (obstacle := commit.check(args.results)):
        say(f"--commit: {obstacle}; else the night is measured, and left for a later one to commit")

    def diagnose(plan: Plan) -> Mapping[str, Any]:
        return doctor.diagnosis(
            doctor.examine(doctor.ProcFs(), plan.cpus, needs_of(plan, memory_of))
        )

    topologies = [spec for task in tasks for spec in task.plan.topologies]
    senders = {cpu for task in tasks for cpu in task.plan.senders}
    ready = measuring(
        topologies, lambda: None, lambda: options.check_output(args), senders, args.wait
    )
    with lock.held(args.results), ready as seen, progress.shown(sys.stderr, args.quiet) as bar:
        means = Means(seen, diagnose, bar, budget, options.allowed(args), args.confirm == "now")
        outcomes = [*_nights(tasks, means)]
        codes = [_code(outcome) for outcome in outcomes]
        for outcome in outcomes:
            codes.append(_keep(outcome, args.commit))
    if args.junit is not None:
        from bench.base.files import write_text
        from bench.render.export import junit

        write_text(args.junit, junit.render(junit.of_nights(outcomes)))
    from bench.render import nightly as rendered

    options.write(rendered.document_of(outcomes), args)
    return next(code for code in _WORST_FIRST if code in codes)


_WORST_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.REGRESSION,
    ExitCode.FAILURE,
    ExitCode.INCONCLUSIVE,
    ExitCode.FINE,
)


def _tasks(args: argparse.Namespace) -> list[Task]:
    """Every matrix is read before one is measured. Raises UsageError."""
    from bench.campaign.task import Task
    from bench.engines import programs
    from bench.measure import prepare
    from bench.store import folders
    from bench.system import host
    from bench.topology.device import check_allowed

    machine = args.machine or host.machine_name()
    found: dict[Path, Path] = {}
    tasks = []
    for file in args.matrices:
        matrix, plan = prepare.planned(file)
        check_allowed(plan.devices, options.allowed(args))
        programs.check_allowed(plan.runnable, args.allow_exec)
        folder = folders.results_folder(args.results, machine, matrix.name)
        if folder in found:
            raise UsageError(
                f"{file}: its name is {matrix.name}, as that of {found[folder]}; "
                "matrices of one night need names of their own"
            )
        found[folder] = file
        tasks.append(Task(matrix, plan, folder, args.machine or ""))
    return tasks


def _check_time(tasks: Sequence[Task], budget: Any) -> None:
    """Raises UsageError where not even the fewest rounds of all fit."""
    from bench.base.units import length_text
    from bench.campaign.budget import least_ns

    wanted = [(task.matrix, task.plan) for task in tasks]
    if budget.for_runs(wanted) is None:
        raise UsageError(
            f"--budget: the fewest rounds of every cell take {length_text(least_ns(wanted))}; "
            "give more time, or fewer matrices"
        )


def _nights(tasks: Sequence[Task], means: Means) -> Iterator[Outcome]:
    from bench.campaign import nightly

    for number, task in enumerate(tasks):
        outcome = nightly.night(task, tasks[number + 1 :], means)
        yield outcome
        if outcome.is_interrupted:
            return


def _code(outcome: Outcome) -> ExitCode:
    from bench.analysis.nightly import Finding

    findings = {of.decision.finding for of in outcome.judged}
    if outcome.is_interrupted:
        return ExitCode.INTERRUPTED
    if outcome.told.failed:
        return ExitCode.FAILURE
    if Finding.REGRESSED in findings:
        return ExitCode.REGRESSION
    if outcome.missing or findings & {Finding.SUSPECTED, Finding.SUSPECT}:
        return ExitCode.INCONCLUSIVE
    return ExitCode.FINE


def _keep(outcome: Outcome, is_committed: bool) -> ExitCode:
    """Write the night's tables, and commit its files if that is asked for."""
    from bench.campaign import commit
    from bench.render import table
    from bench.render.report import make_report
    from bench.store import reader

    if outcome.is_interrupted:
        return ExitCode.INTERRUPTED
    written = []
    if outcome.run and not outcome.told.failed:
        document = table.document_of(make_report(reader.read(outcome.run)))
        written = tables.keep(document, outcome.run, ["markdown", "csv"])
    if not is_committed:
        return ExitCode.FINE
    name, folder = outcome.task.matrix.name, outcome.task.folder
    message = f"{name}: night of {outcome.told.started:%Y-%m-%d %H:%M}"
    try:
        paths = dict.fromkeys([*outcome.files, *written, *commit.left_over(folder)])
        say(f"committed {commit.commit(folder, [*paths], message)}")
    except BenchError as error:
        say(f"{error}; the results stay in {folder}, uncommitted")
        return ExitCode.FAILURE
    return ExitCode.FINE
