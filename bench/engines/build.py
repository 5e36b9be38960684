"""Builds the compiled core when it is stale.

The SHA-256 of the C sources is compiled into the core. It is compared before the core is loaded,
so that a core older than its sources is rebuilt and never measured.
"""

from __future__ import annotations

import fcntl
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

from bench.base import files, signals
from bench.base.errors import BenchError, UsageError
from bench.base.stderr import say

PACKAGE = Path(__file__).resolve().parents[1]


SOURCES = PACKAGE.parent / "csrc"


ABI3, FREE_THREADED = ".abi3.so", bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
"""Another Python's core: free-threaded ones list its suffix, too, but have another ABI."""


@dataclass(frozen=True, slots=True)
class Place:
    """The C sources of a core, and the folder of what is compiled of them."""

    sources: Path
    compiled: Path

    @classmethod
    def of_checkout(cls, checkout: Path) -> Place:
        """A core of its own for another checkout, which keeps the one that it may have."""
        return cls(checkout / "csrc", checkout / "build" / "core")

    def files(self, name: str) -> list[Path]:
        """The compiled cores that this Python would load, if it had no other."""
        stem = name.rpartition(".")[2]
        suffixes = [each for each in EXTENSION_SUFFIXES if each != ABI3 or not FREE_THREADED]
        paths = (self.compiled / (stem + suffix) for suffix in suffixes)
        return [path for path in paths if path.exists()]


# Which core this process uses


CHECKOUT = "BENCH_CORE_CHECKOUT"
"""The variable that has a process use the core of another checkout."""


def variant() -> str:
    """Which core to use: "" or, with BENCH_CORE=test in the environment, "test"."""
    return os.environ.get("BENCH_CORE", "")


def place() -> Place:
    """Where the core of this process is."""
    if checkout := os.environ.get(CHECKOUT):
        return Place.of_checkout(Path(checkout))
    return Place(SOURCES, PACKAGE)


def recipe(sources: Path = SOURCES) -> ModuleType | None:
    """csrc/ffi_build.py as a module; None where the sources are not there (an installed wheel)."""
    path = sources / "ffi_build.py"
    spec = importlib.util.spec_from_file_location("bench_ffi_build", path)
    if not path.exists() or spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Building


def _is_fresh(at: Place, name: str, source_hash: str) -> bool:
    """Whether exactly one compiled core is there and has the hash of these sources in it."""
    found = at.files(name)
    try:
        return len(found) == 1 and source_hash.encode() in found[0].read_bytes()
    except FileNotFoundError:  # another run is just replacing it
        return False


@contextmanager
def _build_lock(at: Place) -> Iterator[None]:
    """Two runs at the same time build once."""
    files.make_folders(at.compiled)
    with open(at.compiled / ".core.lock", "w") as lock:
        files.hand_over(lock.fileno(), at.compiled)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def missing_compiler() -> str:
    """What to do about it; "" if there is a compiler."""
    if shutil.which(os.environ.get("CC", "gcc").partition(" ")[0]) is None:
        return "no C compiler: install gcc (apt-get install gcc libc6-dev), or set CC"
    return ""


def _build_failure(output: str) -> str:
    """What to do about a failed build, from what the compiler said."""
    if missing_one := missing_compiler():
        return missing_one
    missing = re.search(r"fatal error: '?([^\s':]+)'?(: No such file| file not found)", output)
    if missing:
        header = missing[1]
        package = "python3-dev" if header == "Python.h" else "libc6-dev linux-libc-dev"
        return f"the header {header} is missing: install it (apt-get install {package})"
    lines = output.splitlines()
    said = [line for line in lines if "error:" in line.lower() and not line.startswith(" ")]
    return (said or lines[-1:] or ["no output"])[0].strip()


def _compile(at: Place, name: str, which: str) -> None:
    for killed in at.compiled.glob(".build-*"):
        shutil.rmtree(killed, ignore_errors=True)
    # An interrupted compiler may still be writing when the folder is taken away.
    with tempfile.TemporaryDirectory(
        prefix=".build-", dir=at.compiled, ignore_cleanup_errors=True
    ) as folder:
        build = subprocess.run(
            [sys.executable, str(at.sources / "ffi_build.py"), folder, which],
            capture_output=True,
            text=True,
            check=False,
        )
        if build.returncode != 0:
            raise BenchError(f"cannot build the core: {_build_failure(build.stderr)}")
        built = Path(folder, build.stdout.splitlines()[-1])
        target = at.compiled / built.name
        with open(built, "rb") as file:
            files.hand_over(file.fileno(), at.compiled)
        built.replace(target)
        for other in at.files(name):
            if other != target:
                other.unlink()


def ensure_built(at: Place | None = None) -> str:
    """Build a core (this process's) if it is missing or its sources have changed: its hash.

    The hash is empty where there are no sources. Raises BenchError where it cannot be built, with
    what to install or do.
    """
    at = at or place()
    building = recipe(at.sources)
    if building is None:
        return ""
    name, wanted = building.module_name(variant()), str(building.source_hash(variant()))
    if _is_fresh(at, name, wanted):
        return wanted
    try:
        with _build_lock(at):
            if not _is_fresh(at, name, wanted):
                say("building the C core" + (f" of {at.sources}" if at.sources != SOURCES else ""))
                with signals.raising():
                    _compile(at, name, variant())
    except OSError as error:
        raise BenchError(
            f"the core is missing or older than its sources and {at.compiled} cannot be written "
            f"({error.strerror}): build it with `make` as a user who may"
        ) from error
    return wanted


# Other checkouts


def built_core_of(checkout: Path) -> str:
    """Build the core of another checkout, for ``CHECKOUT``: its hash.

    Raises UsageError if the folder has none, or one that speaks another api.h, BenchError if it
    cannot be built.
    """
    at = Place.of_checkout(checkout)
    api = at.sources / "api.h"
    if not api.is_file() or recipe(at.sources) is None:
        raise UsageError(f"{checkout}: no checkout of bench: it has no csrc/api.h and ffi_build.py")
    if _declarations(api) != _declarations(SOURCES / "api.h"):
        raise UsageError(
            f"{api}: other declarations than {SOURCES / 'api.h'}, which this bench speaks; compare "
            "cores that have the same, or two runs with `bench compare`"
        )
    return ensure_built(at)


def _declarations(api: Path) -> list[str]:
    """The words of a header without its comments."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", api.read_text(), flags=re.DOTALL).split()
