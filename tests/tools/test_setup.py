"""tools/setup.sh: what it names, installs and clears. Nothing is downloaded."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
Setup = Callable[..., "subprocess.CompletedProcess[str]"]

FAKE_PYTHON = """#!/bin/sh
echo "$*" >>"$LOG"
case "$2" in
*ensurepip* | *Python.h*) exit "${SPLIT_OFF:-0}" ;;
venv) for venv; do :; done; mkdir -p "$venv/bin"; cp "$0" "$venv/bin/python" ;;
esac
"""
"""Does as if it made environments and installed, and says in LOG what it was called with."""


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """tools/setup.sh in a folder of its own, with a Python that does nothing and no apt-get."""
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools/setup.sh", tmp_path / "tools")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "id", "cmp", "cp", "mkdir", "true"):
        (programs / name).symlink_to(shutil.which(name) or name)
    python = programs / "python3"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(programs), "LOG": str(tmp_path / "log"), **environment}
        command = [tmp_path / "tools/setup.sh", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def test_set_up_names_all_that_is_missing_at_once(setup: Setup) -> None:
    done = setup(SPLIT_OFF="1")
    missing = "gcc libc6-dev python3-venv python3-dev"
    assert done.returncode == 2
    assert done.stderr == (
        f"setup: missing: {missing}; install it as root (apt-get install {missing})\n"
    )
