"""The programs of a virtual machine of another architecture than this computer's.

Programs and Python come from Debian's archive, compiled Python packages as wheels in the virtual
environment's versions, and the core from Debian's cross compiler. None of it is installed or run
here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from bench.base.errors import BenchError
from bench.engines import core as engines_core
from tools.guest import archive
from tools.guest.architecture import AMD64, Architecture
from tools.guest.archive import ROOT

SUITE = "bookworm"
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The only version that compiled Python files and the wheels fit."""
_PACKAGES = (
    *("bash", "coreutils", "dash", "ethtool", "findutils", "grep", "iproute2", "iputils-ping"),
    *("mount", "procps", "sed", "strace", "tcpdump", "util-linux", PYTHON),
)
_NEEDLESS = re.compile(r"(etc|var|usr/share|usr/lib/(.*/)?(gconv|perl|perl-base|dpkg|apt))(/|$)")
"""Large, and useless in a virtual machine."""
_BINARIES = re.compile(r"(usr/)?s?bin/")
_GLIBC = (17, 24, 28, 31, 34)
"""Minor versions of wheels' glibc that bookworm's 2.36 can run: manylinux_2_17 and so on."""


def fetch(architecture: Architecture) -> None:
    """Put Debian's part into the cache."""
    system(architecture)
    _compiler(architecture)


def system(architecture: Architecture) -> Path:
    """The root folder with Debian's programs and Python."""
    return archive.kept(f"system-{architecture.name}", partial(_fill_system, architecture))


def _fill_system(architecture: Architecture, content: Path) -> None:
    archive.unpack(partial(archive.download_all, _PACKAGES, SUITE, architecture), content)
    # Debian's packages do that on installation.
    _compile(content / "usr/lib" / PYTHON, content, Path("/"))


def _compile(folder: Path, start: Path, name: Path) -> None:
    """Compile Python files for the same version elsewhere, where ``start`` is named ``name``."""
    renamed = ("-s", str(start), "-p", str(name))
    compiling = [sys.executable, "-m", "compileall", "-qq", *renamed, str(folder)]
    subprocess.run(compiling, check=False)  # a file that is no Python does no harm


def files(folder: Path, programs: Iterable[str]) -> Iterator[tuple[Path, Path]]:
    """Files and links of a system with their names in the machine; only the named programs."""
    wanted = {*programs, "dash", PYTHON}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if _NEEDLESS.match(str(name)) or (_BINARIES.match(str(name)) and path.name not in wanted):
            continue
        if path.is_symlink() or path.is_file():
            yield path, Path("/", name)


def packages(architecture: Architecture, pinned: Sequence[str], place: Path) -> Path:
    """The folder with Python's packages of these versions ("cffi==2.1.1"), compiled for ``place``.

    Raises BenchError if one has no wheel for the architecture.
    """
    digest = hashlib.sha256(" ".join(sorted(pinned)).encode()).hexdigest()[:10]
    name = f"{PYTHON}-{architecture.name}-{digest}"
    return archive.kept(name, partial(_fill_packages, architecture, pinned, place))


def _fill_packages(
    architecture: Architecture, pinned: Sequence[str], place: Path, content: Path
) -> None:
    platforms = [f"manylinux_2_{minor}_{architecture.machine}" for minor in _GLIBC]
    platforms.append(f"manylinux2014_{architecture.machine}")
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--no-compile", "--only-binary", ":all:", "--target", str(content)),
        *("--implementation", "cp", "--python-version", PYTHON.removeprefix("python")),
        *(word for each in platforms for word in ("--platform", each)),
    ]
    done = subprocess.run([*command, *pinned], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        raise BenchError(f"wheels for {architecture.name}: {(reason or ['pip failed'])[-1]}")
    _compile(content, content, place)


def build_environment(architecture: Architecture) -> dict[str, str]:
    """The variables that the core is built with, without the flags for this computer's core."""
    return {"CC": _compiler(architecture)}


def core(architecture: Architecture, variant: str) -> bytes:
    """The core, compiled from the present sources."""
    ours = engines_core.build_environment()
    others = {name: value for name, value in os.environ.items() if name not in ours}
    with tempfile.TemporaryDirectory(prefix="bench-core-") as folder:
        built = subprocess.run(
            [sys.executable, str(ROOT / "csrc/ffi_build.py"), folder, variant],
            env=others | build_environment(architecture),
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode != 0:
            errors = [line for line in built.stderr.splitlines() if "error:" in line]
            reason = (errors or built.stderr.splitlines()[-1:] or ["no output"])[0].strip()
            raise BenchError(f"cannot build the core for {architecture.name}: {reason}")
        return Path(folder, built.stdout.splitlines()[-1]).read_bytes()


def _compiler(architecture: Architecture) -> str:
    """The command of a cross compiler that runs here."""
    name = f"gcc-{architecture.machine}-linux-gnu"
    return shlex.quote(str(cross(architecture) / name))


def cross(architecture: Architecture) -> Path:
    """The folder with a cross compiler and its libraries."""
    return archive.kept(f"cross-{architecture.name}", partial(_fill_compiler, architecture))


def _fill_compiler(architecture: Architecture, content: Path) -> None:
    name = f"gcc-{architecture.machine}-linux-gnu"
    wanted = [name, f"libc6-dev-{architecture.name}-cross"]
    archive.unpack(partial(archive.download_all, wanted, SUITE, AMD64), content)
    # With libraries of its own, except for libc, and with nothing that is installed here.
    (content / name).write_text(
        f"""#!/bin/sh
here=$(dirname "$0")
export LD_LIBRARY_PATH="$here/usr/lib/x86_64-linux-gnu"
exec "$here/usr/bin/{architecture.machine}-linux-gnu-gcc" --sysroot="$here" "$@"
"""
    )
    (content / name).chmod(0o755)
