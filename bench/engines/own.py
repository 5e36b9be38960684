"""A method in one C file of the user's: compiled against csrc/engine.h, and loaded into the core.

It is linked with the core that it goes into, whose sockets and frames it uses. No file of it stays:
what was compiled is kept in memory, and workers inherit a descriptor of that.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.base import signals
from bench.base.errors import BenchError, UsageError, told
from bench.engines.build import PACKAGE, SOURCES, Place, missing_compiler
from bench.engines.library import library, module_name, text_of
from bench.engines.options import NAME
from bench.engines.table import methods
from bench.model.vocabulary import axes_of

INSTALLED = PACKAGE / "engines" / "include"
"""What a wheel has of csrc: the headers."""

STRICT = ("-Werror=implicit-function-declaration", "-Werror=incompatible-pointer-types")
"""What would crash later is told with its line."""


@dataclass(frozen=True, slots=True)
class Own:
    """A file, the method that it defines, and the SHA-256 of the file with its own headers."""

    file: Path
    method: str
    hash: str
    compiled: int
    """A descriptor, which stays open."""


_loaded: list[Own] = []
"""Of this process."""


def load(files: Sequence[Path]) -> None:
    """Compile C files, and add their methods to the core's.

    Raises UsageError with the first thing that is wrong: file, line and what the compiler says.
    """
    _check(files)
    for file in files:
        compiled, digest = _compiled(file, Path(library().__file__), _headers())
        taken = methods()
        try:
            method = load_compiled(compiled)
            if method in taken:  # by no engine of the core: that refuses it
                raise BenchError(f"there is a method {method} already; give it another name")
            axes_of(methods())  # its options are no axes of others
        except BenchError as error:
            raise UsageError(f"{file}: {error}") from None
        _loaded.append(Own(file, method, digest, compiled))


def hashes() -> Mapping[str, str]:
    """The hash of each method that was loaded, by its name."""
    return {own.method: own.hash for own in _loaded}


@functools.cache
def compiled_for(checkout: str = "") -> tuple[int, ...]:
    """Descriptors of what a worker loads; ``checkout`` has its core, where that is not this
    bench's. Raises UsageError where the files cannot be compiled for that."""
    return _compiled_again(checkout) if checkout else tuple(own.compiled for own in _loaded)


@functools.cache
def _compiled_again(checkout: str) -> tuple[int, ...]:
    at = Place.of_checkout(Path(checkout))
    core = at.files(module_name())[0]
    return tuple(_compiled(own.file, core, at.sources)[0] for own in _loaded)


def load_compiled(descriptor: int) -> str:
    """Add the method of a compiled engine to this process's core: its name. Raises BenchError.

    The descriptor has to stay open: the dynamic linker knows libraries by their paths, too.
    """
    core = library()
    error = core.ffi.new("struct core_error *")
    index = core.lib.core_own_load(f"/proc/self/fd/{descriptor}".encode(), error)
    if index < 0:
        raise BenchError(text_of(error.text))
    name = text_of(core.lib.core_method(index).name)
    if not NAME.fullmatch(name):
        raise BenchError(
            f"method {name!r}: a name has small letters, digits and _, and begins with a letter"
        )
    return name


def _check(files: Sequence[Path]) -> None:
    if missing := missing_compiler():
        raise UsageError(f"--engine {files[0]}: {missing}")
    names: dict[str, Path] = {}
    for file in files:
        if file.suffix != ".c":
            raise UsageError(f"--engine {file}: no C file; name one that ends in .c")
        if file.exists() and not (file.is_file() or file.is_dir()):  # to read a pipe is to wait
            raise UsageError(f"--engine {file}: no regular file; name a C file")
        try:
            file.read_bytes()
        except OSError as error:
            raise UsageError(f"--engine {file}: {told(error)}; name a C file") from None
        if (other := names.setdefault(file.name, file)) is not file:
            if other.samefile(file):
                raise UsageError(f"--engine {file}: it is named twice; name it once")
            raise UsageError(
                f"--engine {file}: a file of this name is there already ({other}); rename one"
            )


def _headers() -> Path:
    return SOURCES if SOURCES.exists() else INSTALLED


def _compiled(file: Path, core: Path, headers: Path) -> tuple[int, str]:
    """A library that is linked with a core, in memory, and the hash of what it was made of."""
    if not (headers / "engine.h").exists():
        raise UsageError(f"{headers}: it has no engine.h, which --engine needs")
    flags = shlex.split(text_of(library().lib.core_flags()))
    with (
        signals.raising(),
        tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder,
    ):
        made, parts = Path(folder, "engine.so"), Path(folder, "parts")
        command = [
            *shlex.split(os.environ.get("CC", "gcc")),
            *flags,
            *STRICT,
            *("-shared", "-fPIC", "-isystem", str(headers), "-MMD", "-MF", str(parts)),
            f"./{file}" if str(file).startswith("-") else str(file),
            *("-Wl,--no-as-needed", str(core), "-Wl,-z,defs", "-o", str(made)),
        ]
        done = subprocess.run(
            command,
            env=os.environ | {"LC_ALL": "C"},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise UsageError(_first_error(file, done.stderr))
        return _kept(made), _hash(_parts(parts.read_text()))


def _kept(made: Path) -> int:
    descriptor = os.memfd_create("bench-engine")
    with open(descriptor, "wb", closefd=False) as memory:
        memory.write(made.read_bytes())
    return descriptor


def _first_error(file: Path, said: str) -> str:
    """``my.c:12:3: error: ...`` of what a compiler or a linker said."""
    lines = [line.strip() for line in said.splitlines()]
    first = [line for line in lines if re.search(r"error:|undefined reference", line)]
    line = (first or lines[-1:] or ["the compiler failed and said nothing"])[0]
    return line if file.name in line.partition(":")[0] else f"{file}: {line}"


def _parts(rule: str) -> list[Path]:
    """The file and the headers that are not of the system, of the rule that a compiler wrote."""
    _, _, listed = rule.replace("\\\n", " ").partition(": ")
    return [
        Path(name.replace("\\ ", " ").replace("$$", "$").replace("\\#", "#"))
        for name in re.split(r"(?<!\\)\s+", listed.strip())
    ]


def _hash(parts: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for part in sorted(parts, key=lambda part: part.name):
        digest.update(f"{part.name}\n".encode())
        digest.update(part.read_bytes())
    return digest.hexdigest()
