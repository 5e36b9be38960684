"""The compiled core, loaded; everything here gives or takes cdata, which stays in this folder."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from types import ModuleType
from typing import Any, NoReturn

from bench.base.errors import BenchError, CoreError
from bench.engines.build import CHECKOUT, ensure_built, place, variant


def module_name() -> str:
    return "bench._core_test" if variant() == "test" else "bench._core"


@functools.cache
def library() -> Any:
    """The module of cffi, with ``lib`` and ``ffi``. Builds the core if it is stale."""
    ensure_built()
    name = module_name()
    try:
        return _of_checkout(name) if os.environ.get(CHECKOUT) else importlib.import_module(name)
    except ImportError as error:
        raise BenchError(f"cannot load the core: {error}") from error


def _of_checkout(name: str) -> ModuleType:
    """The core of another checkout. Raises ImportError."""
    for file in place().files(name):
        spec = importlib.util.spec_from_file_location(name, file)
        if spec is not None and spec.loader is not None:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise ImportError(f"{place().compiled} has none")


def text_of(pointer: Any) -> str:
    return str(library().ffi.string(pointer).decode())


def fail(error: Any) -> NoReturn:
    """Raise the CoreError that a struct core_error tells of."""
    raise CoreError(-error.code, text_of(error.text))
