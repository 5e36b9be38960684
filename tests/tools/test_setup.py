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
    for file in ("tools/setup.sh", "requirements.lock"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "id", "cmp", "cp", "mkdir", "true"):
        (programs / name).symlink_to(shutil.which(name) or name)
    for name in ("ip", "git", "ethtool"):
        (programs / name).symlink_to("true")
    python = programs / "python3"
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(programs), "LOG": str(tmp_path / "log"), **environment}
        command = [tmp_path / "tools/setup.sh", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


def test_set_up_installs_what_the_lock_has_and_clears_what_another_lock_left(
    setup: Setup, tmp_path: Path
) -> None:
    log, lock = tmp_path / "log", tmp_path / "requirements.lock"
    cleared, locked = "-m venv --clear .venv\n", "install --require-hashes"

    assert setup(CC="true").returncode == 0
    assert cleared in log.read_text()
    assert locked in log.read_text()
    log.write_text("")
    assert setup(CC="true").returncode == 0
    assert cleared not in log.read_text()
    log.write_text("")
    lock.write_text(lock.read_text() + "six==1.17\n")
    assert setup(CC="true").returncode == 0
    assert cleared in log.read_text()
    assert (tmp_path / ".venv/ready").read_text() == lock.read_text()


def test_the_newest_versions_are_installed_beside_the_locked_ones(
    setup: Setup, tmp_path: Path
) -> None:
    assert setup("--newest", CC="true").returncode == 0
    said = (tmp_path / "log").read_text()
    assert "-m venv --clear .venv-newest\n" in said
    assert "--require-hashes" not in said
    assert not (tmp_path / ".venv").exists()


def test_set_up_names_all_that_is_missing_at_once(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "bin/ip").unlink()
    (tmp_path / "bin/git").unlink()
    done = setup(SPLIT_OFF="1")
    missing = "gcc libc6-dev python3-venv python3-dev iproute2 git"
    assert done.returncode == 2
    assert done.stderr == (
        f"setup: missing: {missing}; install it as root (apt-get install {missing})\n"
    )


def test_only_tests_need_what_they_call(setup: Setup, tmp_path: Path) -> None:
    (tmp_path / "bin/git").unlink()
    done = setup(CC="true")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == (
        "setup: missing: git; tests that need it are skipped (apt-get install git)"
    )


def test_set_up_refuses_an_argument_that_it_does_not_know(setup: Setup) -> None:
    done = setup("--oldest")
    assert done.returncode == 2
    assert done.stderr == "setup: unknown argument --oldest; --newest is the only one\n"
