from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bench.base import errors, files
from bench.campaign import lock
from bench.model.header import MatrixSource, RunHeader
from bench.store.writer import RunWriter
from tests.running import needs_root

USER = 65_534


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder of another user's, in which root writes."""
    folder = tmp_path / "home"
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder


@needs_root
def test_what_root_writes_into_a_users_folder_is_the_users(home: Path) -> None:
    files.write_text(home / "table.md", "text")
    files.write_text(home / "table.md", "again")
    with RunWriter(home / "results/vm/m/run.jsonl") as run:
        run.header(RunHeader(matrix=MatrixSource("m"), baselines={}), [])
    with lock.held(home / "results/vm/n"):
        assert all(owner_of(path) == (USER, USER) for path in home.rglob("*"))
        assert len([*home.rglob("*")]) == 7
    assert (home / "table.md").read_text() == "again"


@needs_root
def test_what_root_writes_into_its_own_folder_stays_its_own(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a", "text")
    assert files.make_folders(tmp_path / "b/c") == [tmp_path / "b/c", tmp_path / "b"]
    assert {owner_of(path)[0] for path in tmp_path.rglob("*")} == {0}


def owner_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOTDIR, errno.EDQUOT])
def test_only_a_full_disk_asks_for_room(tmp_path: Path, code: int) -> None:
    def told(number: int) -> str:
        return errors.told(OSError(number, os.strerror(number), str(tmp_path / "a")))

    assert told(errno.ENOSPC).endswith("; make room")
    assert told(code).startswith(os.strerror(code))
    assert "room" not in told(code)


@needs_root
def test_who_may_not_learns_whose_it_is(home: Path) -> None:
    refused = OSError(errno.EACCES, "no", str(home / "not" / "there"))
    name = errors._user(USER)
    assert errors.told(refused) == f"no; {home} belongs to {name}"
    assert errors.told(OSError(errno.EACCES, "no", str(home.parent))) == "no"
