"""``bench history`` as a user calls it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.render import sparkline
from tests.campaign.history_of import at, write_night

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Thirty nights of the machine box, of which c3 changed in the 20th; two are missing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "results" / "box" / "m"
    for night in range(30):
        if night not in (10, 11):
            kernel = "6.17" if night < 20 else "6.18"
            core = {"hash": "h", "commit": f"v{night}"}
            write_night(
                folder,
                night,
                lambda night, cell: 1.05 if cell == "c3" and night >= 20 else 1.0,
                host={"kernel": kernel},
                core=core,
            )
    return folder


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_(*arguments: str, matrix: str = "m", machine: str = "box") -> tuple[int, str, str]:
        capsys.readouterr()
        where = ["--results", str(folder.parents[1]), "--machine", machine]
        code = main(["history", matrix, *where, *arguments])
        return code, *capsys.readouterr()

    return run_


def test_the_last_change_is_told_with_both_sides_of_it(run: Run) -> None:
    code, out, _ = run()
    assert code == 0
    assert "28, 2026-01-01 to 2026-01-30, 2 missing" in out
    text = " ".join(out.split())
    assert "c3 since 2026-01-21 pps" in text
    assert "kernel 6.17 -> 6.18, core h, commit v19 -> v20" in text
    assert "12 cells, 1 with a change" in text


def test_cells_are_chosen_by_id_and_by_axis(run: Run) -> None:
    def cells(*arguments: str) -> set[str]:
        rows = json.loads(run("--format", "json", *arguments)[1])["series"]
        return {row["series"] for row in rows if row["axes"]}

    assert cells("--cell", "c3", "--cell", "c4") == {"c3", "c4"}
    assert cells("--filter", "interface=lo") == {f"c{n}" for n in range(0, 12, 2)}


def test_since_leaves_out_what_was_before_and_keeps_levels(run: Run) -> None:
    def document(*arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(run("--format", "json", *arguments)[1])
        return found

    whole, later = document(), document("--since", "2026-01-22")
    assert len(later["nights"]) == 9
    assert {len(row["values"]) for row in later["series"]} == {9}
    assert not any(row["changes"] for row in later["series"])
    assert [row["level"] for row in later["series"]] == [row["level"] for row in whole["series"]]


def test_a_flat_table_has_the_last_change(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("--format", "csv")[1])))
    changed = [row for row in rows if row["change_night"]]
    assert {(row["series"], row["figure"]) for row in changed} == {
        ("c3", "pps"),
        ("c3", "ns_per_frame"),
    }
    assert {row["change_kernel_before"] for row in changed} == {"6.17"}
    assert {row["change_commit_after"] for row in changed} == {"v20"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--cell", "c33"], "--cell c33: no night has it; did you mean c3?"),
        (["--filter", "method=x"], "--filter method=x: no cell has that"),
        (["--since", "2030-01-01"], "no night since; the last began 2026-01-30 03:00"),
    ],
)
def test_what_no_night_has_is_refused(run: Run, arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert said in err


def test_a_matrix_or_a_machine_without_nights_is_refused(run: Run) -> None:
    assert "--machine is one of box" in run(machine="other")[2]
    code, _, err = run(matrix="mm")
    assert code == 2
    assert "did you mean m?" in err


def test_runs_that_are_no_nights_are_not_taken_for_another_name(run: Run, folder: Path) -> None:
    for path in folder.glob("*.jsonl"):
        path.write_text("")
    code, _, err = run()
    assert code == 2
    assert f"no run in {folder} is a night" in err
    assert "did you mean" not in err


def test_a_matrix_is_a_file_or_a_name(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text("name: m\nand: more that is wrong\n")
    assert run(matrix=str(file)) == run()
    assert "does not exist" in run(matrix=str(tmp_path / "none.yaml"))[2]
    file.write_text("axes: {}\n")
    assert "has no `name`" in run(matrix=str(file))[2]


def test_files_that_are_odd_are_said_and_the_rest_is_shown(run: Run, folder: Path) -> None:
    (folder / "x.jsonl").write_text("<<<<<<< ours\n")
    (folder / "acknowledged.yaml").write_text("{")
    write_night(folder, 40, started=at(5.1))
    code, out, _ = run("--format", "json")
    assert code == 0
    merge, again, unread = json.loads(out)["remarks"]
    assert "the mark of a merge" in merge
    assert "the night has another run" in again
    assert "no change is taken for a known one" in unread


def test_one_night_has_a_level_and_nothing_else(run: Run, folder: Path) -> None:
    for path in sorted(folder.glob("*.jsonl"))[1:]:
        path.unlink()
    row = json.loads(run("--format", "json", "--cell", "c1")[1])["series"][-1]
    assert row["nights"] == 1
    assert row["level"]
    assert (row["noise"], row["changes"]) == (None, [])


def test_a_terminal_without_blocks_gets_ascii(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ascii(io.StringIO):
        encoding = "ascii"

    stream = Ascii()
    monkeypatch.setattr("sys.stdout", stream)
    run()
    assert stream.getvalue().isascii()
    assert set(sparkline.PLAIN) & set(stream.getvalue())


@pytest.mark.parametrize("name", ["nightly-6.18", "m.v2", "lib"])
def test_any_name_of_a_matrix_is_one(
    name: str, run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have a dot, and a folder may have it, too."""
    folder.rename(folder.with_name(name))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lib").mkdir()
    assert run(matrix=name)[0] == 0
