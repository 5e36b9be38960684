"""The run file: what is written is read again, and what is cut off or foreign is told."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.base.errors import BenchError, UsageError
from bench.model.problems import Code, Problem
from bench.model.samples import Sample, ThreadSample
from bench.store import folders, reader
from bench.store.writer import RunWriter
from tests.builders import a_cell, a_header

CELL = a_cell("c1", threads=2)
THREADS = (
    ThreadSample(cpu=1, wall_ns=10, cpu_ns=9, completed=5, calls=5),
    ThreadSample(cpu=0, wall_ns=10, cpu_ns=8, completed=4, calls=4, eagain=2),
)
SAMPLE = Sample(
    cell="c1", round=0, at_ns=17, wall_ns=10, threads=THREADS, slice_completed=11, delivered=11
)

LATER = replace(SAMPLE, round=1, at_ns=40)


def write(path: Path, *samples: Sample, end: str = "done") -> Path:
    with RunWriter(path) as writer:
        writer.header(a_header(), [CELL])
        writer.cell("c1", {"sndbuf": 212992})
        for sample in samples:
            writer.sample(sample)
        if end:
            writer.end(end, wall_s=1.5)
    return path


def error(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        reader.read(path)
    return str(caught.value).replace(str(path), "RUN")


def test_the_opening_of_a_sample_is_stored(tmp_path: Path) -> None:
    path = write(tmp_path / "run.jsonl", SAMPLE, replace(SAMPLE, round=1, opening=2))
    assert [sample.opening for sample in reader.read(path).samples] == [0, 2]


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = reader.read(write(tmp_path / "a" / "b" / "run.jsonl", SAMPLE))
    assert run.cells == (CELL,)
    assert run.samples == (SAMPLE,)
    assert run.facts == {"c1": {"sndbuf": 212992}}
    assert (run.end, run.warnings, run.failures) == ("done", (), {})


PROBLEMS = (
    Problem(Code.UNEXPLAINED, 4, delivered=7, completed=11),
    Problem(Code.WRONG_LENGTH, 7, bytes=420, meant=64),
)
TEXT = "delivered 7 of 11 completed, 4 unexplained; wrong length: 60 bytes per frame, 64 meant"


def test_problems_are_written_with_their_numbers_and_the_text_that_older_versions_know(
    tmp_path: Path,
) -> None:
    invalid = replace(SAMPLE, problems=PROBLEMS)
    path = write(tmp_path / "r.jsonl", invalid)
    line = json.loads(path.read_text().splitlines()[2])
    assert line["problem"] == TEXT
    assert line["problems"] == [
        {"code": "unexplained", "count": 4, "delivered": 7, "completed": 11},
        {"code": "wrong_length", "count": 7, "bytes": 420, "meant": 64},
    ]
    assert reader.read(path).samples == (invalid,)


@pytest.mark.parametrize("typed", [None, [], [{"code": "of a later version", "count": 1}]])
def test_a_problem_that_has_no_code_here_is_read_as_its_text(typed: object, tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", replace(SAMPLE, problems=PROBLEMS))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[2]["problems"] = typed
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (sample,) = reader.read(path).samples
    assert sample.problems == (Problem(Code.OTHER, told=TEXT),)


def test_counters_that_are_zero_take_no_room(tmp_path: Path) -> None:
    line = write(tmp_path / "r.jsonl", SAMPLE).read_text().splitlines()[2]
    assert json.loads(line) == {
        "type": "sample",
        "cell": "c1",
        "round": 0,
        "at_ns": 17,
        "wall_ns": 10,
        "threads": [
            {"cpu": 1, "wall_ns": 10, "cpu_ns": 9, "completed": 5, "calls": 5},
            {"wall_ns": 10, "cpu_ns": 8, "completed": 4, "calls": 4, "eagain": 2},
        ],
        "slice_completed": 11,
        "delivered": 11,
    }


def test_every_whole_line_before_a_cut_is_read_with_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", SAMPLE, LATER, end="")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    run = reader.read(path)
    assert len(run.samples) == 1
    assert run.warnings == (f"{path}:4: the last line is cut off and left out",)
    assert run.end == ""


def test_going_on_with_a_run_cuts_off_the_partial_line(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", SAMPLE, LATER, end="")
    path.write_bytes(path.read_bytes()[:-20])
    with RunWriter(path, append=True) as writer:
        writer.resume("now")
        writer.sample(LATER)
        writer.end("done")
    run = reader.read(path)
    assert (len(run.samples), run.end, run.warnings) == (2, "done", ())


@given(data=st.data(), count=st.integers(1, 20))
def test_no_sample_counts_twice_however_lines_were_merged(
    data: st.DataObject, count: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    samples = [replace(SAMPLE, round=number, at_ns=20 * number) for number in range(count)]
    path = write(tmp_path_factory.mktemp("merged") / "r.jsonl", *samples)
    first, *lines = path.read_text().splitlines(keepends=True)
    again = data.draw(st.lists(st.sampled_from([line for line in lines if "at_ns" in line])))
    path.write_text(first + "".join(data.draw(st.permutations(lines + again))))
    run = reader.read(path)
    assert sorted(run.samples, key=lambda sample: sample.round) == samples
    said = f"{path}: samples that are there again, and count once: {len(again)}"
    assert run.warnings == ((said,) if again else ())


def test_two_runs_are_no_run(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", SAMPLE)
    lines = path.read_bytes()
    path.write_bytes(lines + write(tmp_path / "s.jsonl", LATER).read_bytes())
    begins = lines.count(b"\n") + 1
    assert error(path) == (
        f"RUN:{begins}: another run begins here; keep each run in a file of its own"
    )


def test_fields_that_a_later_version_adds_are_ignored(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", end="")
    line = {"type": "sample", "cell": "c1", "round": 1, "at_ns": 1, "wall_ns": 2, "new": 3,
            "threads": [{"cpu": 0, "wall_ns": 2, "cpu_ns": 2, "newer": 1}]}  # fmt: skip
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n" + '{"type":"unheard of"}\n')
    assert reader.read(path).samples[0].round == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "RUN:1: not a run file: it must begin with the line of type run"),
        (b"[1]\n", "RUN:1: not a line of a run file"),
        (b"{]\n", "RUN:1: not a line of a run file"),
        (b'{"type":"sample"}\n', "RUN:1: not a run file: it must begin with the line of type run"),
        (
            b'{"type":"run","format":1}\n',
            "RUN:1: not a line of type run: matrix is missing",
        ),
        (
            b'{"type":"run","format":3}\n',
            "RUN:1: format 3 is newer than this bench reads (up to 2); update bench",
        ),
        (
            b'{"type":"run","format":1}\n<<<<<<< HEAD\n',
            "RUN:2: the mark of a merge; keep one side of it",
        ),
        (b"\xff\xfe", "RUN: not a run file: not UTF-8 text"),
        (
            b'{"type":"run","format":1,"cells":[],"baselines":{},"matrix":{"name":"m"}}\n'
            b'{"type":"cell","cell":"c1"}\n',
            "RUN:2: not a line of type cell: facts is missing",
        ),
    ],
)
def test_what_is_no_run_file_is_told_with_its_line(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(content)
    assert error(path) == message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert error(tmp_path / "none") == f"RUN: {os.strerror(errno.ENOENT)}; name a run file (.jsonl)"


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError) as caught:
        RunWriter(tmp_path / "file" / "r.jsonl")
    assert str(caught.value) == (
        f"cannot write results to {tmp_path}/file/r.jsonl: {os.strerror(errno.ENOTDIR)}; "
        "choose another folder with --results"
    )


def test_whose_a_folder_is_and_where_else_to_write_are_two_things(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_path: Path) -> list[Path]:
        raise PermissionError(errno.EACCES, "refused", str(tmp_path))

    monkeypatch.setattr("bench.base.files.make_folders", refused)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(BenchError) as caught:
        RunWriter(tmp_path / "r.jsonl")
    said = str(caught.value).partition(": refused; ")[2]
    assert said.startswith(f"{tmp_path} belongs to ")
    assert said.endswith("; choose another folder with --results")


def test_a_full_disk_is_an_error_and_keeps_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    writer = RunWriter(path)
    writer.header(a_header(), [CELL])
    writer._file.close()
    writer._file = open("/dev/full", "wb")  # noqa: SIM115
    with pytest.raises(BenchError, match=os.strerror(errno.ENOSPC)):
        writer.sample(SAMPLE)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        writer._file.close()  # left to the collector, Python 3.13 warns of it
    assert reader.read(path).cells == (CELL,)


def test_names_of_folders_and_runs() -> None:
    folder = folders.results_folder(Path("results"), "my-host", "m")
    assert folder == Path("results/my-host/m")
    path = folders.new_run_path(folder, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert path.name.startswith("20260102T030405Z-")
    assert path.suffix == ".jsonl"
    assert path != folders.new_run_path(folder, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_the_latest_unfinished_run_is_found(tmp_path: Path) -> None:
    write(tmp_path / "20260101T000000Z-a.jsonl", end="interrupted")
    write(tmp_path / "20260102T000000Z-a.jsonl", end="")
    write(tmp_path / "20260103T000000Z-a.jsonl")
    found = reader.unfinished(tmp_path, datetime.now(UTC))
    assert [path.name for path in found] == ["20260102T000000Z-a.jsonl", "20260101T000000Z-a.jsonl"]
    with pytest.raises(UsageError, match="no unfinished run in"):
        reader.unfinished(tmp_path / "empty", datetime.now(UTC))


@pytest.mark.parametrize("others", [False, True])
def test_a_file_that_is_taken_back_leaves_no_folder_of_its_own(
    tmp_path: Path, others: bool
) -> None:
    with RunWriter(tmp_path / "lab" / "m" / "r.jsonl") as writer:
        if others:  # another run began there since
            (tmp_path / "lab" / "other").mkdir()
        writer.discard()
    left = [path.name for path in tmp_path.rglob("*")]
    assert sorted(left) == (["lab", "other"] if others else [])
