"""Verdicts: what is told, what is not, and what must not be compared."""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import cli
from bench.analysis import environments
from bench.analysis.figures import series
from bench.analysis.verdicts import CellFigures, RunFigures, Verdict, compare
from bench.model.cells import Cell
from bench.plan import calibration
from bench.render import FORMATS
from bench.render import comparison as render
from bench.render.screen import Screen
from bench.store import reader
from bench.store.rates import read_rates
from bench.store.writer import RunWriter
from tests.builders import a_cell, a_header, a_sample, a_thread

CELLS = {name: a_cell(name) for name in ("send", "sendmmsg", "tx_ring", "sendto")}
HEADER: dict[str, Any] = {"host": {"cpu": "x", "kernel": "6.1"}, "core": {"hash": "h"}}


def run(generator: random.Random, spread: float = 0.01, **factors: float) -> RunFigures:
    """A run in which every cell does 1 Mpps at 1000 ns, but for noise and these factors."""
    figures = {}
    for name in CELLS:
        cost = 1000 * factors.get(name, 1.0) * (1 + generator.gauss(0, spread))
        figures[name] = CellFigures(pps=1e9 / cost, ns_per_frame=cost, rounds=100)
    return RunFigures("r", a_header(**HEADER), CELLS, figures)


def verdicts(
    a: Sequence[RunFigures],
    b: Sequence[RunFigures],
    history: Sequence[RunFigures] = (),
    **how: float,
) -> dict[str, Verdict]:
    result = compare(a, b, history, {}, **how)  # type: ignore[arg-type]
    return {row.cell.id: row.verdict for row in result.rows}


def some(number: int, seed: int = 1, spread: float = 0.01, **factors: float) -> list[RunFigures]:
    generator = random.Random(f"{seed}")
    return [run(generator, spread, **factors) for _ in range(number)]


def test_a_real_change_is_told_by_its_direction_and_the_rest_is_unchanged() -> None:
    a, b = some(8), some(8, seed=2, tx_ring=1.10, sendmmsg=0.90)
    assert verdicts(a, b) == {
        "tx_ring": Verdict.REGRESSED,
        "sendmmsg": Verdict.IMPROVED,
        "send": Verdict.UNCHANGED,
        "sendto": Verdict.UNCHANGED,
    }


def test_a_change_below_the_minimum_effect_is_no_regression() -> None:
    a, b = some(20, spread=0.002), some(20, seed=2, spread=0.002, send=1.02)
    assert verdicts(a, b)["send"] is Verdict.UNCHANGED
    result = compare(a, b, [], {"send": 0.01})
    assert {row.cell.id: row.verdict for row in result.rows}["send"] is Verdict.REGRESSED


def test_what_the_data_could_not_have_shown_is_inconclusive() -> None:
    noisy = verdicts(some(2, spread=0.1), some(2, seed=2, spread=0.1))
    assert set(noisy.values()) == {Verdict.INCONCLUSIVE}


def test_one_run_a_side_says_what_its_history_lets_it_say() -> None:
    a, b = some(1, spread=0.005), some(1, seed=2, spread=0.005, tx_ring=1.10)
    alone = compare(a, b, [], {})
    assert alone.assumed
    assert {row.verdict for row in alone.rows} == {Verdict.INCONCLUSIVE}
    told = verdicts(a, b, some(12, seed=3, spread=0.005))
    assert told["tx_ring"] is Verdict.REGRESSED
    assert told["send"] is Verdict.UNCHANGED


def test_false_alarms_are_rare_where_nothing_changed() -> None:
    pool = some(40, seed=9)
    flagged = 0
    for a, b in itertools.pairwise(pool):
        history = [r for r in pool if r is not a and r is not b]
        flagged += sum(v in (Verdict.REGRESSED, Verdict.IMPROVED)
                       for v in verdicts([a], [b], history).values())  # fmt: skip
    assert flagged <= 2


def test_cells_of_one_side_only_are_missing_or_new_and_the_worst_come_first() -> None:
    a, b = some(6), some(6, seed=2, send=1.2)
    without = [replace(r, figures={k: v for k, v in r.figures.items() if k != "sendto"}) for r in b]
    result = compare(a, without, [], {})
    assert [(r.cell.id, r.verdict) for r in result.rows][:2] == [
        ("send", Verdict.REGRESSED),
        ("sendto", Verdict.MISSING),
    ]
    assert verdicts(without, a)["sendto"] is Verdict.NEW
    assert render.summary(result).startswith("4 cells: 1 regressed, 1 missing")


def test_environments_are_compared_first() -> None:
    (a,) = some(1)
    other = a_header(**HEADER | {"host": {"cpu": "y", "kernel": "6.2"}})
    (found, kernel) = environments.differences([a], [replace(a, header=other)])
    assert (found.what, found.a, found.b, found.incomparable) == ("host cpu", "x", "y", True)
    assert (kernel.what, kernel.incomparable) == ("host kernel", False)
    assert not environments.is_alike(a.header, other)
    assert environments.differences([a], [a]) == ()


def test_runs_with_other_privileges_are_compared_and_it_is_said() -> None:
    (a,) = some(1)
    as_root, as_user = (
        replace(a, header=a_header(**HEADER, measure={"privileges": how}))
        for how in ("root", "user namespace")
    )
    (found,) = environments.differences([as_root], [as_user])
    assert found == environments.Difference("measure privileges", "root", "user namespace", False)
    assert not environments.is_alike(as_root.header, as_user.header)


def test_a_device_that_is_not_as_it_was_is_told_fact_by_fact() -> None:
    (run_,) = some(1)
    facts = {"driver": "igb", "rings": {"tx": 256}, "features": ["tx-checksum-ipv4"]}
    a = replace(run_, header=a_header(**HEADER, devices={"eth1": facts}))
    b = replace(run_, header=a_header(**HEADER, devices={"eth1": facts | {"rings": {"tx": 512}}}))
    (found,) = environments.differences([a], [b])
    assert (found.what, found.a, found.b) == ("device eth1 rings", '{"tx": 256}', '{"tx": 512}')
    assert not found.incomparable
    assert environments.differences([a], [a]) == ()
    assert len(environments.differences([a], [run_])) == len(facts)


# Files and the command


def write(
    path: Path,
    factor: float,
    header: dict[str, object] | None = None,
    rounds: int = 20,
    calibration: Sequence[Cell] = (),
) -> Path:
    """A run file; its cells take alike long for a frame, the calibration cells 2, 3, ... times.

    The run is another one than those in all other places.
    """
    generator = random.Random(path.name)
    times = dict.fromkeys(CELLS, 1) | {cell.id: n for n, cell in enumerate(calibration, 2)}
    with RunWriter(path) as writer:
        made = a_header(**{"id": str(path)} | (header or HEADER))
        writer.header(made, CELLS.values(), calibration)
        for round_ in range(rounds):
            for cell, cost in times.items():
                wall = round(10_000_000 * cost * factor * generator.gauss(1, 0.002))
                thread = a_thread(wall_ns=wall, cpu_ns=wall, completed=10_000)
                writer.sample(a_sample(cell, round_, wall_ns=wall, threads=(thread,)))
        writer.end("done")
    return path


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed, however it was wrapped."""
    return " ".join(capsys.readouterr().out.split())


def test_rates_are_those_of_the_samples_in_round_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 1.0)
    rates, full = read_rates(path, series), reader.read(path)
    samples = [s for s in full.samples if s.cell == "send"]
    assert rates.series.pps["send"] == [s.total("completed") * 1e9 / s.wall_ns for s in samples]
    assert (rates.cells, rates.header) == (full.cells, full.header)


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
    assert "from these and 7 other runs of this matrix" in out
    assert "4 cells: 4 regressed" in out
    write(tmp_path / "newer" / "20260110.jsonl", 1.2)
    assert cli.main(["compare", str(slow), str(tmp_path / "newer")]) == 4
    assert "assumed" in capsys.readouterr().out


def test_a_run_is_not_compared_with_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_ = write(tmp_path / "a.jsonl", 1.0)
    write(tmp_path / "b.jsonl", 1.0)
    link = tmp_path / "other" / "link.jsonl"
    link.parent.mkdir()
    link.symlink_to(run_)
    for a in (run_, tmp_path, link, tmp_path / "*.jsonl"):
        assert cli.main(["compare", str(a), str(run_)]) == 2
        named = f"{link} (also {run_})" if a == link else run_
        said = f"bench: {named} is in A and in B; name runs that are in one of them only\n"
        assert capsys.readouterr() == ("", said)


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
    told = alone.out.replace(str(a), str(tmp_path / "side/copy.jsonl"))
    assert both.out.split() == told.split()  # however it was wrapped
    side = tmp_path / "side"
    said = f"bench: {side}/copy.jsonl is the same run as {side}/a.jsonl: it counts once\n"
    assert both.err == said
    assert cli.main(["compare", str(side / "a.jsonl"), str(side / "copy.jsonl")]) == 2
    said = f"{side}/a.jsonl (also {side}/copy.jsonl) is in A and in B"
    assert capsys.readouterr().err.startswith(f"bench: {said}; ")


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (200, ""),
        (80, ""),
        (65, "not shown at this width: 95 % interval of ns/frame"),
        (50, "not shown at this width: 95 % interval of ns/frame, 95 % interval of Mpps"),
    ],
)
def test_a_comparison_fits_the_terminal(width: int, left_out: str) -> None:
    result = compare(some(2), some(2, seed=2, tx_ring=1.2), [], {})
    difference = environments.Difference(
        "host cmdline", "quiet " * 20, "mitigations=off " * 10, False
    )
    text = FORMATS["terminal"](render.document_of(result, [difference]), Screen(width))
    lines = text.splitlines()
    assert max(map(len, lines)) <= max(width, len(left_out))
    assert [line for line in lines if "not shown" in line] == ([left_out] if left_out else [])
    assert len([line for line in lines if "inconclusive " in line]) == 4


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_every_cell(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = write(tmp_path / "a" / "a.jsonl", 1.0), write(tmp_path / "b" / "b.jsonl", 1.0)
    assert cli.main(["compare", str(a), str(b), "--format", form]) == 4
    out = capsys.readouterr().out
    assert all(out.count(name) for name in CELLS)
    assert out.count("inconclusive") >= 4


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


def test_a_sample_that_was_written_with_blanks_counts_too(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", 1.0)
    before = read_rates(path, series).series.pps
    lines = path.read_text().splitlines()
    path.write_text("".join(json.dumps(json.loads(line)) + "\n" for line in lines))
    assert read_rates(path, series).series.pps == before


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
    assert "4 cells have valid samples of fewer than 20 rounds on a side: too few" in out
    assert "4 cells: 4 inconclusive" in out
    assert cli.main(["compare", first, str(write(tmp_path / "none.jsonl", 1.0, rounds=0))]) == 2
    assert "none.jsonl has no valid sample: there is nothing" in capsys.readouterr().err


def calibrated(path: Path, without: str = "") -> Path:
    """A run with calibration cells, of which one (by its method) may have no samples."""
    write(path, 1.0, rounds=30, calibration=calibration.CALIBRATION)
    left_out = {f'"cell":"{cell.id}"' for cell in calibration.CALIBRATION if cell.method == without}
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if "sample" not in line or not any(x in line for x in left_out)]
    path.write_text("".join(kept))
    return path


def test_runs_are_normalised_by_calibration_cells_that_all_of_them_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, *_ = (calibrated(tmp_path / f"{name}.jsonl") for name in "abcdefgh")
    assert cli.main(["compare", str(a), str(b)]) == 0
    out = capsys.readouterr().out
    assert "normalised by the calibration cells" in out
    assert "not normalised" not in out
    lacking = calibrated(tmp_path / "c" / "c.jsonl", without="syscall")
    why = f"{lacking} has too few valid samples of the calibration cell syscall"
    sides = [str(a), str(lacking)]
    assert cli.main(["compare", *sides]) == 0
    assert shown(capsys).startswith(f"not normalised {why}")
    assert cli.main(["compare", "--no-normalise", *sides]) == 0
    assert "not normalised" not in capsys.readouterr().out
    assert cli.main(["compare", "--normalise", *sides]) == 2
    assert capsys.readouterr().err == f"bench: --normalise: {why}\n"
    without = write(tmp_path / "none.jsonl", 1.0)
    assert cli.main(["compare", str(a), str(without), "--normalise"]) == 2
    assert "none.jsonl has no calibration cells" in capsys.readouterr().err


def test_a_run_without_the_calibration_of_the_others_is_no_history_of_normalised_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b, *_ = (calibrated(tmp_path / f"{name}.jsonl") for name in "abcdefgh")
    calibrated(tmp_path / "x.jsonl", without="null")
    assert cli.main(["compare", str(a), str(b)]) == 0
    assert "from these and 6 other runs" in shown(capsys)
    assert cli.main(["compare", str(a), str(b), "--no-normalise"]) == 0
    assert "from these and 7 other runs" in shown(capsys)


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
    written = tmp_path / "x:y"
    assert cli.main(["compare", "--", f"--output={written}", "b.jsonl"]) == 2
    assert capsys.readouterr().err.startswith(f"bench: --output={written}: ")
    assert not written.exists()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["compare", "HEAD:a.jsonl", "b.jsonl"]) == 2
    assert f"git does not run here: {os.strerror(errno.ENOENT)}" in capsys.readouterr().err


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
    assert "runs of different matrices: m, n" in capsys.readouterr().err


def test_a_cut_off_line_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = write(tmp_path / "a.jsonl", 1.0), write(tmp_path / "b.jsonl", 1.0)
    b.write_bytes(b.read_bytes()[:-30])
    assert cli.main(["compare", str(a), str(b)]) == 4
    assert "the last line is cut off" in capsys.readouterr().err
