"""``--machine``: any name, and a folder of its own for each."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bench.cli import main
from bench.store.folders import results_folder

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=120)


@given(NAMES, NAMES)
@example("a/b", "a b")
@example("ünï", "n")
@example("a" * 300, "a" * 301)
@example("..", "machine")
def test_no_two_machines_share_a_folder(one: str, other: str) -> None:
    assume(one != other)
    root = Path("r")
    folders = {results_folder(root, name, "m") for name in (one, other)}
    assert len(folders) == 2
    for folder in folders:
        assert folder.parent.parent == root
        assert folder.parent.name not in ("", ".", "..")
        assert len(folder.parent.name) <= 107


@pytest.mark.parametrize("name", ["lab-1", "rack3.example.org", "runner_7"])
def test_a_plain_name_is_its_folder(name: str) -> None:
    assert results_folder(Path("r"), name, "m") == Path("r") / name / "m"


def test_a_name_that_is_empty_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["history", "m", "--machine", ""])
    assert "--machine: it is empty; write a name, or leave the option out" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["\udcff", "a\nb", "\x1b[31m"])
def test_a_name_that_is_no_text_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It would stand in every line of a table, and a file of JSON cannot have it."""
    with pytest.raises(SystemExit, match="2"):
        main(["history", "m", "--machine", name])
    assert "is no name; write one in plain text" in capsys.readouterr().err
