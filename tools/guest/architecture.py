"""The kinds of computers that QEMU emulates, and their differences."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Architecture:
    """``name`` is Debian's, ``machine`` the kernel's and the compiler's (uname -m).

    ``qemu`` is the package with its emulator. ``serial`` is the name of its serial ports without
    the number: the first is the console, the second takes reports.
    """

    name: str
    machine: str
    qemu: str
    computer: Sequence[str]
    serial: str
    command_line: str = ""

    @property
    def is_here(self) -> bool:
        """Whether this computer's own programs run on it."""
        return self.machine == platform.machine()


AMD64 = Architecture(
    name="amd64",
    machine="x86_64",
    qemu="qemu-system-x86",
    computer=("-machine", "q35", "-cpu", "max"),
    serial="ttyS",
    # The clock source watchdog is useless under emulation, and every other clock is a slow device.
    command_line="tsc=reliable",
)
ARM64 = Architecture(
    name="arm64",
    machine="aarch64",
    qemu="qemu-system-arm",
    # A server's core, with pages of 16 KiB too. That of "max" spends its time on signing pointers.
    computer=("-machine", "virt", "-cpu", "neoverse-n1"),
    serial="ttyAMA",
)
