"""Two sides of runs compared: which may be, with which history, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import cli
from bench.analysis.verdicts import Verdict
from bench.cli import compare
from bench.plan import calibration
from bench.render import FORMATS
from tests.run_files import CELLS, HEADER, write


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, however it was wrapped."""
    return " ".join(capsys.readouterr().out.split())


def test_the_command_finds_its_history_and_says_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        write(tmp_path / f"2026010{number}.jsonl", 1.0)
    slow = write(tmp_path / "new" / "20260109.jsonl", 1.2)
    first, last = str(tmp_path / "20260100.jsonl"), str(tmp_path / "20260107.jsonl")
    assert cli.main(["compare", first, last]) == 0
    assert "4 cells: 4 unchanged" in capsys.readouterr().out
    assert cli.main(["compare", first, str(slow)]) == 3
    out = shown(capsys)
    assert "7 other runs that should agree with A" in out
    assert "4 cells: 4 regressed" in out
    write(tmp_path / "newer" / "20260110.jsonl", 1.2)
    assert cli.main(["compare", str(slow), str(tmp_path / "newer")]) == 4
    assert "4 inconclusive cells: nothing shows how far runs of so few cells differ" in shown(
        capsys
    )


def test_a_run_is_not_compared_with_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_ = write(tmp_path / "a.jsonl", 1.0)
    link = tmp_path / "other" / "link.jsonl"
    link.parent.mkdir()
    link.symlink_to(run_)
    for a in (run_, tmp_path, link, tmp_path / "*.jsonl"):
        assert cli.main(["compare", str(a), str(run_)]) == 2
        named = f"{link} (also {run_})" if a == link else run_
        said = f"bench: {named} is in A and in B; name runs that are in one of them only\n"
        assert capsys.readouterr() == ("", said)


def test_a_folder_is_compared_with_a_run_in_it_which_counts_for_b_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        write(tmp_path / f"2026010{number}.jsonl", 1.0)
    last = write(tmp_path / "20260109.jsonl", 1.2)
    assert cli.main(["compare", str(tmp_path), str(last), "--format", "json"]) == 3
    out, said = capsys.readouterr()
    assert said == f"bench: {last} is in A and in B: it counts for B\n"
    assert json.loads(out)["runs"] == {"a": 8, "b": 1, "history": 0}


def test_a_run_is_compared_with_its_folder_where_it_counts_for_a_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        write(tmp_path / f"2026010{number}.jsonl", 1.2)
    first = write(tmp_path / "20260109.jsonl", 1.0)
    assert cli.main(["compare", str(first), str(tmp_path), "--format", "json"]) == 3
    out, said = capsys.readouterr()
    assert said == f"bench: {first} is in A and in B: it counts for A\n"
    assert json.loads(out)["runs"] == {"a": 1, "b": 8, "history": 0}


def test_incomparable_runs_are_refused_unless_forced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = write(tmp_path / "a.jsonl", 1.0)
    b = write(tmp_path / "b.jsonl", 1.0, {**HEADER, "core": {"hash": "other"}})
    assert cli.main(["compare", str(a), str(b)]) == 2
    assert capsys.readouterr().err == (
        "bench: not comparable: core hash is h in A and other in B; --force compares all the same\n"
    )
    assert cli.main(["compare", str(a), str(b), "--force"]) == 4
    assert "differs core hash: h in A, other in B" in shown(capsys)
    c = write(tmp_path / "c.jsonl", 1.0, {**HEADER, "matrix": {"name": "n"}})
    assert cli.main(["compare", str(a), str(c)]) == 2
    assert "runs of different matrices: m, n; --force compares" in capsys.readouterr().err
    assert cli.main(["compare", str(a), str(c), "--force"]) == 4
    assert "4 cells: 4 inconclusive" in shown(capsys)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"gso": True}, "has gso - in A, yes in B, and this bench knows no axis gso: update it"),
        ({"frame_size": 99}, "has frame_size 64 in A, 99 in B: they are two cells of one id"),
        ({"vnet_hdr": False}, ""),  # of an engine that has it since, at its default
    ],
)
def test_cells_of_one_id_are_one_cell_as_far_as_this_version_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: dict[str, object], said: str
) -> None:
    a, b = write(tmp_path / "a.jsonl", 1.0), write(tmp_path / "b.jsonl", 1.0)
    first, *rest = b.read_text().splitlines(keepends=True)
    header = json.loads(first)
    header["cells"][0]["values"] |= values
    b.write_text(json.dumps(header) + "\n" + "".join(rest))
    assert cli.main(["compare", str(a), str(b)]) == (2 if said else 4)
    assert said in capsys.readouterr().err
    assert cli.main(["compare", str(a), str(b), "--force"]) == 4


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_every_cell(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = write(tmp_path / "a" / "a.jsonl", 1.0), write(tmp_path / "b" / "b.jsonl", 1.0)
    assert cli.main(["compare", str(a), str(b), "--format", form]) == 4
    out = capsys.readouterr().out
    assert all(out.count(name) for name in CELLS)
    assert out.count("inconclusive") >= 4


@pytest.mark.parametrize("count", ["cpu_ns", "completed", "wall_ns"])
def test_a_cell_without_figures_has_none_in_any_verb(
    count: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shown with 0.0 ns/frame by one and missing to the other, a cell was told two ways."""
    whole, bad = write(tmp_path / "a.jsonl", 1.0), tmp_path / "b" / "b.jsonl"
    header, *lines = map(json.loads, write(bad, 1.0).read_text().splitlines())
    for line in lines:
        if line.get("cell") == "send":
            (line if count == "wall_ns" else line["threads"][0])[count] = 0
    bad.write_text("".join(json.dumps(line) + "\n" for line in (header, *lines)))
    assert cli.main(["show", str(bad), "--format", "json"]) == 0
    (row,) = (c for c in json.loads(capsys.readouterr().out)["cells"] if c["cell"] == "send")
    assert (row["rounds"], row["invalid_rounds"], row["ns_per_frame"]) == (0, 20, None)
    assert cli.main(["compare", str(whole), str(bad), "--format", "json"]) == 4
    (row,) = (c for c in json.loads(capsys.readouterr().out)["cells"] if c["cell"] == "send")
    assert row["verdict"] == "missing"


def test_runs_of_few_rounds_have_no_verdict_and_one_without_samples_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        write(tmp_path / f"2026010{number}.jsonl", 1.0)
    short = write(tmp_path / "short" / "a.jsonl", 1.5, rounds=1)
    first = str(tmp_path / "20260100.jsonl")
    assert cli.main(["compare", first, str(short)]) == 4
    out = capsys.readouterr().out
    assert "4 inconclusive cells: valid rounds: 1 in B; 20 are the least" in out
    assert "4 cells: 4 inconclusive" in out
    assert cli.main(["compare", first, str(write(tmp_path / "none.jsonl", 1.0, rounds=0))]) == 2
    assert "none.jsonl has no valid sample: there is nothing" in capsys.readouterr().err


def test_what_the_calibration_cells_did_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = write(tmp_path / "a.jsonl", 1.0, calibration=calibration.CALIBRATION)
    b = write(tmp_path / "b.jsonl", 1.1, calibration=calibration.CALIBRATION)
    assert cli.main(["compare", str(a), str(b)]) == 4
    assert "the calibration cells' ns/frame moved by +10.0%" in shown(capsys)


def test_each_side_says_where_it_is_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doctor = {"verdict": "doctor: 1 bad: CPU 1 is busy"}
    a = write(tmp_path / "a.jsonl", 1.0, {**HEADER, "id": "aa", "doctor": doctor})
    b = write(tmp_path / "b.jsonl", 1.0, {**HEADER, "id": "bb"})
    assert cli.main(["compare", str(a), str(b)]) == 4
    assert "A m, run a, kernel 6.1, core h, doctor: 1 bad: CPU 1 is busy" in shown(capsys)
    assert cli.main(["compare", str(a), str(b), "--format", "json"]) == 4
    (of_a,) = json.loads(capsys.readouterr().out)["sides"]["a"]
    assert (of_a["run_id"], of_a["matrix"], of_a["kernel"]) == ("aa", "m", "6.1")


def test_unchanged_cells_are_counted_and_listed_where_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        write(tmp_path / f"2026010{number}.jsonl", 1.0)
    sides = [str(tmp_path / "20260100.jsonl"), str(tmp_path / "20260107.jsonl")]
    assert cli.main(["compare", *sides]) == 0
    brief = capsys.readouterr().out
    assert "4 cells: 4 unchanged" in brief
    assert "sendmmsg" not in brief
    assert cli.main(["compare", *sides, "--all"]) == 0
    assert "sendmmsg" in capsys.readouterr().out


def test_several_sides_are_each_compared_with_a(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        write(tmp_path / f"2026010{number}.jsonl", 1.0)
    same = write(tmp_path / "b" / "20260109.jsonl", 1.0)
    slow = write(tmp_path / "c" / "20260110.jsonl", 1.2)
    sides = [str(tmp_path / "20260100.jsonl"), str(same), str(slow)]
    assert cli.main(["compare", *sides]) == 3
    out = shown(capsys)
    assert "B: 4 cells: 4 unchanged" in out
    assert "C: 4 cells: 4 regressed" in out
    assert cli.main(["compare", *sides, "--format", "json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert [(row["side"], row["verdict"]) for row in told["cells"]] == [
        *[("B", "unchanged")] * 4,
        *[("C", "regressed")] * 4,
    ]
    assert [of["summary"] for of in told["comparisons"]] == [
        "4 cells: 4 unchanged",
        "4 cells: 4 regressed",
    ]


def test_a_run_of_any_side_is_left_out_of_a(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [write(tmp_path / f"2026010{number}.jsonl", 1.0) for number in range(8)]
    assert cli.main(["compare", str(tmp_path), str(runs[6]), str(runs[7])]) == 0
    said = capsys.readouterr().err
    assert f"{runs[6]} is in A and in B: it counts for B" in said
    assert f"{runs[7]} is in A and in C: it counts for C" in said


def test_the_last_runs_are_the_ones_that_started_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their content: a copy, or a clock that was wrong, has any name."""
    results = tmp_path / "results" / "m" / "x"
    for day, (name, speed) in enumerate((("c", 1.0), ("b", 1.0), ("d", 1.2), ("a", 1.2)), 1):
        started = {"started": f"2026-01-0{day}T00:00:00Z"}
        write(results / f"{name}.jsonl", speed, {**HEADER, **started})
    other = write(
        tmp_path / "other" / "o.jsonl", 1.2, {**HEADER, "started": "2026-01-09T00:00:00Z"}
    )
    argv = ["compare", str(results), str(other), "--force", "--format", "json", "--fail-on", "new"]
    for last, names in ((2, {"d.jsonl", "a.jsonl"}), (3, {"b.jsonl", "d.jsonl", "a.jsonl"})):
        assert cli.main([*argv, "--last", str(last)]) == 0
        told = json.loads(capsys.readouterr().out)
        assert {Path(run["path"]).name for run in told["sides"]["a"]} == names
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", str(other), "latest", "--format", "json", "--fail-on", "new"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["sides"]["b"]
    assert Path(run["path"]).name == "a.jsonl"
    monkeypatch.chdir(tmp_path / "other")
    assert cli.main(["compare", "o.jsonl", "latest"]) == 2
    assert capsys.readouterr().err == "bench: latest: no run below results/; name a run file\n"


def test_verdicts_choose_what_is_listed_and_what_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):
        write(tmp_path / f"2026010{number}.jsonl", 1.0)
    first = str(tmp_path / "20260100.jsonl")
    slow = str(write(tmp_path / "slow" / "a.jsonl", 1.2))
    for fail_on, code in (("regressed", 3), ("improved", 0), ("inconclusive,missing", 0)):
        assert cli.main(["compare", first, slow, "--fail-on", fail_on]) == code
    capsys.readouterr()
    assert cli.main(["compare", first, slow, "--only", "missing,new"]) == 3
    out = capsys.readouterr().out
    assert "regressed" not in out.replace("4 cells: 4 regressed", "")
    assert cli.main(["compare", first, slow, "--only", "regressed"]) == 3
    assert capsys.readouterr().out.count("regressed") == 5
    with pytest.raises(SystemExit):
        cli.main(["compare", first, slow, "--only", "slower"])
    assert "verdicts are regressed, missing, inconclusive" in capsys.readouterr().err


def test_the_command_knows_the_verdicts() -> None:
    assert tuple(verdict.value for verdict in Verdict) == compare.VERDICTS
    assert {*compare.FAILURES} < {*compare.VERDICTS}
