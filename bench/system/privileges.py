"""What this process may do: gain what is missing in a user namespace, give up what is not needed.

A user namespace must be made while there is one thread, and capabilities are a thread's own, which
those that it starts inherit (``struct cred`` is per task): both come before any thread is there.
``os.unshare`` came with Python 3.12 and nothing of the rest with any, hence libc.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from enum import IntEnum, StrEnum
from pathlib import Path

from bench.base.errors import BenchError


class Capability(IntEnum):
    """Those that some part of a run needs, as in include/uapi/linux/capability.h."""

    CAP_DAC_OVERRIDE = 1
    CAP_SETPCAP = 8
    CAP_NET_ADMIN = 12
    CAP_NET_RAW = 13
    CAP_IPC_LOCK = 14
    CAP_SYS_MODULE = 16
    CAP_SYS_ADMIN = 21
    CAP_SETFCAP = 31


class Standing(StrEnum):
    """As what this process runs."""

    ROOT = "root"
    CAPABILITIES = "capabilities"
    """Another user, who was given all of NEEDED."""
    USER_NAMESPACE = "user namespace"
    """All of NEEDED, but over what this namespace owns alone."""
    NONE = "none"


NEEDED = frozenset({Capability.CAP_NET_ADMIN, Capability.CAP_NET_RAW, Capability.CAP_SYS_ADMIN})
"""Without these there is no interface to send on: namespaces, links in them, packet sockets."""


WORKER = NEEDED | {Capability.CAP_IPC_LOCK}
"""What the sending process keeps: SYS_ADMIN to enter a namespace (setns), NET_RAW for a packet
socket, NET_ADMIN for SO_SNDBUFFORCE, IPC_LOCK for MAP_LOCKED beyond RLIMIT_MEMLOCK."""


GAINED = WORKER | {Capability.CAP_SETPCAP}
"""What the controlling process has in a user namespace: what it hands to workers (also to one that
takes the place of another that died), and SETPCAP so that they can shrink their bounding set."""


CONTROLLER = GAINED | {Capability.CAP_DAC_OVERRIDE}
"""What it keeps as root: under sudo results, and the checkout itself, are in a folder of another
user. (In a user namespace it would pass over the modes of the user's own files.)"""


LOADER = CONTROLLER | {Capability.CAP_SYS_MODULE}
"""What it has as root until ``gain``: the modules of a plan are loaded before."""


CLONE_NEWUSER = 0x10000000


CLONE_NEWNET = 0x40000000
"""include/uapi/linux/sched.h"""


_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 23, 24, 38
"""include/uapi/linux/prctl.h"""


_CAPABILITY_VERSION_3 = 0x20080522


_WHOLE = ["0", "0", "4294967295"]
"""The map of the first user namespace."""


_libc = ctypes.CDLL(None, use_errno=True)


def settle() -> None:
    """At the start of the process: keep what it needs, or what it takes to gain that.

    Raises BenchError where /proc is missing, without which nobody knows what this process is.
    """
    if not Path("/proc/self").exists():
        raise BenchError("/proc is not there, which bench reads: mount -t proc proc /proc")
    shed(LOADER if is_enough() else CONTROLLER | {Capability.CAP_SETFCAP})


def gain() -> None:
    """Have all of NEEDED, and no more than the rest takes: where some of it is missing, in a user
    namespace made for this process.

    Where that is refused nothing is raised: cells that need no interface can run, and what the
    others meet then says so in the words of ``remedy``.
    """
    if is_enough():
        shed(CONTROLLER)
    elif enter_user_namespace():
        shed(GAINED)


def is_enough() -> bool:
    return held() >= NEEDED and _owns_network()


def enter_user_namespace() -> bool:
    """Move this process into a new one as its root; whether it was allowed.

    The network namespace must come with it, in one call: only then may this process come back to
    it (setns asks for CAP_SYS_ADMIN over the user namespace that owns it).
    """
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")  # gid_map is refused before
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    except OSError:
        # AppArmor lets the namespace be made, but not be used; root is not mapped without
        # CAP_SETFCAP (Linux 5.12). What would work in it now would be gone after the next exec.
        shed(frozenset())
        return False
    return True


def shed(keep: frozenset[Capability]) -> None:
    """Give up all other capabilities for good: in this thread and in all that it starts, also by
    exec (bounding set, no_new_privs). What is inheritable and ambient shrinks alike."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    number = 0
    while _libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(number)) >= 0:
        if number not in keep:
            # EPERM to whom lacks CAP_SETPCAP; nothing comes back to him either: no_new_privs.
            _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number))
        number += 1
    sets = _capget()
    kept = _words(keep)
    for word, has in enumerate(sets):
        has.effective &= kept[word]
        has.permitted &= kept[word]
        has.inheritable &= kept[word]
    if _libc.capset(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), sets) != 0:
        raise BenchError(f"cannot give up capabilities: {os.strerror(ctypes.get_errno())}")


def held() -> frozenset[Capability]:
    """Those of ours that are effective, over whichever user namespace this is."""
    sets = _capget()
    return frozenset(c for c in Capability if sets[c // 32].effective >> c % 32 & 1)


def standing() -> Standing:
    if not held() >= NEEDED:
        return Standing.NONE
    if Path("/proc/self/uid_map").read_text().split() != _WHOLE:
        return Standing.USER_NAMESPACE
    return Standing.ROOT if os.geteuid() == 0 else Standing.CAPABILITIES


def remedy(capability: str) -> str:
    """What to do where the kernel refused something for want of a capability."""
    match standing():
        case Standing.NONE:
            return f"needs root ({capability}) or a user namespace: {obstacle()}"
        case Standing.USER_NAMESPACE:
            return f"needs root ({capability} outside of this user namespace); try sudo"
        case _:
            return f"needs root ({capability}); try sudo"


# Why there is no user namespace

_SWITCHES = (
    ("kernel.unprivileged_userns_clone", "0", "1"),  # Debian's and Ubuntu's own
    ("user.max_user_namespaces", "0", "10000"),
    ("user.max_net_namespaces", "0", "10000"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),  # Ubuntu, from 23.10 on
)
"""Each sysctl that forbids it: its name, the value that does, one that does not."""


def obstacle(root: Path = Path("/")) -> str:
    """What forbids an ordinary user a user namespace with a network namespace, and what helps.

    The kernel only says EPERM or ENOSPC; what is known to be behind that is looked at in turn.
    """
    for name, forbids, allows in _SWITCHES:
        if _text(root / "proc/sys" / name.replace(".", "/")) == forbids:
            return f"{name} is {forbids}; try sudo, or sudo sysctl -w {name}={allows}"
    if not (root / "proc/self/ns/user").exists():
        return "this kernel is without CONFIG_USER_NS; try sudo"
    if "Seccomp:\t2" in _text(root / "proc/self/status"):
        return (
            "refused, and a seccomp filter is at work (a container's?): give the container "
            "CAP_SYS_ADMIN and CAP_NET_ADMIN, or a filter that lets unshare() pass"
        )
    return "refused by a limit (user.max_user_namespaces) or a security module; try sudo"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


# capget(2), capset(2)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Word(ctypes.Structure):
    """32 capabilities of each set."""

    effective: int
    permitted: int
    inheritable: int
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _capget() -> ctypes.Array[_Word]:
    sets = (_Word * 2)()
    if _libc.capget(ctypes.byref(_Header(_CAPABILITY_VERSION_3, 0)), sets) != 0:
        raise BenchError(f"cannot read capabilities: {os.strerror(ctypes.get_errno())}")
    return sets


def _words(capabilities: Iterable[Capability]) -> tuple[int, int]:
    mask = sum(1 << capability for capability in capabilities)
    return mask & 0xFFFFFFFF, mask >> 32


def _owns_network() -> bool:
    """Whether this process may come back to its network namespace: by trying.

    Not in a user namespace that was made without one (``unshare -r``, ``podman unshare``).
    """
    with open("/proc/thread-self/ns/net") as own:
        return bool(_libc.setns(own.fileno(), CLONE_NEWNET) == 0)
