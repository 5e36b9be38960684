"""A kernel that Debian has no package of, with pages of 64 KiB: built from Debian's sources.

It has no modules. What builds it comes from Debian's archive, into the cache, but for gcc, make and
perl, which build programs that run here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.base.errors import BenchError
from tools.guest import archive, foreign
from tools.guest.architecture import AMD64, ARM64

FLAVOUR = "arm64-64k"
"""As Debian would call it."""
ARCHITECTURE = ARM64
CONFIG = Path(__file__).with_name(f"{FLAVOUR}.config")
_TOOLS = ("bc", "bison", "flex")
_SOURCES = "linux-source-"


def offered() -> list[str]:
    """The series whose sources the archive has, such as 6.1."""
    names = archive.names(rf"^{_SOURCES}[0-9.]+$", AMD64)
    return [name.removeprefix(_SOURCES) for name in names]


def fetch(name: str, series: str) -> Path:
    """The folder of a name with a kernel, laid out as in a package; cached or built.

    Raises BenchError if it cannot be built.
    """
    tools = archive.unpacked("kernel-tools", _download_tools)
    make = partial(_make, foreign.cross(ARCHITECTURE), tools)
    return archive.kept(name, partial(_fill, series, make))


def _download_tools(folder: Path) -> None:
    archive.download_all(_TOOLS, foreign.SUITE, AMD64, folder)


def _fill(series: str, make: Callable[..., None], content: Path) -> None:
    sources, objects = _sources(series, content.with_name("sources")), content.with_name("objects")
    print(f"kernels: building Linux {series}: minutes, and 2 GB for as long", file=sys.stderr)
    objects.mkdir()
    make(sources, objects, f"KCONFIG_ALLCONFIG={CONFIG}", "allnoconfig")
    if lacking := _lacking((objects / ".config").read_text()):
        raise BenchError(f"Linux {series} cannot have {', '.join(lacking)}")
    make(sources, objects, "Image")
    modules = content / "lib/modules" / series
    modules.mkdir(parents=True)
    shutil.copy(objects / "modules.builtin", modules)
    (content / "boot").mkdir()
    shutil.copy(
        objects / f"arch/{ARCHITECTURE.name}/boot/Image", content / f"boot/vmlinuz-{series}"
    )


def _sources(series: str, folder: Path) -> Path:
    archive.unpack(partial(archive.download, f"{_SOURCES}{series}", AMD64), folder)
    (packed,) = (folder / "usr/src").glob(f"{_SOURCES}*.tar.xz")
    with tarfile.open(packed) as tar:
        tar.extractall(folder)
    return folder / f"{_SOURCES}{series}"


def _lacking(configured: str) -> list[str]:
    """The options of CONFIG that a kernel does not have, as others that they need are missing."""
    wanted = {line for line in CONFIG.read_text().splitlines() if line.startswith("CONFIG_")}
    return sorted(wanted.difference(configured.splitlines()))


def _make(compiler: Path, tools: Path, sources: Path, objects: Path, *arguments: str) -> None:
    """Run the kernel's make, with our own compiler and tools."""
    path = [str(folder / "usr/bin") for folder in (compiler, tools)]
    environment = {
        **os.environ,
        "PATH": ":".join([*path, os.environ["PATH"]]),
        "LD_LIBRARY_PATH": str(compiler / "usr/lib/x86_64-linux-gnu"),
        "BISON_PKGDATADIR": str(tools / "usr/share/bison"),
        "M4": str(tools / "usr/bin/m4"),
    }
    made = subprocess.run(
        [
            *("make", "-s", f"-j{os.cpu_count()}", "-C", str(sources), f"O={objects}"),
            *(f"ARCH={ARCHITECTURE.name}", f"CROSS_COMPILE={ARCHITECTURE.machine}-linux-gnu-"),
            *arguments,
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        errors = [line for line in made.stderr.splitlines() if "rror" in line]
        reason = (errors or made.stderr.splitlines() or ["no output"])[0].strip()
        raise BenchError(f"make {arguments[-1]} of the kernel: {reason}")
