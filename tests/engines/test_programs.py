"""Why a program of the user's cannot be started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.engines.programs import why_missing
from bench.model.cells import Cell


def why(command: str) -> str:
    method: dict[str, Any] = {"kind": "exec", "name": "mine", "command": [command], "content": ""}
    return why_missing(Cell("c", {"method": method, "frame_size": 64, "threads": 1}))


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"#!/bin/sh\n", 0o755, ""),
        (b"#! /bin/sh -e\n", 0o755, ""),
        (b"no script\n", 0o755, ""),
        (b"", 0o755, ""),
        (b"#!/bin/sh\n", 0o644, "may not be executed; chmod +x"),
        (b"#!/bin/sh\r\n", 0o755, r"begins with #!'/bin/sh\r', which is not there; name another"),
        (b"#!/no/python -u\n", 0o755, "begins with #!'/no/python', which is not there; name an"),
    ],
)
def test_a_file(content: bytes, mode: int, said: str, tmp_path: Path) -> None:
    script = tmp_path / "a script"
    script.write_bytes(content)
    script.chmod(mode)
    found = why(str(script))
    assert found.startswith(f"method mine: {script} {said}" if said else "")
    assert bool(found) == bool(said)


def test_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"./mine is not there, seen from {tmp_path}; name it with its whole" in why("./mine")
    assert "is a folder; name a program" in why(str(tmp_path))
    assert "is not installed (it is not in PATH); install it" in why("no-such-program")
