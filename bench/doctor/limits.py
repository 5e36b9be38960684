"""A matrix's needs of memory and send buffers, against the machine's limits."""

from __future__ import annotations

from collections.abc import Iterator

from bench.base.units import rounded_size
from bench.doctor.finding import Check, Context, Found, Level
from bench.model.needs import Needs
from bench.system.host import MEMORY_SHARE
from bench.system.procfs import CAP_IPC_LOCK, ProcFs

# Memory


def _memory(machine: ProcFs, context: Context) -> Found:
    available = machine.memory_available()
    if available is None:
        return Found(Level.UNKNOWN, "/proc/meminfo cannot be read")
    has = f"{rounded_size(available)} available"
    if context.needs is None:
        return Found(Level.OK, has)
    return _memory_for(context.needs, available * MEMORY_SHARE, has)


def _memory_for(needs: Needs, budget: float, has: str) -> Found:
    if needs.largest > budget:
        return Found(
            Level.BAD,
            f"one cell wants {rounded_size(needs.largest)}, {has}",
            "smaller rings, or more memory",
        )
    what = f"the cells want {rounded_size(needs.memory)}, {has}"
    if needs.memory > budget:
        return Found(Level.WARN, what, "smaller rings, fewer cells at a time (--filter)")
    return Found(Level.OK, what)


def _locked(machine: ProcFs, context: Context) -> Iterator[Found]:
    if context.needs is None or not context.needs.locked:
        return
    limit, wanted = _memlock(machine), context.needs.locked
    if machine.is_capable(CAP_IPC_LOCK):
        yield Found(Level.OK, f"rings of {rounded_size(wanted)} may be locked (CAP_IPC_LOCK)")
    elif limit is None:
        yield Found(Level.UNKNOWN, "/proc/self/limits cannot be read")
    elif wanted > limit:
        what = f"a ring of {rounded_size(wanted)} may not be locked: at most {rounded_size(limit)}"
        yield Found(Level.WARN, what, f"sudo prlimit --memlock={wanted} --pid $$, then run again")
    else:
        sizes = f"{rounded_size(wanted)} may be locked: up to {rounded_size(limit)}"
        yield Found(Level.OK, f"rings of {sizes}")


def _memlock(machine: ProcFs) -> int | None:
    """RLIMIT_MEMLOCK in bytes."""
    for line in (machine.text("proc/self/limits") or "").splitlines():
        if line.startswith("Max locked memory"):
            soft = line.split()[3]
            return 2**63 if soft == "unlimited" else int(soft)
    return None


# Send buffers


def _sndbuf(machine: ProcFs, context: Context) -> Iterator[Found]:
    if context.needs is None or not context.needs.sndbuf:
        return
    most, wanted = machine.number("proc/sys/net/core/wmem_max"), context.needs.sndbuf
    if most is None:
        yield Found(Level.UNKNOWN, "net.core.wmem_max cannot be read")
    elif wanted > most:
        what = f"sndbuf {wanted} is asked for without force, wmem_max is {most}"
        yield Found(Level.WARN, what, f"sudo sysctl -w net.core.wmem_max={wanted}")
    else:
        yield Found(Level.OK, f"wmem_max {most} allows sndbuf {wanted}")


CHECKS = (
    Check(
        "memory",
        "Cells that do not fit beside each other are closed and reopened between slices: their "
        "rings are then other pages, in other places of the caches.",
        _memory,
    ),
    Check(
        "locked memory",
        "mmap(MAP_LOCKED) of a ring beyond RLIMIT_MEMLOCK fails with EAGAIN without CAP_IPC_LOCK; "
        "the cell then runs on a ring that is not locked.",
        _locked,
    ),
    Check(
        "send buffer",
        "SO_SNDBUF silently sets wmem_max if more is asked for: two cells that differ in sndbuf "
        "may be one.",
        _sndbuf,
    ),
)
