"""The only reader of /proc and /sys: once, below a root that tests choose, or again and again
from files that stay open.

Paths of a ProcFs are relative to its root. A missing or unreadable file is None: a container, an
old kernel and a user without privileges are no errors.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

CPU = "sys/devices/system/cpu"


CAP_IPC_LOCK = 14
"""include/uapi/linux/capability.h"""


_WHOLE_UID_MAP = ["0", "0", "4294967295"]


@dataclass(frozen=True, slots=True)
class ProcFs:
    """/proc and /sys below a root; nothing is ever written, and no program is run."""

    root: Path = Path("/")

    def text(self, path: str) -> str | None:
        """The content of a file without surrounding white space."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """The content of a file that holds one decimal number, else None."""
        text = self.text(path)
        return int(text) if text is not None and re.fullmatch(r"-?\d+", text) else None

    def cpus(self, path: str) -> tuple[int, ...]:
        """The CPUs of a file with a list of them; empty if there is no file."""
        return parse_cpus(self.text(path) or "")

    def glob(self, pattern: str) -> list[str]:
        """The paths that match, sorted."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern))

    def online(self) -> tuple[int, ...]:
        return self.cpus(f"{CPU}/online")

    def release(self) -> str:
        """Such as ``6.1.0-18-amd64``; empty if it cannot be read."""
        return self.text("proc/sys/kernel/osrelease") or ""

    def kernel(self) -> tuple[int, int]:
        """Version and patch level, (0, 0) if they cannot be read."""
        found = re.match(r"(\d+)\.(\d+)", self.release())
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def cmdline(self) -> list[str]:
        """The kernel's boot options."""
        return (self.text("proc/cmdline") or "").split()

    def config(self) -> frozenset[str] | None:
        """The kernel's build options (``=y``), without ``CONFIG_``."""
        text = self._config_gz()
        for path in (f"boot/config-{self.release()}", f"lib/modules/{self.release()}/config"):
            text = self.text(path) if text is None else text
        return None if text is None else frozenset(re.findall(r"^CONFIG_(\w+)=y$", text, re.M))

    def _config_gz(self) -> str | None:
        try:
            return gzip.decompress((self.root / "proc/config.gz").read_bytes()).decode()
        except (OSError, EOFError):
            return None

    def status(self, field: str) -> str:
        """A field of /proc/self/status, empty where it is missing."""
        return _field(self.text("proc/self/status"), field)

    def is_capable(self, capability: int) -> bool:
        """Whether this process has a capability over the whole machine.

        In a user namespace of its own a process has them all, but ``capable()`` asks about the
        first namespace and says no.
        """
        held = int(self.status("CapEff") or "0", 16) >> capability & 1
        return bool(held) and (self.text("proc/self/uid_map") or "").split() == _WHOLE_UID_MAP

    def memory_available(self) -> int | None:
        """Bytes that can be had without swapping (MemAvailable)."""
        words = _field(self.text("proc/meminfo"), "MemAvailable").split()
        return int(words[0]) * 1024 if words else None


def _field(text: str | None, field: str) -> str:
    lines = (line.partition(":") for line in (text or "").splitlines())
    return next((value.strip() for name, _, value in lines if name == field), "")


def parse_cpus(text: str) -> tuple[int, ...]:
    """A list of CPUs as the kernel writes it: ``"0-2,5"`` is (0, 1, 2, 5), ``"(null)"`` none."""
    cpus: list[int] = []
    for first, last in re.findall(r"(\d+)(?:-(\d+))?", text):
        cpus.extend(range(int(first), int(last or first) + 1))
    return tuple(cpus)


def parse_mask(text: str) -> tuple[int, ...]:
    """A mask of CPUs as the kernel writes it: ``"00000001,00000003"`` is (0, 1, 32)."""
    mask = int(text.replace(",", "") or "0", 16)
    return tuple(cpu for cpu in range(mask.bit_length()) if mask >> cpu & 1)


def cpu_list(cpus: Iterable[int]) -> str:
    """The shortest list: ``"0-2,5"``."""
    spans: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if spans and cpu == spans[-1][-1] + 1:
            spans[-1].append(cpu)
        else:
            spans.append([cpu])
    return ",".join(str(s[0]) if len(s) == 1 else f"{s[0]}-{s[-1]}" for s in spans)


def cpu_words(cpus: Iterable[int]) -> str:
    """For a sentence: ``"CPU 1"``, ``"CPUs 0-2,5"``."""
    unique = set(cpus)
    return f"CPU{'' if len(unique) == 1 else 's'} {cpu_list(unique)}"


# Files that stay open

_READ_SIZE = 1 << 16


@contextmanager
def kept_open(path: str) -> Iterator[Callable[[], bytes]]:
    """A file under /proc, read whole at each call: in microseconds, because it stays open."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def content() -> bytes:
        read = b""
        # A seq_file gives no more than a page at a time.
        while part := os.pread(fd, _READ_SIZE, len(read)):
            read += part
        return read

    try:
        yield content
    finally:
        os.close(fd)


class Softirqs(NamedTuple):
    """Runs of the softirqs NET_TX and NET_RX, summed over all CPUs."""

    net_tx: int
    net_rx: int


def softnet_drops(text: bytes) -> int:
    """/proc/net/softnet_stat: a line per CPU, in hexadecimal (net/core/net-procfs.c).

    Its second column: frames dropped at a full backlog; here summed over the machine.
    """
    return sum(int(line.split(maxsplit=2)[1], 16) for line in text.splitlines())


def softirqs(text: bytes) -> Softirqs:
    """/proc/softirqs: a line per softirq, a column per CPU (fs/proc/softirqs.c)."""
    return Softirqs(_row_sum(text, b"NET_TX:"), _row_sum(text, b"NET_RX:"))


def _row_sum(text: bytes, label: bytes) -> int:
    start = text.index(label) + len(label)
    return sum(map(int, text[start : text.index(b"\n", start)].split()))
