"""Where runs lie."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

MOST_NAME = 100
"""Characters of a machine's name that its folder has; a hostname has 64 at most."""
ENDINGS = (".jsonl", ".jsonl.gz")
"""Of the names of run files; only those without .gz are written."""


def run_name(path: Path | str) -> str:
    """The name of a run: that of its file without its endings, wherever it is."""
    return Path(path).name.removesuffix(".gz").removesuffix(".jsonl")


def results_folder(root: Path, machine: str, matrix: str) -> Path:
    """``<root>/<machine>/<matrix>``: no two machines have the same folder."""
    return root / folder_name(machine) / matrix


def folder_name(machine: str) -> str:
    """A machine's name as that of a folder: one that must be changed for it gets a number of its
    own, so that no other machine's runs are taken for this one's."""
    fit = re.sub(r"[^A-Za-z0-9_.-]+", "-", machine).strip("-.")[:MOST_NAME].rstrip("-.")
    if fit == machine:
        return machine
    number = hashlib.sha256(machine.encode(errors="surrogateescape")).hexdigest()[:6]
    return f"{fit or 'machine'}-{number}"


def new_run_path(folder: Path, now: datetime | None = None) -> Path:
    """``<UTC time>-<id>.jsonl`` in a folder; the id keeps simultaneous runs apart."""
    time = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    return folder / f"{time}-{secrets.token_hex(3)}.jsonl"


def run_files(folder: Path) -> list[Path]:
    """The run files of a folder, by name; none where it is not there."""
    return sorted(path for path in folder.glob("*.jsonl*") if path.name.endswith(ENDINGS))
