"""Changes that somebody knows of, in a file that people read and commit.

``acknowledged.yaml`` in the folder of a matrix is a list, an entry a line, which is only added to:
two branches that add to it conflict in a way that anybody can resolve.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.base import files, ids
from bench.base.errors import UsageError, told
from bench.store.content import merge_mark

NAME = "acknowledged.yaml"

HEAD = (
    "# Known changes: `bench ack` adds to it. A series has a new level from `since` on;\n"
    "# an entry without `series` is of all of them.\n"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """From ``since`` on a series has a new level, or all have; ``why`` says what happened."""

    since: datetime
    why: str
    series: str = ""
    at: datetime | None = None


def read(folder: Path) -> tuple[Acknowledgement, ...]:
    """Those of a folder, none where there is no file. Raises UsageError."""
    import yaml

    path = folder / NAME
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        entries = msgspec.convert(_texts(found or []), type=tuple[Acknowledgement, ...])
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UsageError(f"{path}: {told(error)}") from error
    except yaml.MarkedYAMLError as error:
        if line := merge_mark(path.read_bytes()):
            text = f"{path}:{line}: the mark of a merge; keep the lines of both sides, and no mark"
            raise UsageError(text) from error
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{path}:{line}: not YAML: {error.problem}; see `bench ack`") from error
    except (ValueError, yaml.YAMLError) as error:
        raise UsageError(f"{path}: no list of acknowledgements: {error}") from error
    return tuple(_meant(entry) for entry in entries)


def add(folder: Path, entry: Acknowledgement) -> Path:
    """Add an entry to the file of a folder. Raises UsageError if that cannot be read."""
    read(folder)
    path = folder / NAME
    before = path.read_text(encoding="utf-8") if path.exists() else HEAD
    if not before.endswith("\n"):
        before += "\n"
    fields = {
        "at": _time(entry.at or datetime.now(UTC)),
        **({"series": entry.series} if entry.series else {}),
        "since": _time(entry.since),
        "why": entry.why,
    }
    line = ", ".join(f"{name}: {json.dumps(v, ensure_ascii=False)}" for name, v in fields.items())
    files.write_text(path, f"{before}- {{{line}}}\n")
    return path


def level_of(series: str, known: Sequence[Acknowledgement]) -> datetime | None:
    """Since when a series has the level that was acknowledged last."""
    return max((k.since for k in known if k.series in ("", series)), default=None)


def _texts(value: Any) -> Any:
    """YAML makes dates of what looks like one."""
    if isinstance(value, list):
        return [_texts(part) for part in value]
    if isinstance(value, dict):
        return {key: _texts(part) for key, part in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else value


def _time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")


def _meant(entry: Acknowledgement) -> Acknowledgement:
    """As somebody may have written it: an id with its letter, a time without a zone (UTC's)."""
    since = entry.since if entry.since.tzinfo else entry.since.replace(tzinfo=UTC)
    return replace(entry, since=since, series=ids.meant(entry.series))
