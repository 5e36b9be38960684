"""The runs that the arguments of compare name: copies, revisions, and what is none."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import cli
from tests.run_files import HEADER, write


def old(path: Path) -> Path:
    """The same as a version wrote it that gave runs no id."""
    header, rest = path.read_text().split("\n", 1)
    record = json.loads(header)
    id_ = record.pop("id")
    record |= {"started": "2026-01-01T00:00:00+00:00", "measure": {"seed": 1}}
    record["host"]["hostname"] = Path(id_).stem
    path.write_text(json.dumps(record) + "\n" + rest)
    return path


@pytest.mark.parametrize("made", [lambda path: path, old])
def test_a_copy_is_the_run_that_it_is_a_copy_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], made: Callable[[Path], Path]
) -> None:
    """Copies agree to the last digit: they would make any difference certain."""
    a = made(write(tmp_path / "a.jsonl", 1.0))
    b = made(write(tmp_path / "b.jsonl", 1.02))
    assert cli.main(["compare", str(a), str(b)]) == 4
    alone = capsys.readouterr()
    copy = Path(shutil.copy(a, tmp_path / "copy.jsonl"))
    shutil.copy(b, tmp_path / "copy of b.jsonl")
    assert cli.main(["compare", str(a), str(b)]) == 4
    assert capsys.readouterr() == alone
    whole = copy.read_bytes()
    a.write_bytes(b"".join(whole.splitlines(keepends=True)[:-9]))  # one that was interrupted
    (tmp_path / "side").mkdir()
    for run_ in (a, copy):
        shutil.move(run_, tmp_path / "side")
    assert cli.main(["compare", str(tmp_path / "side"), str(b)]) == 4
    both = capsys.readouterr()
    told = alone.out.replace(" run a,", " run copy,")
    assert both.out.split() == told.split()  # however it was wrapped
    side = tmp_path / "side"
    said = f"bench: {side}/copy.jsonl is the same run as {side}/a.jsonl: it counts once\n"
    assert both.err == said
    assert cli.main(["compare", str(side / "a.jsonl"), str(side / "copy.jsonl")]) == 2
    said = f"{side}/a.jsonl (also {side}/copy.jsonl) is in A and in B"
    assert capsys.readouterr().err.startswith(f"bench: {said}; ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ":1: not a run file"),
        ('{"type":"run","format":9}\n', ":1: format 9 is newer"),
        ('{"type":"run","format":1,"baselines":{},"cells":[]}\n{"type":"sample",\n', ":2: not a"),
        (
            '{"type":"run","format":1,"baselines":{},"cells":[],"matrix":3}\n',
            ":1: not a line of type run: ",
        ),
    ],
)
def test_what_is_no_run_is_one_line(
    content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write(tmp_path / "a.jsonl", 1.0)
    bad = tmp_path / "bad.jsonl"
    bad.write_text(content)
    assert cli.main(["compare", str(good), str(bad)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def edited(path: Path, old: str, new: str) -> Path:
    """The file with something in it replaced once."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"matrix":{', '"matrix":3,"was":{', "bad.jsonl:1: not a line of type run: "),
        ('"host":{', '"host":"x","was":{', "host is 'x'; it must be an object"),
        (
            '"thresholds":{}',
            '"thresholds":{"send":"big"}',
            "send is 'big'; it must be a number",
        ),
        ('"wall_ns":', '"wall_ns":"fast","was":', "bad.jsonl:2: not a line of type sample: "),
    ],
)
def test_what_was_edited_is_one_line_from_every_reader_and_spoils_no_history(
    old: str, new: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = write(tmp_path / "a.jsonl", 1.0), write(tmp_path / "b.jsonl", 1.0)
    bad = edited(write(tmp_path / "bad.jsonl", 1.0), old, new)
    for arguments in (["compare", str(a), str(bad)], ["show", str(bad)]):
        assert cli.main(arguments) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert cli.main(["compare", str(a), str(b)]) == 4


def test_a_cut_off_line_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a.jsonl", 1.0), write(tmp_path / "b.jsonl", 1.0)
    b.write_bytes(b.read_bytes()[:-30])
    assert cli.main(["compare", str(a), str(b)]) == 4
    assert "the last line is cut off" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("git") is None, reason="git is missing")
def test_a_revision_of_git_and_what_it_does_not_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=x", "-c", "user.email=x@y"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)

    git("init", "--quiet")
    path = write(tmp_path / "a.jsonl", 1.0)
    git("add", ".")
    git("commit", "--quiet", "--message=before")
    write(tmp_path / "b.jsonl", 1.0)
    monkeypatch.chdir(tmp_path)
    for other in ("a.jsonl", "HEAD:a.jsonl"):
        assert cli.main(["compare", "HEAD:a.jsonl", other]) == 2
        assert "a.jsonl is in A and in B" in capsys.readouterr().err
    path.unlink()
    write(tmp_path / "a.jsonl", 1.0, HEADER | {"id": "the file is another run now"})
    assert cli.main(["compare", "HEAD:a.jsonl", "a.jsonl"]) == 0
    path.unlink()
    assert cli.main(["compare", "HEAD:a.jsonl", "b.jsonl"]) == 4
    assert "4 cells: 4 inconclusive" in capsys.readouterr().out
    assert cli.main(["compare", "HEAD:b.jsonl", "b.jsonl"]) == 2
    assert "HEAD:b.jsonl: fatal: path 'b.jsonl' exists on disk, but not" in capsys.readouterr().err
    assert cli.main(["compare", "HEAD:", "b.jsonl"]) == 2
    assert capsys.readouterr().err == "bench: HEAD:: is a folder; name a file in it\n"
    written = tmp_path / "x:y"
    assert cli.main(["compare", "--", f"--output={written}", "b.jsonl"]) == 2
    assert capsys.readouterr().err.startswith(f"bench: --output={written}: ")
    assert not written.exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["compare", "HEAD:a.jsonl", "b.jsonl"]) == 2
    assert f"git does not run here: {os.strerror(errno.ENOENT)}" in capsys.readouterr().err
