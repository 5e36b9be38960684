"""The file system that a virtual machine starts with: files of this computer, under their names.

Nothing is compressed: under emulation, inflating takes longer than copying.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import BinaryIO

from bench.base.errors import BenchError
from bench.engines import core
from bench.topology import link
from tools.guest import foreign
from tools.guest.architecture import Architecture
from tools.guest.archive import ROOT

_PROGRAMS = (
    "sh bash ip tc ethtool ping tcpdump strace setpriv unshare nsenter taskset mount umount dmesg "
    "sysctl cat cp cut date df env false find free grep head id kill ln ls mkdir mv nproc ps pwd "
    "readlink rm sed seq sleep sort stat tail tee test timeout touch tr true uname wc"
)
"""Copied if this computer has them."""

_NOT_STANDARD = {"test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip"}
"""Large parts of the standard library that nothing here imports."""
_NOT_PACKAGES = {"scipy", "numpy"}
"""Some 200 MB, which comparisons and the answer above a table need."""
_BASE = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"


class Archive:
    """A cpio archive as the kernel unpacks it (Documentation/driver-api/early-userspace).

    Several may follow each other in one file. All its files belong to root.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._names: set[Path] = set()

    def add(self, path: Path) -> None:
        """A file of this computer under its own name, with every link on the way to it."""
        for part in [*reversed(path.parents), path]:
            if part.is_symlink():
                target = part.readlink()
                self.link(part, target)
                beyond = os.path.normpath(part.parent / target)
                self.add(Path(beyond) / path.relative_to(part))
                return
        if path.is_dir():
            self.folder(path)
        else:
            self.place(path, path)

    def place(self, path: Path, name: Path) -> None:
        """A file or a link of this computer under another name."""
        if name in self._names:
            return
        if path.is_symlink():
            self.link(name, path.readlink())
            return
        info = path.stat()
        mode = 0o755 if info.st_mode & 0o100 else 0o644
        # The times tell Python whether its compiled files are those of their sources.
        self._entry(name, stat.S_IFREG | mode, path.read_bytes(), int(info.st_mtime))

    def folder(self, path: Path, mode: int = 0o755) -> None:
        self._entry(path, stat.S_IFDIR | mode)

    def write(self, path: Path, content: bytes | str, mode: int = 0o644) -> None:
        content = content.encode() if isinstance(content, str) else content
        self._entry(path, stat.S_IFREG | mode, content)

    def link(self, path: Path, target: Path) -> None:
        self._entry(path, stat.S_IFLNK | 0o777, os.fsencode(target))

    def console(self) -> None:
        """Process 1's standard input and output before anything is mounted."""
        self._entry(Path("/dev/console"), stat.S_IFCHR | 0o600, device=(5, 1))

    def close(self) -> None:
        self._record("TRAILER!!!", 0, b"", 0, (0, 0))

    def _entry(
        self,
        path: Path,
        mode: int,
        content: bytes = b"",
        mtime: int = 0,
        device: tuple[int, int] = (0, 0),
    ) -> None:
        """Folders come before their files; of two entries with one name the first counts."""
        if path in self._names or path == Path("/"):
            return
        self.folder(path.parent)
        self._names.add(path)
        self._record(str(path).lstrip("/"), mode, content, mtime, device)

    def _record(
        self, name: str, mode: int, content: bytes, mtime: int, device: tuple[int, int]
    ) -> None:
        encoded = os.fsencode(name) + b"\0"
        inode = len(self._names)
        fields = [inode, mode, 0, 0, 1, mtime, len(content), 0, 0, *device, len(encoded), 0]
        head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        for part in (head, content):
            self._out.write(part)
            self._out.write(bytes(-len(part) % 4))


# Its content


def write_system(out: BinaryIO, architecture: Architecture) -> None:
    """The part that depends neither on the kernel nor on the job."""
    archive = Archive(out)
    archive.console()
    archive.folder(Path("/root"), 0o700)
    archive.folder(Path("/tmp"), 0o1777)
    archive.write(Path("/etc/passwd"), _PASSWD)
    archive.write(Path("/etc/group"), _GROUP)
    # -I -S: process 1 needs the standard library alone.
    script = (ROOT / "tools/guest/init.py").read_text()
    archive.write(Path("/init.py"), script)
    # By a shell: in a line of #! the interpreter's path would end at its first space.
    start = f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS /init.py\n"
    archive.write(Path("/init"), start, 0o755)
    if architecture.is_here:
        _add_ours(archive)
    else:
        _add_foreign(archive, architecture)
    archive.close()


def _add_ours(archive: Archive) -> None:
    """This computer's programs, and Python with its packages."""
    with ThreadPoolExecutor() as pool:
        debians = pool.submit(_debians)  # takes as long as the rest
        packages = (path for each in _distributions() for path in _files(each))
        files = [*packages, *_checkout(), *_cores(), *_programs()]
        for path in files:
            archive.add(path)
        python, libraries = debians.result() or _ours()
    _add_environment(archive, python)
    more = [python, *_library(libraries)]
    for path in [*more, *_libraries(path for path in [*files, *more] if _is_elf(path))]:
        archive.add(path)


def _add_foreign(archive: Archive, architecture: Architecture) -> None:
    """The same for another architecture; only pure Python files come from this computer."""
    packages = (
        path for each in _distributions() if not _is_compiled(each) for path in _files(each)
    )
    for path in [*packages, *_checkout()]:
        archive.add(path)
    place, wheels = Path(sysconfig.get_path("platlib")), _wheels(architecture)
    for path in wheels.rglob("*"):
        if path.is_file():
            archive.place(path, place / path.relative_to(wheels))
    for variant, path in zip(("", "test"), _cores(), strict=True):
        archive.write(path, foreign.core(architecture, variant), 0o755)
    for path, name in foreign.files(foreign.system(architecture), _PROGRAMS.split()):
        archive.place(path, name)
    _add_environment(archive, Path("/usr/bin", foreign.PYTHON))


def fetch_parts(architecture: Architecture) -> None:
    """Put into the cache the parts that write_system() does not take from this computer."""
    if not architecture.is_here:
        foreign.fetch(architecture)
        _wheels(architecture)


def build_environment(architecture: Architecture) -> dict[str, str]:
    """The variables that are in the hash of a machine's core."""
    if architecture.is_here:
        return core.build_environment()
    return foreign.build_environment(architecture)


def _wheels(architecture: Architecture) -> Path:
    """The folder of the compiled packages, in the versions that are installed here."""
    compiled = [each for each in _distributions() if _is_compiled(each)]
    pinned = [f"{each.name}=={each.version}" for each in compiled]
    return foreign.packages(architecture, pinned, Path(sysconfig.get_path("platlib")))


def _add_environment(archive: Archive, python: Path) -> None:
    """The virtual environment, with the machine's interpreter."""
    for name in ("python", "python3", python.name):
        archive.link(Path(sys.prefix, "bin", name), python)
    archive.write(Path(sys.prefix, "pyvenv.cfg"), f"home = {python.parent}\n")


def _library(folders_of_it: Iterable[str]) -> Iterator[Path]:
    """The standard library without its large, useless parts."""
    for library in folders_of_it:
        for folder, folders, names in os.walk(library):
            folders[:] = [
                each
                for each in folders
                if each not in _NOT_STANDARD and not each.startswith(("config-", "site-", "dist-"))
            ]
            yield from (Path(folder, each) for each in names if ".opt-" not in each)


def _ours() -> tuple[Path, list[str]]:
    """The interpreter that runs this, and the folders of its standard library."""
    names = ("stdlib", "platstdlib")
    return Path(sys.executable).resolve(), [sysconfig.get_path(name, vars=_BASE) for name in names]


def _debians() -> tuple[Path, list[str]] | None:
    """The same for Debian's Python, if it has our version and imports all our packages, else None.

    It is optimised by a profile, and in one piece: emulated, it takes two thirds of the time of
    pyenv's, which is a shared library without a profile.
    """
    python = Path("/usr/bin", f"python{sys.version_info.major}.{sys.version_info.minor}")
    tried = _trial()
    try:
        told = subprocess.run([python, "-Ic", tried], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return python, told.stdout.splitlines()


def _trial() -> str:
    """A program that succeeds if a Python imports all our packages; it prints the folders of its
    standard library."""
    paths = [str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return f"""
import sys, sysconfig
sys.path += {paths!r}
import bench.measure.runner, {core.__name__}, pytest
from {link.__name__} import pyroute
pyroute()
{core.__name__}.info()
print(sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), sep="\\n")
"""


def _distributions() -> Iterator[metadata.Distribution]:
    """The packages of the virtual environment that bench and its tests import."""
    wanted, found = ["bench", "pytest", "hypothesis"], set(_NOT_PACKAGES)
    folders = sorted({sysconfig.get_path(name) for name in ("purelib", "platlib")})
    while wanted:
        name = re.sub(r"[-_.]+", "-", wanted.pop()).lower()
        if name in found:
            continue
        found.add(name)
        # A requirement for another platform or Python has none.
        for distribution in metadata.distributions(name=name, path=folders):
            yield distribution
            for requirement in distribution.requires or []:
                named = re.match(r"[\w.-]+", requirement)
                if named and "extra ==" not in requirement:
                    wanted.append(named[0])


def _files(distribution: metadata.Distribution) -> Iterator[Path]:
    for file in distribution.files or []:
        path = Path(os.path.normpath(str(distribution.locate_file(file))))
        if path.is_file():
            yield path


def _is_compiled(distribution: metadata.Distribution) -> bool:
    return any(path.suffix == ".so" for path in _files(distribution))


def _cores() -> list[Path]:
    """The compiled core, and its test variant."""
    return [ROOT / "bench" / f"_core{variant}.abi3.so" for variant in ("", "_test")]


def _checkout() -> Iterator[Path]:
    """As it stands, compiled Python included."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=False,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        raise BenchError(f"git ls-files in {ROOT}: {listed.stderr.strip()}")
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file() and not name.startswith("results/"):
            yield path
    for name in ("bench", "tests", "tools"):
        yield from (ROOT / name).rglob("__pycache__/*.pyc")


def _programs() -> Iterator[Path]:
    for name in _PROGRAMS.split():
        if found := shutil.which(name):
            yield Path(found)


def _is_elf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _libraries(files: Iterator[Path]) -> Sequence[Path]:
    """All shared libraries, and the loader, that ldd names for any of some files."""
    shown = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    return sorted({Path(path) for path in re.findall(r"(?:=>|^)\s+(/\S+) \(", shown, re.MULTILINE)})
