"""QEMU: always that of one Debian release, whatever is installed here."""

from __future__ import annotations

from functools import partial

from tools.guest import archive
from tools.guest.architecture import AMD64, Architecture

SUITE = "bookworm-backports"
"""QEMU 10.0. Up to 8.0 one CPU may translate code while another patches it, and keep the old code:
Linux 7.3 died of that in bond_start_xmit in every third failover, and sometimes at boot."""


def fetch(architecture: Architecture) -> list[str]:
    """The command that starts it with its own libraries, down to libc; cached or downloaded.

    Raises BenchError if the archive cannot be reached.
    """
    package = architecture.qemu
    download = partial(archive.download_all, [package], SUITE, AMD64)
    folder = archive.unpacked("qemu" if architecture == AMD64 else package, download)
    libraries = (folder / part / "x86_64-linux-gnu" for part in ("lib", "usr/lib"))
    firmware = (str(folder / "usr/share" / part) for part in ("qemu", "seabios"))
    return [
        str(folder / "lib64/ld-linux-x86-64.so.2"),
        *("--library-path", ":".join(map(str, libraries))),
        str(folder / f"usr/bin/qemu-system-{architecture.machine}"),
        *(argument for each in firmware for argument in ("-L", each)),
    ]
