"""Runs a plan and stores every sample as it is taken."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.analysis.cell_summaries import summary_of
from bench.base.errors import BenchError, UsageError, told_with_place
from bench.base.units import duration_text, show
from bench.engines import build, checkout, core, own, programs
from bench.measure.local import LocalOpening
from bench.measure.measuring import Seen
from bench.measure.opening import MakeOpening, Setting
from bench.measure.session import Progress, Session
from bench.model.header import (
    CoreBuild,
    DeviceFacts,
    Diagnosis,
    HostFacts,
    MatrixSource,
    RunHeader,
    Settings,
    Side,
)
from bench.model.matrix import Matrix
from bench.model.run import Run
from bench.plan import calibration, schedule
from bench.plan.plan import Plan
from bench.store import reader
from bench.store.writer import RunWriter
from bench.system import cpus, privileges
from bench.topology.device import check_allowed, describe
from bench.topology.link import Allowed


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run is written: a new file in a folder, or an unfinished one that is resumed.

    What is resumed goes on with its own seed; ``seed`` is what that must be, if not None.
    ``machine`` is the user's word for the machine, ``filters`` and ``settings`` are those of the
    plan.
    """

    path: Path
    resume: bool = False
    seed: int | None = None
    machine: str = ""
    filters: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


def run(
    matrix: Matrix,
    planned: Plan,
    target: Target,
    progress: Progress,
    seen: Seen[Mapping[str, Any]],
    allowed: Allowed = Allowed(),  # noqa: B008 - a constant
    make_opening: MakeOpening = LocalOpening,
    sides: tuple[Side, ...] = (),
) -> Run:
    """Run every cell of a plan and store each sample as it is taken.

    ``seen`` is this machine, and what the doctor said of it. ``sides`` are those of a run that has
    two, for its header; ``make_opening`` knows them.

    Raises NotAllowed, before anything is done, if a cell sends on a device that is not allowed, or
    by a program where none is. An
    interrupt (KeyboardInterrupt) ends the run early: what was measured is stored and
    returned, with ``end`` "interrupted". Raises BenchError when there is nothing to go on with
    (the disk is full, namespaces are forbidden); what was stored until then stays.
    """
    check_allowed(planned.devices, allowed)
    programs.check_allowed(planned.runnable, allowed.programs)
    build.ensure_built()
    devices = describe(planned.devices)
    header = replace(
        _header(matrix, planned, seen, devices, sides),
        machine=target.machine,
        filters=target.filters,
        settings=target.settings,
    )
    with RunWriter(target.path, append=target.resume) as writer:
        earlier = None
        if target.resume:  # read only now that nobody else can write it
            earlier = _resumable(matrix, planned, target, header)
            matrix = _with_seed_of(earlier, matrix)
        session = Session(matrix, planned, writer, progress, earlier)
        started = time.monotonic()
        try:
            if earlier is None:
                writer.header(header, planned.cells, calibration.CALIBRATION)
            else:
                writer.resume(_now(), seen.fingerprint.boot_id)
            senders = planned.cpus[: max(cell.threads for cell in planned.runnable)]
            with cpus.kept_off(senders):
                session.run(_setting(matrix, planned, allowed), make_opening)
            end = "done"
        except KeyboardInterrupt:
            end = "interrupted"
        except (BenchError, OSError) as error:
            reason = told_with_place(error) if isinstance(error, OSError) else error
            if session.is_empty and earlier is None:
                writer.discard()
            else:
                writer.end(f"failed: {reason}", wall_s=round(time.monotonic() - started, 3))
            raise
        stored = reader.read(target.path)
        made = summary_of(stored)
        writer.summaries(made.summaries, made.failures)
        writer.end(
            end,
            wall_s=round(time.monotonic() - started, 3),
            windows_s=session.windows_s,
        )
    return replace(stored, end=end)


def _setting(matrix: Matrix, planned: Plan, allowed: Allowed) -> Setting:
    return Setting(
        topologies=planned.topologies,
        topology_of=planned.topology_of,
        cpus=planned.cpus,
        slice_plan=core.SlicePlan(
            window_ns=matrix.measure.window_ns,
            warmup_ns=schedule.WARMUP_NS,
            drain_ns=schedule.DRAIN_NS,
        ),
        core_hash=core.info().hash,
        allowed=allowed,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _header(
    matrix: Matrix,
    planned: Plan,
    seen: Seen[Mapping[str, Any]],
    devices: Mapping[str, DeviceFacts],
    sides: tuple[Side, ...],
) -> RunHeader:
    of_core, measure = core.info(), matrix.measure
    return RunHeader(
        id=secrets.token_hex(8),
        started=datetime.now(UTC).replace(microsecond=0),
        matrix=MatrixSource(matrix.name, matrix.description, matrix.text, matrix.baseline),
        measure=Settings(
            window_ns=measure.window_ns,
            warmup_ns=schedule.WARMUP_NS,
            rounds=measure.rounds,
            openings=measure.openings,
            precision=measure.precision,
            seed=measure.seed,
            cpus=planned.cpus,
            cpus_why=planned.cpus_why,
            privileges=privileges.standing(),
        ),
        core=CoreBuild(of_core.hash, of_core.compiler, checkout.commit(), own.hashes()),
        host=seen.fingerprint,
        devices=devices,
        programs=programs.hashes(planned.runnable),
        doctor=Diagnosis(**seen.found),
        baselines=planned.baselines,
        thresholds=planned.thresholds,
        sides=sides,
    )


def _resumable(matrix: Matrix, planned: Plan, target: Target, now: RunHeader) -> Run:
    """The stored run, if what would be added to it is comparable with what it has."""
    earlier = reader.read(target.path)
    problems = _obstacles(earlier, matrix, planned, target, now)
    if problems:
        raise UsageError(f"cannot resume {target.path}: {problems[0]}; start a new run")
    return earlier


def _obstacles(
    earlier: Run, matrix: Matrix, planned: Plan, target: Target, now: RunHeader
) -> list[str]:
    """Why what would be added to a run were not comparable with what it has.

    ``now`` is the header that a new run would have.
    """
    standing, known = now.measure.privileges, now.host
    header, machine, measure = earlier.header, earlier.header.host, earlier.header.measure
    seed = _seed(earlier, matrix)
    problems = [
        what
        for what, same in {
            "it is finished": earlier.end != "done",
            _other_sides(header.sides): header.sides == now.sides,
            _other_cells(header): {c.id for c in earlier.cells} == {c.id for c in planned.cells},
            "it has other baselines": dict(header.baselines) == dict(now.baselines),
            "the core has changed since": header.core.hash == now.core.hash,
            _other_engines(header, now): header.core.engines == now.core.engines,
            _other_kernel(machine, known): _same_kernel(machine, known),
            _other_machine(header, now): _same_machine(header, now),
            f"it ran with other privileges than {standing}": (measure.privileges in ("", standing)),
            "a device is not as it was": header.devices == now.devices,
            f"it is shuffled with seed {seed}, not {target.seed}": target.seed in (None, seed),
        }.items()
        if not same
    ]
    problems += _other_measure(measure, now.measure)
    problems += _changed("program", header.programs, now.programs)
    if measure.cpus not in ((), planned.cpus):
        problems.append(f"it ran on {_listed(measure.cpus)}, not {_listed(planned.cpus)}")
    problems += _changed("mitigation of", machine.mitigations, known.mitigations)
    problems += _changed("sysctl", machine.sysctls, known.sysctls)
    return problems


def _other_sides(sides: Sequence[Side]) -> str:
    if not sides:
        return "it is no run of two sides"
    return "it is a run of two other sides: give `bench ab` those that it has"


def _other_cells(header: RunHeader) -> str:
    """A run is of cells, not of a text: comments, order and names may have changed since."""
    if header.called_with:
        return f"it has other cells: it was called with {header.called_with}"
    return "it has other cells"


def _other_engines(then: RunHeader, now: RunHeader) -> str:
    """Of which methods of the user's own the C files are not what they were."""
    was, is_ = then.core.engines, now.core.engines
    changed = sorted(name for name in {*was, *is_} if was.get(name) != is_.get(name))
    return f"it has other C files (--engine) of {', '.join(changed)}"


def _other_measure(then: Settings, now: Settings) -> Iterator[str]:
    """How it measured otherwise; of what an older header does not say nothing."""
    old = {**asdict(then), "window": then.window_ns and duration_text(then.window_ns)}
    new = {**asdict(now), "window": duration_text(now.window_ns)}
    for name in ("window", "warmup_ns", "rounds", "openings", "precision"):
        if old[name] not in (0, {"min": 0, "max": 0}) and old[name] != new[name]:
            yield f"it has {name} {show(old[name])}, not {show(new[name])}"


def _kernel(host: HostFacts) -> tuple[str, str]:
    return host.kernel, host.kernel_version


def _same_kernel(then: HostFacts, now: HostFacts) -> bool:
    """As far as an older header says."""
    pairs = zip(_kernel(then), _kernel(now), strict=True)
    return all(old in ("", new) for old, new in pairs)


def _other_kernel(then: HostFacts, now: HostFacts) -> str:
    rebooted = "rebooted" if then.boot_id not in ("", now.boot_id) else "changed"
    return (
        f"the machine has {rebooted} since, to another kernel: it ran on {' '.join(_kernel(then))}"
    )


def _same_machine(then: RunHeader, now: RunHeader) -> bool:
    """The user's word decides; without one on either side the hostname and the CPU do."""
    if then.machine and now.machine:
        return then.machine == now.machine
    return (then.host.hostname, then.host.cpu) == (now.host.hostname, now.host.cpu)


def _other_machine(then: RunHeader, now: RunHeader) -> str:
    was, is_ = (header.machine_name for header in (then, now))
    if was == is_:
        was, is_ = then.host.cpu, now.host.cpu
    hint = "" if then.machine and now.machine else "; --machine NAME decides, if given both times"
    return f"it is from another machine ({was}, this is {is_}{hint})"


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(f"CPU {number}" for number in numbers)


def _changed(what: str, then: Mapping[str, str] | None, now: Mapping[str, str] | None) -> list[str]:
    """Each fact that is another one than then; none where it was not read."""
    if then is None or now is None:
        return []
    names = sorted(name for name in {*then, *now} if then.get(name) != now.get(name))
    return [
        f"{what} {name} was {then.get(name, 'not there')}, is {now.get(name, 'not there')}"
        for name in names
    ]


def _with_seed_of(earlier: Run, matrix: Matrix) -> Matrix:
    """The matrix as the run has it that is resumed: --seed may have been another than its own."""
    return replace(matrix, measure=replace(matrix.measure, seed=_seed(earlier, matrix)))


def _seed(earlier: Run, matrix: Matrix) -> int:
    seed = earlier.header.measure.seed
    return matrix.measure.seed if seed is None else seed
