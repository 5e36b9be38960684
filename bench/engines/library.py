"""The compiled core, loaded; everything here gives or takes cdata, which stays in this folder."""

from __future__ import annotations

import functools
import importlib
from typing import Any, NoReturn

from bench.base.errors import BenchError, CoreError
from bench.engines.build import ensure_built, variant


@functools.cache
def library() -> Any:
    """The module of cffi, with ``lib`` and ``ffi``. Builds the core if it is stale."""
    ensure_built()
    name = "bench._core_test" if variant() == "test" else "bench._core"
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BenchError(f"cannot load the core: {error}") from error


def text_of(pointer: Any) -> str:
    return str(library().ffi.string(pointer).decode())


def fail(error: Any) -> NoReturn:
    """Raise the CoreError that a struct core_error tells of."""
    raise CoreError(-error.code, text_of(error.text))
