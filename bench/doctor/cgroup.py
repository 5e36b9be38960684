"""The limits on this process's CPU time by control groups, version 2 and version 1."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from bench.system.procfs import ProcFs

_MOUNT = re.compile(r"^\S+ \S+ \S+ (\S+) (\S+) .*? - (\S+) \S+ (\S+)$", re.M)
"""A line of /proc/self/mountinfo: root, mount point, file system, its options (proc(5))."""


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit on CPU time.

    ``cpus`` is quota over period: 1.5 is one CPU and a half. ``throttled`` counts the periods in
    which it was used up. ``lift`` is the command that removes it.
    """

    cpus: float
    throttled: int
    lift: str


@dataclass(frozen=True, slots=True)
class _Hierarchy:
    """A mounted hierarchy that has the CPU controller, and this process's place in it."""

    version: int
    mount: str
    root: str
    group: str

    def folders(self) -> Iterator[str]:
        """The group of this process and the mounted groups around it, the innermost first.

        Each one's limit holds (kernel/sched/fair.c throttles a whole subtree).
        """
        below = PurePosixPath(self.group)
        if below.is_relative_to(self.root):  # else a cgroup namespace shows its own paths
            below = below.relative_to(self.root)
        inner = PurePosixPath(self.mount) / str(below).lstrip("/")
        for folder in (inner, *inner.parents):
            yield str(folder).lstrip("/")
            if str(folder) == self.mount:
                return


def quotas(machine: ProcFs) -> tuple[Quota, ...] | None:
    """Every limit on this process's CPU time, the innermost first; None: groups are not visible."""
    hierarchies = list(_hierarchies(machine))
    if not hierarchies:
        return None
    found = [
        quota
        for hierarchy in hierarchies
        for folder in hierarchy.folders()
        if (quota := _READERS[hierarchy.version](machine, folder))
    ]
    return tuple(found)


def throttled(machine: ProcFs) -> int:
    """Periods in which a limit was used up since the groups were made, summed over the limits."""
    return sum(quota.throttled for quota in quotas(machine) or ())


def _hierarchies(machine: ProcFs) -> Iterator[_Hierarchy]:
    groups = _groups(machine.text("proc/self/cgroup") or "")
    for root, mount, kind, options in _MOUNT.findall(machine.text("proc/self/mountinfo") or ""):
        if kind == "cgroup2" and "" in groups:
            yield _Hierarchy(2, mount, root, groups[""])
        elif kind == "cgroup" and "cpu" in options.split(",") and "cpu" in groups:
            yield _Hierarchy(1, mount, root, groups["cpu"])


def _groups(text: str) -> dict[str, str]:
    """/proc/self/cgroup: controller to path; version 2 names no controller ("")."""
    groups = {}
    for controllers, path in re.findall(r"^\d+:([^:]*):(.*)$", text, re.M):
        groups.update(dict.fromkeys(controllers.split(","), path))
    return groups


def _read_v2(machine: ProcFs, folder: str) -> Quota | None:
    limit = re.fullmatch(r"(\d+) ([1-9]\d*)", machine.text(f"{folder}/cpu.max") or "max")
    if limit is None:
        return None
    return Quota(
        cpus=int(limit[1]) / int(limit[2]),
        throttled=_throttled(machine, folder),
        lift=f"echo max | sudo tee /{folder}/cpu.max",
    )


def _read_v1(machine: ProcFs, folder: str) -> Quota | None:
    quota = machine.number(f"{folder}/cpu.cfs_quota_us")
    period = machine.number(f"{folder}/cpu.cfs_period_us")
    if quota is None or quota < 0 or not period:
        return None
    return Quota(
        cpus=quota / period,
        throttled=_throttled(machine, folder),
        lift=f"echo -1 | sudo tee /{folder}/cpu.cfs_quota_us",
    )


def _throttled(machine: ProcFs, folder: str) -> int:
    found = re.search(r"^nr_throttled (\d+)$", machine.text(f"{folder}/cpu.stat") or "", re.M)
    return int(found[1]) if found else 0


_READERS = {1: _read_v1, 2: _read_v2}
