"""The core built with sanitizers: once for each state of its sources (``build/sanitized``)."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bench.engines import build as engines_build
from tests.running import ROOT

CSRC = ROOT / "csrc"
KEPT = ROOT / "build" / "sanitized"
SANITIZERS = {"address,undefined": "libasan.so", "thread": "libtsan.so"}
"""Each with the library that a program has to load first which is not built with it: Python."""


def _compiler() -> str:
    if (found := shutil.which("gcc")) is None:  # only where the core came built, as to a machine
        pytest.skip("gcc is missing")
    return found


def _flags(sanitizers: str) -> list[str]:
    return [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


def _kept(inputs: Iterable[Path], flags: list[str], build: Callable[[Path], None]) -> Path:
    """The folder that ``build`` filled from these files and flags, now or some time ago."""
    digest = hashlib.sha256(" ".join(flags).encode())
    for path in sorted([*CSRC.rglob("*.[ch]"), CSRC / "ffi_build.py", *inputs]):
        digest.update(f"\n{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    kept = KEPT / digest.hexdigest()[:16]
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".new-", dir=KEPT))
        try:
            build(fresh)
            fresh.rename(kept)
        except OSError:  # another process was faster
            if not kept.exists():
                raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return kept


def program(main: Path, sanitizers: str, *more: str) -> Path:
    """A program of a C file and of the whole core beside it."""
    compiler = _compiler()
    recipe = engines_build.recipe()
    assert recipe is not None
    flags = [*recipe.CFLAGS, "-O1", "-Werror", *_flags(sanitizers), *more]
    macros = ['-DCORE_HASH="test"', '-DCORE_FLAGS="test"', f"-I{CSRC}"]

    def build(folder: Path) -> None:
        sources = [*recipe.sources(), main]
        command = [compiler, *flags, *macros, *sources, "-o", folder / main.stem]
        subprocess.run(command, check=True)

    return _kept([*main.parent.glob("*.[ch]")], [*flags, main.stem], build) / main.stem


def core(sanitizers: str) -> Path:
    """A folder for PYTHONPATH, in which ``bench`` is this checkout's with a core of its own."""
    flags = _flags(sanitizers)
    _compiler()

    def build(folder: Path) -> None:
        package = folder / "bench"
        package.mkdir()
        (package / "__init__.py").write_text(f"__path__.append({str(ROOT / 'bench')!r})\n")
        made = folder / "made"
        subprocess.run(
            [sys.executable, CSRC / "ffi_build.py", made, ""],
            env=os.environ | {"CFLAGS": " ".join(flags), "LDFLAGS": " ".join(flags)},
            capture_output=True,
            check=True,
        )
        (library,) = made.rglob("_core*.so")
        library.rename(package / "_core.abi3.so")
        shutil.rmtree(made)

    return _kept([], [*flags, str(ROOT), sys.version], build)


def environment(sanitizers: str, findings: Path) -> dict[str, str]:
    """What a Python needs to load such a core; each finding is a file ``findings``.PID."""
    found = subprocess.run(
        [_compiler(), f"-print-file-name={SANITIZERS[sanitizers]}"],
        capture_output=True,
        text=True,
        check=True,
    )
    options = f"log_path={findings}"
    return {
        "PYTHONPATH": f"{core(sanitizers)}{os.pathsep}{ROOT}",
        "LD_PRELOAD": found.stdout.strip(),
        # Python frees little at its end; what the core leaks its driver tells.
        "ASAN_OPTIONS": f"{options}:detect_leaks=0",
        "UBSAN_OPTIONS": f"{options}:print_stacktrace=1",
        # Python and what it loads are not built with it: what they do among themselves is not ours.
        "TSAN_OPTIONS": f"{options}:ignore_noninstrumented_modules=1",
    }
