"""Machines that are faked: a folder that has what /proc and /sys would have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.system.procfs import ProcFs

Tree = Mapping[str, str | bytes | None]
"""Path below the root to content; None is a file that is not there."""


def machine_of(folder: Path, tree: Tree) -> ProcFs:
    for path, content in tree.items():
        if content is not None:
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ProcFs(folder)
