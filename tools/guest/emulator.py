"""QEMU: always Debian's of one release, whatever is installed here."""

from __future__ import annotations

from functools import partial

from tools.guest import archive

PACKAGE = "qemu-system-x86"
SUITE = "bookworm-backports"
"""Its 10.0. Up to 8.0 one CPU may still translate what another is patching, and keep it: Linux 7.3
died of that in bond_start_xmit in every third failover, and at times as it booted."""


def fetch() -> list[str]:
    """How to start it, from the cache or the archive; with its own libraries, down to libc.

    Raises BenchError where it cannot be had.
    """
    folder = archive.unpacked("qemu", partial(archive.download_all, PACKAGE, SUITE))
    libraries = (folder / part / "x86_64-linux-gnu" for part in ("lib", "usr/lib"))
    firmware = (str(folder / "usr/share" / part) for part in ("qemu", "seabios"))
    return [
        str(folder / "lib64/ld-linux-x86-64.so.2"),
        *("--library-path", ":".join(map(str, libraries))),
        str(folder / "usr/bin/qemu-system-x86_64"),
        *(argument for each in firmware for argument in ("-L", each)),
    ]
