"""Where runs lie."""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

MOST_NAME = 100
"""Characters of a machine's folder; a hostname has 64 at most."""
ENDINGS = (".jsonl", ".jsonl.gz")
"""Of the names of run files; only those without .gz are written."""


def run_name(path: Path | str) -> str:
    """The name of a run: that of its file without its endings, wherever it is."""
    return Path(path).name.removesuffix(".gz").removesuffix(".jsonl")


def results_folder(root: Path, machine: str, matrix: str) -> Path:
    """``<root>/<machine>/<matrix>``; the machine's name is made fit for a folder."""
    return root / folder_name(machine) / matrix


def folder_name(machine: str) -> str:
    """A machine's name as that of a folder; several hostnames may have one."""
    return (
        re.sub(r"[^A-Za-z0-9_.-]+", "-", machine).strip("-.")[:MOST_NAME].rstrip("-.") or "machine"
    )


def new_run_path(folder: Path, now: datetime | None = None) -> Path:
    """``<UTC time>-<id>.jsonl`` in a folder; the id keeps simultaneous runs apart."""
    time = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    return folder / f"{time}-{secrets.token_hex(3)}.jsonl"


def run_files(folder: Path) -> list[Path]:
    """The run files of a folder, by name; none where it is not there."""
    return sorted(path for path in folder.glob("*.jsonl*") if path.name.endswith(ENDINGS))
