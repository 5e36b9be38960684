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
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType

from bench.base import signals
from bench.base.errors import BenchError
from bench.base.stderr import say

PACKAGE = Path(__file__).resolve().parents[1]


SOURCES = PACKAGE.parent / "csrc"


# Building


def variant() -> str:
    """Which core to use: "" or, with BENCH_CORE=test in the environment, "test"."""
    return os.environ.get("BENCH_CORE", "")


def recipe() -> ModuleType | None:
    """csrc/ffi_build.py as a module; None where the sources are not there (an installed wheel)."""
    path = SOURCES / "ffi_build.py"
    spec = importlib.util.spec_from_file_location("bench_ffi_build", path)
    if not path.exists() or spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _compiled(name: str) -> list[Path]:
    """The compiled cores that this Python would load, if it had no other."""
    stem = name.rpartition(".")[2]
    return [path for suffix in EXTENSION_SUFFIXES if (path := PACKAGE / (stem + suffix)).exists()]


def _is_fresh(name: str, source_hash: str) -> bool:
    """Whether exactly one compiled core is there and has the hash of these sources in it."""
    found = _compiled(name)
    try:
        return len(found) == 1 and source_hash.encode() in found[0].read_bytes()
    except FileNotFoundError:  # another run is just replacing it
        return False


@contextmanager
def _build_lock() -> Iterator[None]:
    """Two runs at the same time build once."""
    with open(PACKAGE / ".core.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_failure(output: str) -> str:
    """What to do about a failed build, from what the compiler said."""
    if shutil.which(os.environ.get("CC", "gcc").partition(" ")[0]) is None:
        return "no C compiler: install gcc (apt-get install gcc libc6-dev), or set CC"
    missing = re.search(r"fatal error: '?([^\s':]+)'?(: No such file| file not found)", output)
    if missing:
        header = missing[1]
        package = "python3-dev" if header == "Python.h" else "libc6-dev linux-libc-dev"
        return f"the header {header} is missing: install it (apt-get install {package})"
    lines = output.splitlines()
    said = [line for line in lines if "error:" in line.lower() and not line.startswith(" ")]
    return (said or lines[-1:] or ["no output"])[0].strip()


def _compile(name: str, which: str) -> None:
    for killed in PACKAGE.glob(".build-*"):
        shutil.rmtree(killed, ignore_errors=True)
    # An interrupted compiler may still be writing when the folder is taken away.
    with tempfile.TemporaryDirectory(
        prefix=".build-", dir=PACKAGE, ignore_cleanup_errors=True
    ) as folder:
        build = subprocess.run(
            [sys.executable, str(SOURCES / "ffi_build.py"), folder, which],
            capture_output=True,
            text=True,
            check=False,
        )
        if build.returncode != 0:
            raise BenchError(f"cannot build the core: {_build_failure(build.stderr)}")
        built = Path(folder, build.stdout.splitlines()[-1])
        target = PACKAGE / built.name
        built.replace(target)
        for other in _compiled(name):
            if other != target:
                other.unlink()


def ensure_built() -> None:
    """Build the core if it is missing or its sources have changed.

    Raises BenchError where that is not possible, with what to install or do.
    """
    building = recipe()
    if building is None:
        return
    name, wanted = building.module_name(variant()), building.source_hash(variant())
    if _is_fresh(name, wanted):
        return
    try:
        with _build_lock():
            if not _is_fresh(name, wanted):
                say("building the C core")
                with signals.raising():
                    _compile(name, variant())
    except OSError as error:
        raise BenchError(
            f"the core is missing or older than its sources and {PACKAGE} cannot be written "
            f"({error.strerror}): build it with `make` as a user who may"
        ) from error
