"""The header of a run: what was measured, how, where and with what.

A field has a default where files of older versions lack it: "", None, 0 or empty is "not known".
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bench.base.values import Value
from bench.model.matrix import Rounds


@dataclass(frozen=True, slots=True)
class MatrixSource:
    """The matrix of a run: its text whole, and what readers need of it."""

    name: str
    description: str = ""
    text: str = ""
    baseline: Mapping[str, Value] | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How a run measured; thread i was pinned to ``cpus[i]``, chosen for ``cpus_why``.

    ``rounds`` were to be shared among ``openings``. ``precision`` is the half-width of the 95 %
    interval of the ratio that was asked for, a fraction. ``privileges`` is one of
    ``system.privileges.Standing``.
    """

    window_ns: int = 0
    warmup_ns: int = 0
    rounds: Rounds = field(default_factory=lambda: Rounds(0, 0))
    openings: int = 1
    precision: float = 0.01
    seed: int | None = None
    cpus: tuple[int, ...] = ()
    cpus_why: str = ""
    privileges: str = ""


@dataclass(frozen=True, slots=True)
class CoreBuild:
    """The C core that measured: the hash of its sources, its compiler with flags, and the commit
    that was checked out around them, as ``git describe`` has it. ``engines`` maps methods of the
    user's own C files to the hashes of these."""

    hash: str = ""
    compiler: str = ""
    commit: str = ""
    engines: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of a run has that the other has not.

    ``core`` is the hash of its core's sources, ``checkout`` the folder that it is from where that
    is not this bench's. ``sysctls`` maps names to values, ``settings`` axes to values. All are
    empty on a side that is as the matrix has it.
    """

    label: str = ""
    core: str = ""
    checkout: str = ""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The machine's fingerprint: figures depend on it, and a reader of a run cannot see it.

    ``boot_id`` is another one after each boot.
    ``mitigations`` maps each vulnerability of this CPU to what the kernel does about it;
    ``sysctls`` maps names to values. Both are None where they were not read.
    """

    hostname: str = ""
    kernel: str = ""
    kernel_version: str = ""
    arch: str = ""
    cpu: str = ""
    cpus_online: str = ""
    cpus_allowed: tuple[int, ...] = ()
    memory_bytes: int = 0
    virtualisation: str = ""
    mitigations: Mapping[str, str] | None = None
    cmdline: str = ""
    clocksource: str = ""
    governor: str = ""
    python: str = ""
    sysctls: Mapping[str, str] | None = None
    boot_id: str = ""


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """A real interface as a run found it; ``features`` are those that were on.

    ``rings``, ``channels`` and ``coalesce`` map the names of ethtool's counts to their values.
    """

    state: str = ""
    kind: str = ""
    mtu: int | None = None
    txqueuelen: int | None = None
    tx_queues: int | None = None
    qdisc: str = ""
    driver: str = ""
    version: str = ""
    firmware: str = ""
    bus: str = ""
    speed_mbit: int | None = None
    duplex: str = ""
    rings: Mapping[str, int] = field(default_factory=dict)
    channels: Mapping[str, int] = field(default_factory=dict)
    coalesce: Mapping[str, int] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    in_use: bool | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the doctor said before the run began: its verdict, and each finding as JSON has it."""

    verdict: str = ""
    findings: tuple[Any, ...] = ()


def options_text(settings: Sequence[str], filters: Sequence[str]) -> str:
    """``--set burst=1,64 --filter interface=veth``, quoted where a shell needs that."""
    options = [("--set", text) for text in settings] + [("--filter", text) for text in filters]
    return " ".join(f"{option} {shlex.quote(text)}" for option, text in options)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """What a run file says at its top, but for the cells.

    ``machine`` is the user's word for the machine (--machine), ``filters`` are those that chose the
    cells (--filter), ``settings`` give axes other values than the matrix does (--set); all may be
    empty.
    ``baselines`` maps a cell to its baseline, ``thresholds`` to its minimum effect (a fraction).
    ``devices`` are the real interfaces by name, ``programs`` the SHA-256 of the file of each
    method that is a program, by its name. ``sides`` are A and B of a run of `bench ab`, in which
    the baseline of each cell of B is the same cell of A; other runs have none.
    """

    id: str = ""
    started: datetime | None = None
    matrix: MatrixSource
    measure: Settings = field(default_factory=Settings)
    core: CoreBuild = field(default_factory=CoreBuild)
    host: HostFacts = field(default_factory=HostFacts)
    devices: Mapping[str, DeviceFacts] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    doctor: Diagnosis = field(default_factory=Diagnosis)
    sides: tuple[Side, ...] = ()
    machine: str = ""
    filters: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    baselines: Mapping[str, str]
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def called_with(self) -> str:
        """What chose the cells on the command line, as a shell takes it."""
        return options_text(self.settings, self.filters)

    @property
    def machine_name(self) -> str:
        """The user's word for the machine, else its hostname: a container has another one each
        night."""
        return self.machine or self.host.hostname

    @property
    def identity(self) -> tuple[object, ...]:
        """What copies of one run have in common, wherever they are and however far it got.

        Runs of older versions have no id: when and where they began tells them apart.
        """
        if self.id:
            return (self.id,)
        return (self.started, self.host.hostname, self.measure.seed, self.matrix.name)
