"""A night's files into git: these alone, and nothing is lost where that cannot be."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.base.errors import BenchError, UsageError
from bench.campaign import told
from bench.campaign.commit import check, commit, left_over
from bench.campaign.told import Told
from tests.running import needs_root


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository on branch nights with a commit, and a night's files that are not in it."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "x")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "x@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    top = tmp_path / "tree"
    (top / "m").mkdir(parents=True)
    git(top, "init", "-q", "-b", "nights")
    (top / "code").write_text("1\n")
    git(top, "add", "code")
    git(top, "commit", "-qm", "first")
    (top / "m" / "a.jsonl").write_text("a\n")
    return top


def night(tree: Path) -> str:
    return commit(tree / "m", [tree / "m" / "a.jsonl"], "m: night")


def test_a_dirty_tree_stays_dirty_and_the_nights_files_are_committed(tree: Path) -> None:
    (tree / "code").write_text("2\n")
    (tree / "staged").write_text("s\n")
    (tree / "untracked").write_text("u\n")
    git(tree, "add", "staged")
    assert night(tree).endswith(" on nights")
    assert git(tree, "show", "--format=%s", "--name-only").split("\n") == [
        *("m: night", "", "m/a.jsonl"),
    ]
    assert git(tree, "status", "--short").split("\n") == ["M code", "A  staged", "?? untracked"]


def refused(tree: Path, said: str) -> None:
    """It is, and everything is as it was."""
    before = git(tree, "status", "--short"), git(tree, "rev-parse", "HEAD")
    with pytest.raises(BenchError, match=said):
        night(tree)
    assert (git(tree, "status", "--short"), git(tree, "rev-parse", "HEAD")) == before
    assert (tree / "m" / "a.jsonl").read_text() == "a\n"


def test_what_earlier_nights_could_not_commit_is_left_over(tree: Path) -> None:
    """Their runs, tables, confirmations and what they told; not a night that is going on, and no
    other file."""
    (tree / "m" / "confirm").mkdir()
    started = datetime(2026, 1, 1, tzinfo=UTC)
    for name, is_over in (("b", True), ("c", False)):
        told.write(tree / "m", Told(f"20260101T000000Z-{name}.jsonl", started, ended=is_over))
        for ending in (".jsonl", ".md"):
            (tree / "m" / f"20260101T000000Z-{name}{ending}").write_text("a\n")
    (tree / "m" / "confirm" / "20260101T000000Z-b-1.jsonl").write_text("a\n")
    found = left_over(tree / "m")
    names = [f"20260101T000000Z-b{ending}" for ending in (".jsonl", ".md", ".told.json")]
    assert {str(path.relative_to(tree / "m")) for path in found} == {
        *names,
        "confirm/20260101T000000Z-b-1.jsonl",
    }
    commit(tree / "m", found, "m: earlier")
    assert left_over(tree / "m") == []


def test_a_detached_head(tree: Path) -> None:
    git(tree, "switch", "--detach", "-q")
    refused(tree, "no branch is checked out in .* git switch to one")
    assert "git switch to one" in check(tree / "m")  # and it is known before


def test_a_merge_that_is_under_way(tree: Path) -> None:
    git(tree, "switch", "-qc", "other")
    (tree / "code").write_text("3\n")
    git(tree, "commit", "-qam", "other")
    git(tree, "switch", "-q", "nights")
    (tree / "code").write_text("4\n")
    git(tree, "commit", "-qam", "ours")
    assert subprocess.run(["git", "merge", "other"], cwd=tree, capture_output=True).returncode == 1
    refused(tree, "a merge is under way")
    assert "a merge is under way" in check(tree / "m")


def test_a_hook_that_refuses(tree: Path) -> None:
    hook = tree / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no results here >&2\nexit 1\n")
    hook.chmod(0o755)
    refused(tree, "git commit failed .* no results here")


def test_files_that_git_ignores(tree: Path) -> None:
    (tree / ".gitignore").write_text("*.jsonl\n")
    refused(tree, "git add failed")


def test_another_git_at_work(tree: Path) -> None:
    (tree / ".git" / "index.lock").write_text("")
    with pytest.raises(BenchError, match=r"index\.lock"):
        night(tree)
    assert (tree / ".git" / "index.lock").exists()


def test_no_repository_and_no_git_are_known_before_anything_is_measured(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(tree / "results" / "that is not there yet") == ""
    with pytest.raises(UsageError, match="not a git repository"):
        check(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git does not run here"):
        check(tree)


@needs_root
def test_what_root_commits_belongs_to_the_owner_of_the_repository(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who called sudo could commit nothing any more."""
    nobody = 65534
    for path in (tree, *tree.rglob("*")):
        os.lchown(path, nobody, nobody)
    monkeypatch.setenv("SUDO_UID", str(nobody))
    night(tree)
    assert {path.lstat().st_uid for path in tree.rglob("*")} == {nobody}
