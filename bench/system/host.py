"""The machine's fingerprint: the facts that figures depend on and a result's reader cannot see.

Everything is read from /proc and /sys; a missing fact is left out, never guessed.
"""

from __future__ import annotations

import platform
import resource
import socket
import sys
from pathlib import Path

from bench.base.errors import BenchError
from bench.model.header import HostFacts
from bench.system import cpus, hardware
from bench.system.procfs import ProcFs

VULNERABILITIES = Path("/sys/devices/system/cpu/vulnerabilities")


FEWEST_FILES = 64


SYSCTLS = (
    "net.core.wmem_default",
    "net.core.wmem_max",
    "net.core.netdev_max_backlog",
    "net.core.netdev_budget",
    "net.core.netdev_budget_usecs",
    "net.core.default_qdisc",
)


MEMORY_SHARE = 0.5
"""Share of the free memory that rings and buffers of open cells may take."""


def machine_name() -> str:
    return socket.gethostname() or "machine"


def fingerprint() -> HostFacts:
    """What the machine is.

    In a user namespace net.core.* is out of sight: look before (``measuring``).
    """
    return HostFacts(
        hostname=machine_name(),
        kernel=platform.release(),
        kernel_version=platform.version(),
        arch=platform.machine(),
        cpu=hardware.cpu_model(ProcFs()),
        cpus_online=_read("/sys/devices/system/cpu/online"),
        cpus_allowed=tuple(cpus.allowed(ProcFs())),
        memory_bytes=_meminfo("MemTotal"),
        virtualisation=hardware.virtualisation(ProcFs()) or "unknown",
        mitigations=mitigations(),
        cmdline=_read("/proc/cmdline"),
        clocksource=_read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        python=platform.python_version() + sys.abiflags,  # "t": free-threaded
        sysctls={name: _sysctl(name) for name in SYSCTLS},
        boot_id=boot_id(),
    )


def boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id")


def available_memory() -> int:
    """Bytes that can be had without swapping (MemAvailable)."""
    return _meminfo("MemAvailable")


def raise_file_limit() -> None:
    """Raise the soft limit of open files to the hard one: each socket is a file.

    Raises BenchError if not even a small run could be set up.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < FEWEST_FILES:
        raise BenchError(
            f"at most {most} files may be open here, and set-up needs {FEWEST_FILES}: "
            "raise the limit (ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def mitigations() -> dict[str, str]:
    """Each vulnerability of this CPU, with the kernel's mitigation."""
    if not VULNERABILITIES.is_dir():
        return {}
    found = {path.name: _read(path) for path in sorted(VULNERABILITIES.iterdir())}
    return {name: state for name, state in found.items() if state != "Not affected"}


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _sysctl(name: str) -> str:
    return _read(f"/proc/sys/{name.replace('.', '/')}")


def _meminfo(field: str) -> int:
    for line in _read("/proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    return 0
