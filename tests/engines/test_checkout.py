"""The commit of the checkout that the core's sources are in."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.engines import checkout


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one commit."""
    (tmp_path / "csrc").mkdir()
    (tmp_path / "csrc" / "a.c").write_text("int a;\n")
    monkeypatch.setattr(checkout, "ROOT", tmp_path)
    monkeypatch.setattr(checkout, "SOURCES", tmp_path / "csrc")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@localhost"]
    command = ["git", "-C", str(root), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_it_is_that_of_the_checkout_and_says_when_files_differ(root: Path) -> None:
    head = git(root, "rev-parse", "--short=12", "HEAD")
    assert checkout.commit() == head
    (root / "csrc" / "a.c").write_text("int b;\n")
    assert checkout.commit() == f"{head}-dirty"


def test_a_caller_s_repository_is_not_taken_for_it(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = checkout.commit()
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("other")))
    assert checkout.commit() == head


def test_sources_in_no_checkout_have_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = root / "inner"
    (inner / "csrc").mkdir(parents=True)
    monkeypatch.setattr(checkout, "ROOT", inner)
    monkeypatch.setattr(checkout, "SOURCES", inner / "csrc")
    assert checkout.commit() == ""


def test_without_git_there_is_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(root))
    assert checkout.commit() == ""
