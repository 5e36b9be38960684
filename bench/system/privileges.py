"""This process's capabilities: gaining the missing ones in a user namespace, shedding the rest.

A user namespace must be made while there is one thread. Capabilities belong to a thread, and new
threads inherit them (``struct cred`` is per task). So both come before any other thread starts.
``os.unshare`` came with Python 3.12, and the other calls with none, hence libc.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from enum import IntEnum, StrEnum
from pathlib import Path

from bench.base.errors import BenchError


class Capability(IntEnum):
    """The capabilities that parts of a run need, as in include/uapi/linux/capability.h."""

    CAP_CHOWN = 0
    CAP_DAC_OVERRIDE = 1
    CAP_SETPCAP = 8
    CAP_NET_ADMIN = 12
    CAP_NET_RAW = 13
    CAP_IPC_LOCK = 14
    CAP_SYS_MODULE = 16
    CAP_SYS_ADMIN = 21
    CAP_SETFCAP = 31


class Standing(StrEnum):
    """The source of this process's rights."""

    ROOT = "root"
    CAPABILITIES = "capabilities"
    """Another user, with all of NEEDED."""
    USER_NAMESPACE = "user namespace"
    """All of NEEDED, but only over things that this namespace owns."""
    NONE = "none"


NEEDED = frozenset({Capability.CAP_NET_ADMIN, Capability.CAP_NET_RAW, Capability.CAP_SYS_ADMIN})
"""Without these there is no interface to send on: namespaces, links in them, packet sockets."""


WORKER = NEEDED | {Capability.CAP_IPC_LOCK}
"""The sending process keeps SYS_ADMIN to enter a namespace (setns), NET_RAW for a packet socket,
NET_ADMIN for SO_SNDBUFFORCE, IPC_LOCK for MAP_LOCKED beyond RLIMIT_MEMLOCK."""


GAINED = WORKER | {Capability.CAP_SETPCAP}
"""The controlling process in a user namespace keeps a worker's capabilities, because it may have
to start another worker, and SETPCAP, with which a worker shrinks its bounding set."""


CONTROLLER = GAINED | {Capability.CAP_DAC_OVERRIDE, Capability.CAP_CHOWN}
"""As root it keeps DAC_OVERRIDE and CHOWN, too: under sudo, results and the checkout are in another
user's folder, and that user's. (In a user namespace DAC_OVERRIDE would override the modes of the
user's own files.)"""


LOADER = CONTROLLER | {Capability.CAP_SYS_MODULE}
"""As root it keeps SYS_MODULE until ``gain``: the modules of a plan are loaded before."""


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
    """At the start of the process: shed all but what a run needs, or needs for ``gain``.

    Raises BenchError if /proc is missing, which shows this process's rights.
    """
    if not Path("/proc/self").exists():
        raise BenchError("/proc is not there, which bench reads: mount -t proc proc /proc")
    shed(LOADER if is_enough() else CONTROLLER | {Capability.CAP_SETFCAP})


def gain() -> None:
    """Get all of NEEDED, if necessary in a user namespace made for this process; shed the rest.

    Raises nothing if that is refused: cells that need no interface can run, and the others then
    fail with the words of ``remedy``.
    """
    if is_enough():
        shed(CONTROLLER)
    elif enter_user_namespace():
        shed(GAINED)


def is_enough() -> bool:
    return held() >= NEEDED and _owns_network()


def enter_user_namespace() -> bool:
    """Move this process into a new user namespace as its root. Returns whether it was allowed.

    A network namespace must be made in the same call: only then may this process come back to it
    (setns asks for CAP_SYS_ADMIN over the user namespace that owns it).
    """
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")  # else the kernel refuses gid_map
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    except OSError:
        # AppArmor allows the namespace, but not its use; from Linux 5.12 on, mapping root needs
        # CAP_SETFCAP. The capabilities that we have in it now would be gone after the next exec.
        shed(frozenset())
        return False
    return True


def shed(keep: frozenset[Capability]) -> None:
    """Give up all other capabilities for good: in this thread and in all that it starts, also by
    exec (bounding set, no_new_privs). The inheritable and ambient sets shrink alike."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    number = 0
    while _libc.prctl(_PR_CAPBSET_READ, ctypes.c_ulong(number)) >= 0:
        if number not in keep:
            # EPERM without CAP_SETPCAP; with no_new_privs no capability comes back then either.
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
    """Our effective capabilities, over the present user namespace."""
    sets = _capget()
    return frozenset(c for c in Capability if sets[c // 32].effective >> c % 32 & 1)


def standing() -> Standing:
    if not held() >= NEEDED:
        return Standing.NONE
    if Path("/proc/self/uid_map").read_text().split() != _WHOLE:
        return Standing.USER_NAMESPACE
    return Standing.ROOT if os.geteuid() == 0 else Standing.CAPABILITIES


def remedy(capability: str) -> str:
    """The next step after the kernel refused something for want of a capability."""
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
"""The sysctls that can forbid it: name, forbidding value, allowing value."""


def obstacle(root: Path = Path("/")) -> str:
    """Why an ordinary user gets no user namespace with a network namespace, and the way out.

    The kernel says only EPERM or ENOSPC; the known causes are tried in turn.
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
    """Whether this process may come back to its network namespace, by trying.

    It may not in a user namespace that was made without one (``unshare -r``, ``podman unshare``).
    """
    with open("/proc/thread-self/ns/net") as own:
        return bool(_libc.setns(own.fileno(), CLONE_NEWNET) == 0)
