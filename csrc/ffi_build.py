"""Builds the core for cffi: cdef(api.h) and every C file beside it and in engines/.

setup.py uses it, and bench/engines/build.py runs it as a script: ffi_build.py FOLDER VARIANT
compiles a variant of the core into a folder; `ffi_build.py cflags` prints the compiler's flags. The
variant "test" (environment: BENCH_CORE=test) adds the methods of csrc/test/, which are slow, wrong
or crash on purpose, and is named bench._core_test.
"""

import hashlib
import json
import os
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import cffi

HERE = Path(__file__).resolve().parent
# gnu11: C11, with __attribute__, __asm__ and __atomic_ beside it.
CFLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-g", "-Wall", "-Wextra", "-pthread"]
ENVIRONMENT = ("CC", "CPPFLAGS", "CFLAGS", "LDFLAGS")
"""What setuptools takes from the environment: as much a part of the core as its sources are."""
STABLE_ABI = (
    ".abi3.so" in EXTENSION_SUFFIXES
    and not hasattr(sys, "gettotalrefcount")
    and not sysconfig.get_config_var("Py_GIL_DISABLED")
)
"""One core for all Pythons, but for free-threaded and debug builds: those name theirs for
themselves. A free-threaded 3.13 lists .abi3.so among its suffixes, and has another ABI."""


def sources(variant: str = "") -> list[Path]:
    """Every C source of a variant ("" or "test"), sorted."""
    folders = [HERE, HERE / "engines", *([HERE / "test"] if variant == "test" else [])]
    return [path for folder in folders for path in sorted(folder.glob("*.c"))]


def headers() -> list[Path]:
    return [path for folder in (HERE, HERE / "engines") for path in folder.glob("*.h")]


def flags() -> str:
    """The environment's come first, as for the compiler: of two that contradict the last holds."""
    return " ".join([*filter(None, map(os.environ.get, ENVIRONMENT[1:])), *CFLAGS])


def source_hash(variant: str = "") -> str:
    """SHA-256 over names and contents of all that goes into the core, 64 hex digits."""
    digest = hashlib.sha256(repr([*map(os.environ.get, ENVIRONMENT), CFLAGS]).encode())
    for path in sorted([*sources(variant), *headers(), Path(__file__).resolve()]):
        digest.update(f"\n{path.name}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def module_name(variant: str = "") -> str:
    return "bench._core_test" if variant == "test" else "bench._core"


def build(variant: str = "", relative: bool = True) -> "cffi.FFI":
    """The FFI builder of a variant, for cffi_modules (setuptools wants paths relative to it)."""
    import cffi

    here = Path(os.path.relpath(HERE)) if relative else HERE
    builder = cffi.FFI()
    builder.cdef((HERE / "api.h").read_text())
    builder.set_source(
        module_name(variant),
        '#include "core.h"',
        sources=[str(here / path.relative_to(HERE)) for path in sources(variant)],
        include_dirs=[str(here)],
        extra_compile_args=[
            *CFLAGS,
            "-Wno-unused-parameter",  # cffi's generated file; `make lint` compiles ours without
            "-Wno-missing-field-initializers",
        ],
        extra_link_args=["-pthread"],
        py_limited_api=STABLE_ABI,
        define_macros=[
            ("CORE_HASH", f'"{source_hash(variant)}"'),
            ("CORE_FLAGS", json.dumps(flags())),  # a C string, whatever is in it
            *([] if STABLE_ABI else [("_CFFI_NO_LIMITED_API", None)]),
            *([("CORE_TEST_METHODS", "1")] if variant == "test" else []),
        ],
    )
    return builder


if __name__ == "__main__":
    if sys.argv[1:] == ["cflags"]:
        print(*CFLAGS)
    else:
        folder, variant = sys.argv[1:]
        print(build(variant, relative=False).compile(tmpdir=folder))
