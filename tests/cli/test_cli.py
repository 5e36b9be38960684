"""The command line where no privilege is needed: the null method, and everything that is wrong."""

from __future__ import annotations

import errno
import json
import os
import pty
import re
import resource
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.render import FORMATS
from bench.store import reader
from tests.running import (
    ROOT,
    UNPRIVILEGED,
    Bench,
    Outcome,
    assert_rounds,
    complaints,
    ended,
    inside,
    needs_root,
    needs_setpriv,
    unfinish,
    wait_for,
)

ROUNDS = 40
CPUS = sorted(os.sched_getaffinity(0))
needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is missing")


# Runs


def test_a_run_is_stored_and_its_table_printed(bench: Bench) -> None:
    outcome = bench("run", bench.matrix(rounds=8))
    assert outcome.code == 0, outcome.err
    run = bench.stored()
    assert run.end == "done"
    assert len(run.cells) == 2
    assert_rounds(run, rounds=8)
    assert all(not s.problem and s.delivered == s.slice_completed > 0 for s in run.samples)
    # Not a terminal: no progress, and no colour.
    assert outcome.complaints == [f"stored in {Path(run.path).relative_to(bench.folder)}"]
    assert "\x1b" not in outcome.out + outcome.err
    assert re.search(r"^ +1514 +\d", outcome.out, re.MULTILINE)
    assert Path(run.path).with_suffix(".md").read_text().startswith("## m\n")


def test_a_table_is_written_in_any_format_and_shown_alike(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    table = bench.folder / "table"
    run_it = inside(capsys, "run", bench.matrix(), "--results", bench.results, "--output", table)
    assert (run_it.code, run_it.out) == (0, "")
    (path,) = bench.files()
    for form in FORMATS:
        shown = inside(capsys, "show", path, "--format", form)
        assert shown.code == 0
        if form == "terminal":
            assert shown.out == table.read_text()
        if form == "markdown":
            assert shown.out == path.with_suffix(".md").read_text()
        if form == "json":
            assert len(json.loads(shown.out)["cells"]) == 2
        if form == "csv":
            assert len(shown.out.splitlines()) == 3
        written = inside(capsys, "show", path, "--format", form, "--output", table)
        assert (written.out, table.read_text()) == ("", shown.out)


def test_a_seed_gives_the_order_of_the_slices(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = bench.matrix({"method": ["null"], "frame_size": [64, 65, 66, 67, 68]}, rounds=4)
    orders: list[list[tuple[int, str]]] = []
    for seed in (7, 7, 8):
        results = bench.folder / f"seed{len(orders)}"
        assert inside(capsys, "run", matrix, "--seed", seed, "--results", results).code == 0
        (path,) = results.rglob("*.jsonl")
        run = reader.read(path)
        assert run.header.measure.seed == seed
        orders.append([(sample.round, sample.cell) for sample in run.samples])
    assert orders[0] == orders[1] != orders[2]


def test_the_largest_seed_gives_a_run_that_can_be_read(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", bench.matrix(), "--results", bench.results, "--seed", 2**63 - 1]
    assert inside(capsys, *arguments).code == 0
    assert inside(capsys, "show", *bench.files()).code == 0


def test_a_filter_keeps_the_cells_and_their_baselines(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    axes = {"method": ["null"], "frame_size": [64, 1514], "burst": [1, 8, 64]}
    matrix = bench.matrix(axes, baseline={"burst": 1})
    filters = ["--filter", "burst=8", "--filter", "frame_size=64"]
    assert inside(capsys, "run", matrix, "--results", bench.results, *filters).code == 0
    kept = {(c.values["frame_size"], c.values["burst"]) for c in bench.stored().cells}
    assert kept == {(64, 1), (64, 8)}
    shown = inside(capsys, "show", *bench.files(), "--filter", "burst=8", "--format", "csv")
    assert len(shown.out.splitlines()) == 2


def test_a_setting_is_planned_run_stored_and_shown(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = bench.matrix({"method": ["null"], "frame_size": [64, 1514]})
    wanted = ["--set", "frame_size=128, 256", "--filter", "frame_size=128"]
    assert "frame_size=128" in inside(capsys, "plan", matrix, *wanted, "--cells").out
    assert inside(capsys, "run", matrix, "--results", bench.results, *wanted).code == 0
    assert [cell.frame_size for cell in bench.stored().cells] == [128]
    called = "--set 'frame_size=128, 256' --filter frame_size=128"
    assert called in inside(capsys, "show", *bench.files()).out
    shown = json.loads(inside(capsys, "show", *bench.files(), "--format", "json").out)
    assert shown["facts"]["called_with"] == called


def test_the_present_folder_stands_in_for_no_module(bench: Bench) -> None:
    for name in ("bench.py", "socket.py"):
        (bench.folder / name).write_text("raise SystemExit('not this one')")
    script = "import sys; from bench.__main__ import main; sys.exit(main())"
    matrix = bench.matrix()
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, "run", matrix],  # as the console script does
        cwd=bench.folder,
        env=bench.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# Interrupts


def long_matrix(bench: Bench) -> Path:
    """Long enough to be interrupted on a busy machine."""
    axes = {"method": ["null"], "frame_size": [64, 65, 66]}
    return bench.matrix(axes, rounds=ROUNDS, window="3ms")


def interrupted(
    bench: Bench, number: int, after: int = 4, **options: Any
) -> tuple[Outcome, list[str]]:
    """A run that gets a signal when it has so many samples; and its lines on the disk then."""
    process = bench.start("run", long_matrix(bench), **options)
    wait_for(lambda: bench.samples() >= after, "samples", process)
    process.send_signal(number)
    outcome = ended(process)
    return outcome, bench.files()[0].read_text().splitlines()


def assert_resumed(bench: Bench, capsys: pytest.CaptureFixture[str], before: list[str]) -> None:
    """--resume completes the file: nothing is measured twice, or lost but for the round in hand."""
    resumed = inside(capsys, "run", bench.folder / "m.yaml", "--results", bench.results, "--resume")
    assert resumed.code == 0, resumed.err
    (path,) = bench.files()
    run = reader.read(path)
    assert path.read_text().splitlines()[: len(before)] == before
    assert run.end == "done"
    assert not run.warnings
    measured = [(sample.cell, sample.round) for sample in run.samples]
    assert len(measured) == len(set(measured))
    missing = {(cell.id, round_) for cell in run.cells for round_ in range(ROUNDS)} - set(measured)
    assert len({round_ for _, round_ in missing}) <= 1
    assert "frame_size" in resumed.out


def test_an_interrupted_run_keeps_what_it_has_and_is_resumed(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome, lines = interrupted(bench, signal.SIGHUP)
    assert outcome.code == -signal.SIGHUP
    assert len(outcome.complaints) == 1  # where it is stored
    assert "interrupted" in outcome.out
    assert "64" in outcome.out
    assert json.loads(lines[-1])["reason"] == "interrupted"
    assert_resumed(bench, capsys, lines)


@pytest.mark.parametrize(("after", "cut"), [(0, 0), (9, 1), (40, 25)])
def test_a_killed_run_is_resumed_also_after_half_a_line(
    bench: Bench, capsys: pytest.CaptureFixture[str], after: int, cut: int
) -> None:
    if after:
        outcome, _ = interrupted(bench, signal.SIGKILL, after)
    else:
        process = bench.start("run", long_matrix(bench))
        wait_for(
            lambda: any(path.stat().st_size for path in bench.files()), "the run file", process
        )
        process.kill()
        outcome = ended(process)
    assert (outcome.code, outcome.err) == (-signal.SIGKILL, "")
    wait_for(lambda: not bench.processes(), "the end of the worker")
    (path,) = bench.files()
    if cut:
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size - cut)
    shown = inside(capsys, "show", path)
    assert shown.code == 0
    assert "--resume takes it up" in shown.out
    assert ("the last line is cut off" in shown.err) == bool(cut)
    whole = path.read_text().rpartition("\n")[0].splitlines()
    assert_resumed(bench, capsys, whole)


def test_a_run_that_is_killed_before_its_header_is_passed_over(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    run_it = ["run", bench.matrix(), "--results", bench.results]
    assert inside(capsys, *run_it).code == 0
    (path,) = bench.files()
    unfinish(path)
    before = path.read_text()
    path.with_name("99990101T000000Z-000000.jsonl").write_text('{"type":"ru')
    assert inside(capsys, *run_it, "--resume").code == 0
    assert reader.read(path).end == "done"
    assert path.read_text().startswith(before)


def test_a_run_under_nohup_outlives_its_terminal(bench: Bench) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    outcome, _ = interrupted(bench, signal.SIGHUP, preexec_fn=ignore)
    assert outcome.code == 0
    assert bench.stored().end == "done"


def test_an_interrupt_before_anything_is_set_up_leaves_nothing(bench: Bench) -> None:
    fifo = bench.folder / "m.yaml"
    os.mkfifo(fifo)
    process = bench.start("run", fifo)
    with open(fifo, "w"):  # once this returns it reads its matrix
        process.send_signal(signal.SIGINT)
        assert ended(process) == Outcome(-signal.SIGINT, "", "")
    assert not bench.results.exists()


def test_an_interrupt_in_the_middle_of_the_imports_is_no_traceback(bench: Bench) -> None:
    started = bench.folder / "started"
    (bench.folder / "argparse.py").write_text(
        f"import time\nopen({str(started)!r}, 'w')\ntime.sleep(30)\n"
    )
    process = bench.start("plan", bench.matrix())
    wait_for(started.exists, "the imports", process)
    process.send_signal(signal.SIGINT)
    assert ended(process) == Outcome(-signal.SIGINT, "", "")


def test_the_worker_leaves_signals_to_the_runner(bench: Bench) -> None:
    process = bench.start("run", long_matrix(bench))
    wait_for(lambda: bench.samples(), "samples", process)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(bench.worker(), number)
    assert ended(process).code == 0


def test_a_worker_in_the_middle_of_a_slice_goes_with_its_runner(bench: Bench) -> None:
    process = bench.start("run", bench.matrix(window="10s", rounds=1))
    opened = '{"type":"cell"'
    wait_for(
        lambda: any(path.read_text().count(opened) == 4 for path in bench.files()),
        "both cells, and those that calibrate, are open",
        process,
    )
    process.kill()
    process.wait()  # its output is still open: the worker has it too
    wait_for(lambda: not bench.processes(), "the end of the worker", within_s=5)
    ended(process)


# What cannot be resumed


def test_only_an_unfinished_run_of_the_same_matrix_is_resumed(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    def resuming(matrix: Path, *run: Path) -> list[str]:
        return complaints(capsys, "run", matrix, "--results", bench.results, "--resume", *run)

    matrix = bench.matrix()
    (line,) = resuming(matrix)
    assert re.fullmatch(rf"--resume: no unfinished run in {bench.results}/[^/]+/m", line)
    assert inside(capsys, "run", matrix, "--results", bench.results).code == 0
    (path,) = bench.files()
    stored = path.read_text()
    assert resuming(matrix, path) == [f"cannot resume {path}: it is finished; start a new run"]
    assert len(resuming(matrix)) == len(resuming(matrix, matrix)) == 1
    assert path.read_text() == stored
    unfinish(path)
    (line,) = resuming(bench.matrix({"method": ["null"]}, name="other"), path)
    assert line == f"cannot resume {path}: it has other cells; start a new run"
    assert inside(capsys, "run", matrix, "--resume", path).code == 0
    assert bench.stored().end == "done"


def test_a_run_to_resume_may_be_called_latest(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then it is that file, and not the latest run of the matrix."""
    matrix = bench.matrix()
    assert inside(capsys, "run", matrix, "--results", bench.results).code == 0
    (path,) = bench.files()
    unfinish(path)
    before = path.read_bytes()
    (line,) = complaints(capsys, "run", matrix, "--results", bench.results, "--resume", "latest")
    way = "name a .jsonl file, or none for the latest run"
    assert line == f"--resume latest: there is no such run file; {way}"
    assert path.read_bytes() == before


def test_a_run_that_gzip_packed_is_to_be_unpacked_before_it_goes_on(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = bench.folder / "run.jsonl.gz"
    packed.write_bytes(b"")
    (line,) = complaints(capsys, "run", bench.matrix(), "--resume", packed)
    assert line == f"--resume {packed}: gzip packed it; unpack it: gunzip {packed}"


def test_a_run_that_is_going_on_is_not_resumed(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = long_matrix(bench)
    process = bench.start("run", matrix)
    wait_for(lambda: bench.samples(), "samples", process)
    process.send_signal(signal.SIGSTOP)
    (line,) = complaints(capsys, "run", matrix, "--results", bench.results, "--resume")
    process.send_signal(signal.SIGCONT)
    assert line.endswith(": this run is still going on; wait for it, or start a new one")
    assert ended(process).code == 0
    assert_rounds(bench.stored(), ROUNDS)


# Threads and CPUs


def test_a_matrix_for_a_larger_machine_runs_as_far_as_it_can(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = bench.matrix({"method": ["null"], "threads": [1, 64]}, baseline={"threads": 1})
    reason = f"64 threads: {len(CPUS)} CPU{'s' if len(CPUS) > 1 else ''} here"
    assert reason in inside(capsys, "plan", matrix).out
    run_it = ["run", matrix, "--results", bench.results]
    outcome = inside(capsys, *run_it)
    assert outcome.code == 4
    assert f"failed: {reason}" in outcome.out
    run = bench.stored()
    one, many = run.cells
    assert run.failures == {many.id: reason}
    assert [sample.cell for sample in run.samples] == [one.id] * 2
    assert inside(capsys, *run_it, "--filter", "threads=1").code == 0


@pytest.mark.parametrize("policy", [["--fifo", "1"], ["--fifo", "10"], ["--rr", "10"]])
def test_real_time_senders_on_every_cpu_do_not_keep_off_who_ends_their_window(
    bench: Bench, policy: list[str]
) -> None:
    """One of them alone would hold its CPU until the kernel's real-time throttle."""
    prefix = ["chrt", *policy]
    if shutil.which("chrt") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("util-linux's chrt is missing, or may not give a real-time priority here")
    matrix = bench.matrix({"method": ["null"], "threads": [len(CPUS)]}, rounds=5)
    outcome = bench("run", matrix, prefix=prefix)
    assert outcome.code == 0, outcome.err
    assert_rounds(bench.stored(), 5)


@pytest.mark.skipif(len(CPUS) < 2, reason="there is no other CPU to keep off to")
def test_the_runner_and_its_worker_keep_off_the_senders_cpu(bench: Bench) -> None:
    sender = CPUS[-1]
    measure = {"window": "3ms", "rounds": 100_000, "cpus": [sender]}
    process = bench.start("run", bench.matrix(measure=measure))
    wait_for(lambda: bench.samples(), "samples", process)
    for pid in (process.pid, bench.worker()):
        assert os.sched_getaffinity(pid) == set(CPUS) - {sender}
    process.send_signal(signal.SIGINT)
    assert ended(process).code == -signal.SIGINT
    run = bench.stored()
    assert (run.header.measure.cpus, run.header.measure.cpus_why) == (
        (sender,),
        "as the matrix names them",
    )


def test_a_thread_that_is_not_pinned_runs_on_one_of_the_cpus_of_the_matrix(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    axes = {"method": ["null"], "affinity": ["pinned", "free"], "threads": [1]}
    matrix = bench.matrix(axes, rounds=3, baseline={"affinity": "pinned"})
    assert inside(capsys, "run", matrix, "--results", bench.results).code == 0
    run = bench.stored()
    pinned, free = run.cells
    first, *_ = run.header.measure.cpus
    assert (run.facts[pinned.id]["cpus"], sorted(run.facts[free.id]["cpus"])) == ([first], CPUS)
    for sample in run.samples:
        (thread,) = sample.threads
        assert thread.cpu in (CPUS if sample.cell == free.id else [first])
        assert not sample.problem
        watched = len(CPUS) if sample.cell == free.id else 1
        assert sample.cpus_ns > watched * thread.wall_ns


# Bad input


BAD = {
    "an unknown method": ("axes: {method: [sendtoo]}", r":2:\d+: .*'sendtoo'.*sendto"),
    "an unknown axis": ("axes: {metod: [send]}", r":2:\d+: .*unknown axis 'metod'.*method"),
    "an unknown interface": ("axes: {interface: [eth0]}", r":2:\d+: .*'eth0'.*veth"),
    "an unknown qdisc": ("axes: {qdisc: [fqq]}", r":2:\d+: .*'fqq'.*pfifo"),
    "an unknown key": (
        "axes: {method: [send]}\nmesure: {rounds: 1}",
        r":3:\d+: unknown key 'mesure'.*did you mean measure",
    ),
    "no axes": ("axes: {}", r":2:\d+: .*at least one axis"),
    "an axis without values": ("axes: {method: []}", r":2:\d+: method: "),
    "a frame that does not fit its slot": (
        "axes:\n  method: [tx_ring]\n  frame_size: [64, 9000]\n",
        r":4:20: frame of 9000 bytes does not fit a ring slot of 2048: .*frame_size: 9040",
    ),
    "a block that is no multiple of the page": (
        "axes:\n  method: [tx_ring]\n"
        "  ring: [{block_size: 6144, block_nr: 99, frame_size: 2048}]\n",
        r":4:\d+: ring block_size 6144 is no multiple of the page size",
    ),
    "a ring of too many blocks": (
        "axes:\n  method: [tx_ring]\n"
        "  ring: [{block_size: 4096, block_nr: 2000000, frame_size: 2048}]\n",
        r":4:\d+: ring of 2000000 blocks: .*use larger blocks, such as block_size: 16384",
    ),
    "more threads than CPUs": (
        "axes: {method: ['null'], threads: [64]}",
        rf":2:\d+: 64 threads on {len(CPUS)} CPUs; at most {len(CPUS)}",
    ),
    "a CPU that does not exist": (
        "axes: {method: ['null']}\nmeasure: {cpus: [8000]}",
        r":3:\d+: CPU 8000 is not there or may not be used; allowed: ",
    ),
    "a qdisc on lo": (
        "axes: {method: [send], interface: [lo], qdisc: [pfifo]}",
        r":2:\d+: qdisc pfifo limit=1000 on lo, which has none",
    ),
    "everything excluded": (
        "axes: {method: [send]}\nexclude: [{method: send}]",
        r":3:\d+: every combination is excluded",
    ),
    "a frame that is too short": ("axes: {frame_size: [13]}", r":2:\d+: frame_size: 13 "),
}
NO_MAPPING = {
    "a list": ("- a\n- b\n", r":1:1: .*list"),
    "nothing": ("", r":1:1: .*empty"),
    "a single value": ("hello", r":1:1: .*single value"),
    "no YAML": ("a: [1, 2", r":\d+:\d+: "),
}


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        *(pytest.param(f"name: m\n{text}", said, id=what) for what, (text, said) in BAD.items()),
        *(pytest.param(*case, id=what) for what, case in NO_MAPPING.items()),
    ],
)
def test_a_bad_matrix_is_one_line_with_its_place(
    bench: Bench, capsys: pytest.CaptureFixture[str], text: str, pattern: str
) -> None:
    path = bench.folder / "m.yaml"
    path.write_text(text)
    for verb in (["plan"], ["run", "--results", bench.results]):
        lines = complaints(capsys, *verb, path)
        assert len(lines) == 1
        assert re.fullmatch(re.escape(str(path)) + pattern + ".*", lines[0]), lines[0]
    assert not bench.results.exists()


def test_every_error_of_a_matrix_has_its_line(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bench.folder / "m.yaml"
    path.write_text("name: m\naxes:\n  method: [sendtoo]\n  frame_size: [1]\n  burst: [0]\n")
    lines = complaints(capsys, "run", path)
    assert [line.split(":")[1] for line in lines] == ["3", "4", "5"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x7fELF\0\0\1", "is binary"),
        (b"\xff\xfe" + "name: x".encode("utf-16-le"), "is binary"),
        (b"name: \xe4\n", "is not UTF-8"),
        (b"# x\n" * 2_500_000, "is larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_text_of_reasonable_size(
    bench: Bench, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    path = bench.folder / "m.yaml"
    path.write_bytes(content)
    (line,) = complaints(capsys, "run", path)
    assert line.startswith(f"{path}: {said}")


@pytest.mark.parametrize("name", [".", "not-there.yaml", "m.yaml/x", "/dev/zero"])
def test_a_matrix_that_is_no_file(
    bench: Bench, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    bench.matrix()
    (line,) = complaints(capsys, "run", bench.folder / name, "--results", bench.results)
    assert line.startswith(f"{bench.folder / name}: ")
    assert not bench.results.exists()


@pytest.mark.parametrize(
    ("filter_", "said"),
    [
        ("burst", "not of the form AXIS=VALUE"),
        ("burts=1", "unknown axis, did you mean burst?"),
        ("frame_size=65", "no cell has that; frame_size is one of 1514, 64"),
    ],
)
def test_a_bad_filter(
    bench: Bench, capsys: pytest.CaptureFixture[str], filter_: str, said: str
) -> None:
    for verb in ("run", "plan"):
        (line,) = complaints(capsys, verb, bench.matrix(), "--filter", filter_)
        assert line.startswith(f"--filter {filter_}: {said}")


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["rum"], ["run"], ["run", "m.yaml", "--format", "pdf"]),
        *(["run", "m.yaml", "--seed", seed] for seed in ("-1", str(2**63), "9" * 5000)),
    ],
)
def test_a_bad_command_line_is_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: bench" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00\xff",
        b"hello\n",
        b"[1]\n",
        b"[" * 100_000 + b"\n",
        b'{"type":"run"}\n',
        b'{"type":"run","format":1}\n',
        b'{"type":"run","format":99,"cells":[]}\n',
        b'{"type":"run","format":1,"cells":[],"baselines":{}}\n',
        b'{"type":"run","format":1,"cells":[],"baselines":{},"matrix":{},"measure":[]}\n',
        b'{"type":"run","format":1,"cells":[],"baselines":{}}\n{"type":"sample","threads":[1]}\n',
        b'{"type":"run","format":1,"cells":[],"baselines":{}}\n{"type":"cell"}\n',
    ],
)
def test_what_is_no_run_is_not_shown(
    bench: Bench, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    path = bench.folder / "run.jsonl"
    path.write_bytes(content)
    (line,) = complaints(capsys, "show", path)
    assert line.startswith(f"{path}:")
    for missing in (bench.folder, bench.folder / "x.jsonl"):
        (line,) = complaints(capsys, "show", missing)
        assert line.startswith(f"{missing}: ")


# Places that cannot be written


def test_where_results_cannot_be_stored_nothing_is_measured(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = bench.matrix()
    for folder in (matrix, matrix / "x", Path("/proc/results")):
        (line,) = complaints(capsys, "run", matrix, "--results", folder, code=1)
        assert line.startswith(f"cannot write results to {folder}/")
        assert line.endswith("; choose another folder with --results")
        assert "make room" not in line


def test_a_disk_without_room_for_the_first_line_is_left_as_it_was(bench: Bench) -> None:
    """RLIMIT_FSIZE stands in for the disk: the same write fails, with another errno."""

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    outcome = bench("run", bench.matrix(rounds=60), preexec_fn=full)
    assert outcome.code == 1
    assert len(outcome.complaints) == 1
    assert "cannot write results to " in outcome.err
    helps = "raise the limit of a file's size (ulimit -f) or choose another folder with --results"
    assert outcome.err.endswith(f"; {helps}\n")
    assert not bench.results.exists()


@pytest.mark.parametrize("place", [".", "not/there", "m.yaml/x", "results.d"])
def test_an_output_that_cannot_be_written_is_known_before_the_run(
    bench: Bench, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    (bench.folder / "results.d").mkdir()
    output = bench.folder / place
    lines = complaints(
        capsys, "run", bench.matrix(), "--results", bench.results, "--output", output
    )
    assert lines == [f"--output {output}: name a file in a folder that is there"]
    assert not bench.results.exists()


def test_an_output_in_a_folder_that_takes_none_is_known_before_the_run(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Path("/proc/table")
    arguments = ["run", bench.matrix(), "--results", bench.results, "--output", output]
    (line,) = complaints(capsys, *arguments, code=1)
    assert line.startswith(f"cannot write {output}: ")
    assert not bench.results.exists()


def test_an_output_that_fails_hides_not_where_the_run_is(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", bench.matrix(), "--results", bench.results, "--output", "/dev/full"]
    assert complaints(capsys, *arguments, code=1) == [
        f"stored in {bench.files()[0]}",
        "cannot write /dev/full: No space left on device; make room",
    ]
    assert bench.stored().end == "done"


def test_an_output_takes_the_place_of_nothing_that_is_read_or_stored(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = bench.matrix()
    assert inside(capsys, "run", matrix, "--results", bench.results).code == 0
    (path,) = bench.files()
    other, history = (shutil.copy(path, path.with_name(name)) for name in ("b.jsonl", "c.jsonl"))
    link = bench.folder / "link"
    link.symlink_to(path)
    commands = [
        (["show", path], [path, link]),
        (["compare", path, other], [path, other, history, link]),
        (["run", matrix, "--results", bench.results], [matrix]),
        *((["plan", matrix], [matrix]), (["doctor", matrix], [matrix])),
        (["run", matrix, "--resume", path], [path, matrix, link]),
    ]
    before = [file.read_bytes() for file in (matrix, *bench.files())]
    for command, outputs in commands:
        for output in outputs:
            (line,) = complaints(capsys, *command, "--output", output)
            assert line == f"--output {output}: the table would replace it; name another file"
    assert [file.read_bytes() for file in (matrix, *bench.files())] == before


def test_a_table_takes_the_place_of_no_run_whatever_it_is_called(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = bench.matrix()
    for _ in range(2):
        assert inside(capsys, "run", matrix, "--results", bench.results).code == 0
    path, other = bench.files()
    unfinish(path)
    copy = bench.folder / "copy.md"
    shutil.copy(path, copy)
    elsewhere = bench.folder / "other"
    shutil.copy(other, elsewhere)
    before = copy.read_bytes(), elsewhere.read_bytes()
    way = "name a .jsonl file, or none for the latest run"
    said = f"--resume {copy}: its table could take its place; {way}"
    assert complaints(capsys, "run", matrix, "--resume", copy) == [said]
    said = f"--output {elsewhere}: the table would replace it; name another file"
    assert complaints(capsys, "show", other, "--output", elsewhere) == [said]
    assert (copy.read_bytes(), elsewhere.read_bytes()) == before


@pytest.mark.parametrize("whose", [b"# my notes\n", b'{"type":"run","format":1}\n', b"\xff"])
def test_what_is_beside_a_run_and_not_its_table_stays(
    bench: Bench, capsys: pytest.CaptureFixture[str], whose: bytes
) -> None:
    matrix = bench.matrix()
    assert inside(capsys, "run", matrix, "--results", bench.results).code == 0
    (path,) = bench.files()
    unfinish(path)
    table = path.with_suffix(".md")
    own = table.read_text()
    table.write_bytes(whose)
    resumed = inside(capsys, "run", matrix, "--resume", path)
    said = f"{table} is no table of this run and stays as it is; the run is complete, for its table"
    again = f"bench show {path} --format markdown --output FILE"
    assert (resumed.code, resumed.complaints) == (0, [f"stored in {path}", f"{said}: {again}"])
    assert "frame_size" in resumed.out
    assert table.read_bytes() == whose
    unfinish(path)
    table.write_text(own.replace("done", "killed"))
    assert len(inside(capsys, "run", matrix, "--resume", path).complaints) == 1
    assert table.read_text() == inside(capsys, "show", path, "--format", "markdown").out


@needs_root
def test_a_disk_that_is_full_for_the_table_costs_the_table_beside_the_run_alone(
    bench: Bench,
) -> None:
    """A limit of a file's size cannot stand in for it: the run is larger than its table."""
    axes = {"method": ["null"], "frame_size": list(range(64, 214))}  # a table of 20 KiB
    matrix = bench.matrix(axes, rounds=1)
    fill = (
        "mkdir -p results; mount -t tmpfs -o size=1m none results; $bench plan m.yaml >/dev/null; "
        # Room for two pages more than a run takes, which is known only when it is written.
        "$bench run m.yaml >/dev/null 2>&1; used=$(du -k results/*/*/*.jsonl | cut -f1); "
        "rm results/*/*/*; mount -o remount,size=$((used + 8))k results; "
        "$bench run m.yaml; code=$?; ls results/*/*/ >&2; $bench show results/*/*/*.jsonl >&2; "
        "exit $code"
    )
    outcome = in_shell(bench, fill, prefix=["unshare", "--mount"])
    assert outcome.code == 0
    assert "frame_size" in outcome.out
    stored, failed, *rest = outcome.err.splitlines()
    assert stored.startswith("bench: stored in results/")
    assert re.search(
        r"cannot write .*\.md: No space left on device; make room; the run is ", failed
    )
    assert "bench show results/" in failed
    assert rest[0].endswith(".jsonl")
    assert not any(line.endswith(".md") for line in rest)
    assert "frame_size" in "".join(rest)
    assert matrix.exists()


def test_an_output_that_is_no_regular_file_is_written_to_and_not_replaced(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    path, link = bench.folder / "table", bench.folder / "link"
    fifo = bench.folder / "fifo"
    link.symlink_to(path)
    os.mkfifo(fifo)
    run_it = inside(capsys, "run", bench.matrix(), "--results", bench.results, "--output", link)
    assert run_it.code == 0
    assert link.is_symlink()
    assert "ns/frame" in path.read_text()
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    assert inside(capsys, "show", *bench.files(), "--output", fifo).code == 0
    assert os.read(reader, 1 << 16).decode() == path.read_text()
    os.close(reader)
    assert fifo.is_fifo()
    through = bench("show", *bench.files(), "--output", "/dev/stdout")
    assert (through.code, through.out) == (0, path.read_text())


# Streams


def in_shell(bench: Bench, line: str, prefix: Sequence[str] = ()) -> Outcome:
    """A line of bash in which $bench stands for the command."""
    process = subprocess.run(
        [*prefix, "bash", "-c", line.replace("$bench", '"$python" -m bench')],
        cwd=bench.folder,
        env=bench.environment | {"python": sys.executable},
        capture_output=True,
        text=True,
    )
    return Outcome(process.returncode, process.stdout, process.stderr)


FULL = f"bench: cannot write to stdout: {os.strerror(errno.ENOSPC)}; make room\n"


def test_a_reader_that_has_gone(bench: Bench) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = bench.start("plan", bench.matrix(), "--cells", stdout=writer)
    os.close(writer)
    assert ended(process) == Outcome(1, "", "")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("$bench run m.yaml | head -1; exit ${PIPESTATUS[0]}", 0, "stored in "),
        ("$bench plan m.yaml >/dev/full", 1, FULL),
        ("$bench plan m.yaml --cells >/dev/full", 1, FULL),
        ("$bench schema >/dev/full", 1, FULL),
        ("$bench methods >/dev/full", 1, FULL),
        ("$bench doctor >/dev/full", 1, FULL),
        ("$bench --help >/dev/full", 1, FULL),
        ("$bench plan --help >/dev/full", 1, FULL),
        ("$bench run m.yaml >&-", 0, "stored in "),
        ("$bench run m.yaml 2>&-", 0, ""),
        ("$bench run m.yaml 2>/dev/full", 0, ""),
        ("$bench show none.jsonl 2>/dev/full", 2, ""),
        ("$bench frobnicate 2>/dev/full", 2, ""),
        ("PYTHONIOENCODING=ascii $bench run m.yaml", 0, "stored in "),
        ("$bench schema >&- 2>&-", 0, ""),
    ],
)
def test_streams_that_are_closed_full_or_narrow(
    bench: Bench, line: str, code: int, said: str
) -> None:
    bench.matrix({"method": ["null"], "frame_size": list(range(64, 264))}, rounds=1)
    if " run " in line:
        bench.matrix()
    outcome = in_shell(bench, line)
    assert outcome.code == code
    assert len(outcome.complaints) == (1 if said else 0)
    assert said in outcome.err


# What the machine does not give


@pytest.mark.parametrize("verb", ["run", "doctor"])
def test_too_few_files_are_known_before_anything_is_set_up(bench: Bench, verb: str) -> None:
    matrix = bench.matrix({"method": ["sendto"], "interface": ["lo"]})

    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))

    outcome = bench(verb, matrix, preexec_fn=few)
    said = "at most 12 files may be open here, and set-up needs 64: raise the limit (ulimit -n)"
    assert (outcome.code, outcome.complaints) == (1, [said])
    assert not bench.results.exists()


def test_a_present_folder_that_was_deleted(bench: Bench) -> None:
    matrix = bench.matrix()
    gone = bench.folder / "gone"
    gone.mkdir()
    for arguments in (["run", matrix], ["show", "x.jsonl", "--output", "x"]):
        line = f"cd gone; rmdir ../gone; $bench {' '.join(map(str, arguments))}"
        outcome = in_shell(bench, line)
        gone.mkdir()
        assert (outcome.code, len(outcome.complaints)) == (1, 1)
        assert "; the present folder was deleted: cd to another one" in outcome.err
        assert "Errno" not in outcome.err


@needs_root
@pytest.mark.parametrize("verb", ["run", "plan", "show", "compare", "methods", "doctor", "schema"])
def test_without_proc_every_verb_is_one_line(bench: Bench, verb: str) -> None:
    bench.matrix()
    arguments = {"run": ["m.yaml"], "plan": ["m.yaml"], "show": ["a"], "compare": ["a", "b"]}
    line = f"mount -t tmpfs none /proc; $bench {verb} {' '.join(arguments.get(verb, []))}"
    outcome = in_shell(bench, line, prefix=["unshare", "--mount"])
    said = "/proc is not there, which bench reads: mount -t proc proc /proc"
    assert (outcome.code, outcome.complaints) == (1, [said])


@needs_root
def test_the_proc_of_another_pid_namespace_is_told(bench: Bench) -> None:
    matrix = bench.matrix()
    outcome = bench("run", matrix, prefix=["unshare", "--pid", "--fork"])
    said = "/proc shows another PID namespace than this process is in: mount -t proc proc /proc"
    assert (outcome.code, outcome.complaints) == (1, [said])
    assert not bench.results.exists()


@needs_root
def test_where_no_thread_may_be_started_cells_are_closed_all_the_same(bench: Bench) -> None:
    """Another user than root, whom no limit of processes holds; he may read the checkout."""
    user = ["setpriv", "--reuid=65534", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    limited = ["bash", "-c", 'ulimit -u 2; exec "$@"', "bash"]
    outcome = bench("run", bench.matrix(), prefix=[*user, *limited])
    assert outcome.code in (0, 4)  # the sender is a thread, too
    assert outcome.complaints == [f"stored in {bench.files()[0].relative_to(bench.folder)}"]
    assert bench.stored().end == "done"


class Terminal:
    """A run on a terminal of 80 columns: stdout and stderr."""

    def __init__(self, bench: Bench, rounds: int) -> None:
        self.descriptor, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 80))
        matrix = bench.matrix(rounds=rounds)
        self.process = bench.start("run", matrix, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.text = ""

    def read(self, until: str = "") -> None:
        """Up to a text, or to the end."""
        while not until or until not in self.text:
            try:
                self.text += os.read(self.descriptor, 1 << 16).decode()
            except OSError:  # EIO: the other end was closed
                assert not until, self.text
                return

    def close(self) -> None:
        os.close(self.descriptor)


def screen(text: str) -> list[str]:
    """The lines that stay visible: a carriage return goes back to the start of the line."""
    lines = []
    for written in re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n"):
        line = ""
        for part in written.split("\r"):
            line = part + line[len(part) :]
        lines.append(line.rstrip())
    return lines


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_a_bar_that_is_wiped_off(bench: Bench, no_color: str) -> None:
    bench.environment["NO_COLOR"] = no_color
    terminal = Terminal(bench, rounds=1000)
    terminal.read()
    terminal.close()
    assert terminal.process.wait() == 0
    bar = r"measuring: +\d+% \|.*\| \d+/\d+ ETA [\d:]+, null: [\d.]+ [MG]pps"
    assert re.search(bar, terminal.text)
    left = screen(terminal.text)
    assert not [line for line in left if "ETA" in line or "measuring" in line]
    (stored,) = [line for line in left if line.startswith("bench: stored in")]
    assert max(len(line) for line in left if line != stored) <= 80
    assert ("\x1b[" in terminal.text) == (not no_color)


def test_an_interrupt_on_a_terminal_wipes_the_bar_too(bench: Bench) -> None:
    terminal = Terminal(bench, rounds=2000)
    terminal.read(until="pps")
    terminal.process.send_signal(signal.SIGINT)
    terminal.read()
    terminal.close()
    assert terminal.process.wait() == -signal.SIGINT
    assert not [line for line in screen(terminal.text) if "ETA" in line]


def test_a_terminal_that_goes_away_costs_no_result(bench: Bench) -> None:
    terminal = Terminal(bench, rounds=2000)
    terminal.read(until="pps")
    terminal.close()  # as when its window is closed: then SIGHUP comes
    terminal.process.send_signal(signal.SIGHUP)
    terminal.process.wait()
    run = bench.stored()
    assert run.end == "interrupted"
    assert run.samples or run.calibration_samples
    assert Path(run.path).with_suffix(".md").exists()


# The other verbs


def test_plan_says_what_would_run_and_writes_nothing(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = ["null", "sendto"]
    axes = {"method": methods, "frame_size": [64, 1514], "burst": [1, 8], "sndbuf": [4096, 8192]}
    matrix = bench.matrix(axes, exclude=[{"frame_size": 1514, "burst": 8}])
    before = sorted(bench.folder.rglob("*"))
    outcome = inside(capsys, "plan", matrix, "--cells")
    assert (outcome.code, outcome.err) == (0, "")
    counts = dict(re.findall(r"^  (\w+) +(\d+)$", outcome.out, re.MULTILINE))
    assert counts == {
        "combinations": "16",
        "excluded": "4",
        "collapsed": "5",
        "cells": "7",
        "topologies": "1",
        "rounds": "2",
    }
    assert len(re.findall(r"^c[0-9a-f]{10}  method=null", outcome.out, re.MULTILINE)) == 3
    assert len(re.findall(r"^c[0-9a-f]{10}  .*method=sendto", outcome.out, re.MULTILINE)) == 4
    assert sorted(bench.folder.rglob("*")) == before


@pytest.mark.usefixtures("built_core")
def test_methods_are_listed_with_what_this_kernel_offers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = inside(capsys, "methods")
    assert (outcome.code, outcome.err) == (0, "")
    for name in ("null", "sendto", "send", "sendmsg", "sendmmsg", "tx_ring"):
        assert re.search(rf"^{name} +(yes|no: .*)", outcome.out, re.MULTILINE)


@pytest.mark.usefixtures("built_core")
def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = inside(capsys, "schema")
    assert outcome.code == 0
    assert "axes" in json.loads(outcome.out)["properties"]


# Somebody who is not root


@needs_setpriv
def test_without_root_what_needs_no_privilege_runs(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = bench.matrix()
    outcome = bench("run", matrix, prefix=UNPRIVILEGED)
    assert outcome.code == 0, outcome.err
    assert bench.stored().header.measure.privileges == "none"
    (path,) = bench.files()
    for command in (("plan", matrix), ("show", path), ("schema",), ("methods",)):
        assert bench(*command, prefix=UNPRIVILEGED).code == 0
    assert inside(capsys, "run", matrix, "--results", bench.results).code == 0
    assert bench("compare", *bench.files(), prefix=UNPRIVILEGED).code == 4


@needs_setpriv
def test_root_may_store_results_in_a_folder_of_somebody_else(bench: Bench) -> None:
    """Which is what ``sudo bench run`` does in a user's checkout."""
    matrix = bench.matrix()
    bench.folder.chmod(0o555)
    assert bench("run", matrix).code == 0


# Building the core


@pytest.fixture
def copy(bench: Bench) -> Bench:
    """A checkout of its own, not built yet."""
    for name in ("bench", "csrc"):
        shutil.copytree(
            ROOT / name,
            bench.folder / "checkout" / name,
            ignore=shutil.ignore_patterns("*.so", "*.o", "__pycache__", ".*"),
        )
    bench.environment["PYTHONPATH"] = str(bench.folder / "checkout")
    return bench


def core_of(copy: Bench) -> list[Path]:
    return sorted((copy.folder / "checkout/bench").glob("_core*"))


@needs_compiler
def test_the_core_is_built_once_and_again_when_its_sources_change(copy: Bench) -> None:
    matrix = copy.matrix()
    both = [ended(p) for p in [copy.start("plan", matrix) for _ in range(2)]]
    assert [outcome.code for outcome in both] == [0, 0]
    assert [line for outcome in both for line in outcome.complaints] == ["building the C core"]
    (core,) = core_of(copy)
    first = core.read_bytes()
    assert copy("plan", matrix).err == ""
    with open(copy.folder / "checkout/csrc/engines/tx_null.c", "a") as source:
        source.write("/* changed */\n")
    rebuilt = copy("run", matrix)
    assert rebuilt.code == 0
    assert rebuilt.complaints[0] == "building the C core"
    assert [path.read_bytes() == first for path in core_of(copy)] == [False]
    assert copy.stored().header.core.hash.encode() in core_of(copy)[0].read_bytes()
    assert not list((copy.folder / "checkout/bench").glob(".build-*"))


def no_headers(copy: Bench) -> dict[str, str]:
    compiler = copy.folder / "cc"
    compiler.write_text(
        "#!/bin/sh\n"
        "echo 'csrc/sock.c:5:10: fatal error: linux/if_packet.h: No such file or directory' >&2\n"
        "exit 1\n"
    )
    compiler.chmod(0o755)
    return {"CC": str(compiler)}


def no_path(copy: Bench) -> dict[str, str]:
    return {"PATH": str(copy.folder)}


def broken_source(copy: Bench) -> dict[str, str]:
    with open(copy.folder / "checkout/csrc/engines/tx_null.c", "a") as source:
        source.write("this is no C\n")
    return {}


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (no_path, "no C compiler: install gcc (apt-get install gcc libc6-dev), or set CC"),
        (lambda _: {"CC": "/nonexistent/cc"}, "no C compiler: install gcc"),
        (lambda _: {"CC": ""}, "no C compiler: install gcc"),
        (
            no_headers,
            "the header linux/if_packet.h is missing: install it "
            "(apt-get install libc6-dev linux-libc-dev)",
        ),
        pytest.param(broken_source, "tx_null.c:", marks=needs_compiler),
    ],
)
def test_a_core_that_cannot_be_built_is_one_line(
    copy: Bench, environment: Callable[[Bench], dict[str, str]], said: str
) -> None:
    outcome = copy("plan", copy.matrix(), env=copy.environment | environment(copy))
    assert outcome.code == 1
    assert len(outcome.complaints) == 2  # and "building the C core"
    assert outcome.complaints[1].startswith("cannot build the core: ")
    assert said in outcome.complaints[1]
    assert not core_of(copy)
    assert not list((copy.folder / "checkout/bench").glob(".build-*"))


@needs_setpriv
def test_a_stale_core_in_a_folder_that_cannot_be_written(copy: Bench) -> None:
    (copy.folder / "checkout/bench").chmod(0o555)
    outcome = copy("plan", copy.matrix(), prefix=UNPRIVILEGED)
    assert outcome.code == 1
    assert len(outcome.complaints) == 1
    assert f"cannot be written ({os.strerror(errno.EACCES)}): build it with `make`" in outcome.err


def test_what_a_killed_build_left_goes_with_the_next(copy: Bench) -> None:
    left = copy.folder / "checkout/bench/.build-killed"
    left.mkdir()
    (left / "x.o").touch()
    outcome = copy("plan", copy.matrix(), env=copy.environment | {"CC": "/nonexistent/cc"})
    assert outcome.code == 1
    assert not left.exists()


def test_an_interrupted_build_leaves_nothing(copy: Bench) -> None:
    compiler = copy.folder / "cc"
    started = copy.folder / "started"
    compiler.write_text(f"#!/bin/sh\ntouch {started}\nexec sleep 60\n")
    compiler.chmod(0o755)
    process = copy.start(
        "plan", copy.matrix(), env=copy.environment | {"CC": str(compiler)}, process_group=0
    )
    wait_for(started.exists, "the compiler")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    outcome = ended(process)
    assert (outcome.code, outcome.complaints) == (-signal.SIGINT, ["building the C core"])
    assert not list((copy.folder / "checkout/bench").glob(".build-*"))
