"""Programs that send: as rows beside others, what is wrong with some, and how they end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bench.base.errors import BenchError
from bench.base.values import Value
from bench.engines.programs import RunningProgram
from bench.measure import program as measured_program
from bench.measure import program_check
from bench.measure.counters import CounterReader
from bench.measure.program import OpenProgram
from bench.model.axes import AXES, defaults
from bench.model.cells import Cell
from bench.model.run import Run
from bench.topology import Topology
from bench.topology.kinds import up
from bench.topology.link import Allowed
from tests.netns.test_run import assert_sound
from tests.running import (
    UNPRIVILEGED,
    Bench,
    ended,
    measured,
    needs_numpy,
    needs_setpriv,
    unfinish,
    wait_for,
)

pytestmark = pytest.mark.netns
anykernel = pytest.mark.anykernel

CPUS = sorted(os.sched_getaffinity(0))
SENDER = Path(__file__).with_name("sender.py")
PYTHON = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin") or sys.executable
"""A Python without bench, where there is one."""
BEGIN = "{destination}{source}88b5"


def sender(way: str, *rest: str, **options: Any) -> dict[str, Any]:
    """A program of tests/netns/sender.py, named after its way."""
    command = [PYTHON, str(SENDER), way, *rest]
    return {"kind": "exec", "command": command, "name": way, "content": "", **options}


def run_of(
    folder: Path, *methods: Any, interface: Any = "veth", window: str = "1ms", **more: Any
) -> Run:
    axes = {"interface": interface, "method": [*methods], **more}
    return measured(folder, axes, allowed=Allowed(programs=True), window=window)


def reasons(run: Run) -> dict[str, str]:
    """Why methods failed, by their names."""
    names = {cell.id: cell.method for cell in run.cells}
    return {names[cell]: reason for cell, reason in run.failures.items()}


# What works


def test_a_program_is_a_row_beside_others_on_every_interface(tmp_path: Path) -> None:
    frames, pcap = sender("frames", content=BEGIN), sender("pcap", "{pcap}", content="{frame}")
    run = run_of(
        tmp_path, "send", frames, pcap, interface=["lo", "veth", "ifb"], frame_size=[64, 1514]
    )
    assert len(run.cells) == 18
    assert_sound(run, rounds=2)
    by_program = [cell.id for cell in run.cells if cell.engine == "exec"]
    samples = [sample for sample in run.samples if sample.cell in by_program]
    assert all(s.total("completed") <= s.slice_completed for s in samples)
    assert all(s.total("calls") == 0 for s in samples), "nobody tells its system calls"
    assert any(s.total("completed") > 0 and s.total("cpu_ns") > 0 for s in samples)
    assert {run.facts[cell]["program"] for cell in by_program} == {str(Path(PYTHON).resolve())}


@anykernel
@pytest.mark.skipif(len(CPUS) < 2, reason="two threads need two CPUs")
def test_a_program_has_the_cpus_of_its_cell(tmp_path: Path) -> None:
    run = run_of(tmp_path, sender("threads"), threads=[2])
    assert_sound(run, rounds=2)
    assert {len(sample.threads) for sample in run.samples if sample.cell == run.cells[0].id} == {2}


@anykernel
def test_a_command_and_the_environment_have_what_the_cell_is(tmp_path: Path) -> None:
    command = ["{interface} {source} {frame_size} {payload} {cpus}", "{ x }", "${cpu}", "{frame}"]
    run = run_of(tmp_path, sender("tells", *command), frame_size=[16])
    (cpu,) = run.header.measure.cpus[:1]
    told = [
        f"bench0 02:62:65:6e:63:00 16 2 {cpu}",
        *("{ x }", "${cpu}", "02:62:65:6e:63:ff:02:62:65:6e:63:00:88:b5:00:00"),
        *("bench0", "02:62:65:6e:63:ff", "2", str(cpu), "-", f"{{{cpu}}}"),
    ]
    assert reasons(run) == {"tells": f"tells exited with code 1: {'|'.join(told)}"}


def test_a_program_may_fork_and_talk_and_its_time_is_that_of_all_processes(tmp_path: Path) -> None:
    # On a busy machine it is without its CPU for tens of milliseconds.
    run = run_of(tmp_path, "send", sender("forks"), sender("talks"), window="200ms")
    assert_sound(run, rounds=2)
    (forks,) = (cell.id for cell in run.cells if cell.method == "forks")
    assert any(s.total("cpu_ns") > 0 for s in run.samples if s.cell == forks)


@anykernel
def test_a_program_may_greet_its_other_end_where_it_says_nothing_of_its_frames(
    tmp_path: Path,
) -> None:
    strict = sender("greets", "strictly", content=BEGIN) | {"name": "strict"}
    run = run_of(tmp_path, sender("greets"), strict)
    assert reasons(run) == {
        "strict": "wrong frames: 65 bytes long (EtherType 0x88b5), 64 meant",
    }


@anykernel
def test_a_program_may_agree_with_its_other_end_over_lo(tmp_path: Path) -> None:
    run = run_of(tmp_path, "send", sender("agrees"), interface="lo")
    assert run.failures == {}


@anykernel
@needs_setpriv
def test_without_root_a_program_runs_in_the_user_namespace(bench: Bench) -> None:
    matrix = bench.matrix({"interface": "veth", "method": ["send", sender("frames")]})
    outcome = bench("run", matrix, "--allow-exec", prefix=UNPRIVILEGED)
    assert bench.stored().failures == {}, outcome.err


# What is wrong with some


@anykernel
@pytest.mark.parametrize(
    ("way", "interface", "said"),
    [
        ("short", "veth", "wrong frames: 63 bytes long (EtherType 0x88b5), 64 meant"),
        ("short", "ifb", "wrong frames: wrong length: 63 bytes per frame, 64 meant"),
        ("other", "veth", "wrong frames: destination MAC: byte 0 is 0xff, 0x02 meant"),
        ("dies", "veth", "exited with code 1: out of frames"),
        ("killed", "veth", "died of SIGKILL"),
        ("odd", "veth", "died of signal 40"),
    ],
)
def test_a_program_that_is_wrong_costs_its_own_cell(
    tmp_path: Path, way: str, interface: str, said: str
) -> None:
    run = run_of(tmp_path, "send", sender(way, content=BEGIN), interface=interface)
    ((failed, reason),) = reasons(run).items()
    assert failed == way
    assert said in reason
    others = {sample.cell for sample in run.samples} & {cell.id for cell in run.cells}
    assert others == {cell.id for cell in run.cells if cell.method == "send"}


@anykernel
def test_a_program_that_is_not_there_is_a_row_with_the_reason(tmp_path: Path) -> None:
    nowhere = {"kind": "exec", "command": ["nosuchprogram", "-x"]}
    run = run_of(tmp_path, "send", nowhere)
    (reason,) = reasons(run).values()
    assert reason == (
        "method nosuchprogram: nosuchprogram is not installed (it is not in PATH); install it, "
        "or exclude the method"
    )


@anykernel
def test_a_file_that_is_no_program_says_so(tmp_path: Path) -> None:
    """A script without an interpreter's name is one."""
    empty = tmp_path / "empty"
    empty.write_text("")
    empty.chmod(0o755)
    run = run_of(tmp_path, "send", {"kind": "exec", "command": str(empty)})
    said = "Exec format error; a script begins with #! and its interpreter"
    assert reasons(run) == {"empty": f"empty cannot start: {said}"}


@anykernel
@pytest.mark.parametrize("words", [["{frame}"], ["x" * 99_999] * 4])
def test_a_command_that_is_longer_than_the_kernel_takes_says_so(
    tmp_path: Path, words: list[str]
) -> None:
    run = run_of(tmp_path, "send", sender("frames", *words), frame_size=50_000)
    assert "a program may have: " in reasons(run)["frames"]


@anykernel
def test_a_program_that_goes_into_the_background_says_so(tmp_path: Path) -> None:
    daemon = {"kind": "exec", "name": "daemon", "command": ["sh", "-c", "sleep 60 &"]}
    run = run_of(tmp_path, "send", daemon)
    (reason,) = reasons(run).values()
    assert reason.endswith("and went on in the background; have it stay in the foreground")


def open_program(topology: Topology, method: Value, reader: CounterReader) -> OpenProgram:
    return OpenProgram(cell_of(method), topology, CPUS[-1:], reader)


def cell_of(method: Value) -> Cell:
    return Cell("c", defaults(AXES) | {"method": method})


def test_frames_that_leave_after_sigstop_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue goes on sending when all processes have stopped."""
    monkeypatch.setattr(measured_program, "REST_S", 0.05)
    shaped = {"kind": "tbf", "rate": "16kbit", "burst": "2KiB", "limit": "1MiB"}
    said = r"frames: frames leave 0\.05 s after SIGSTOP"
    with (
        up("veth", shaped) as topology,
        CounterReader(topology) as reader,
        pytest.raises(BenchError, match=said),
    ):
        open_program(topology, sender("frames"), reader)


@anykernel
def test_a_program_that_sends_nothing_is_told_with_its_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(measured_program, "START_S", 2.0)
    said = "mute sends nothing: no frame within 2 s; it says: nothing to say"
    with (
        up("veth") as topology,
        CounterReader(topology) as reader,
        pytest.raises(BenchError, match=said),
    ):
        open_program(topology, sender("mute"), reader)


def test_nothing_is_sent_between_slices() -> None:
    with (
        up("veth") as topology,
        CounterReader(topology) as reader,
        closing(open_program(topology, sender("forks"), reader)) as opened,
    ):
        before = reader.read().tx.tx_packets
        program_check.check(cell_of(sender("forks")), topology, reader, opened)
        between = reader.read().tx.tx_packets
        assert between > before
        assert reader.read().tx.tx_packets == between


# Its time, and its end


def busy(seconds: float) -> str:
    """A child that uses so much CPU time."""
    return f"import time\nwhile time.process_time() < {seconds}: pass"


@anykernel
def test_the_time_of_children_that_have_ended_counts() -> None:
    """Half a second of two children's, one of which left its parent; and nobody's while stopped."""
    orphan = f'("{PYTHON}" -c "{busy(0.2)}" & )'
    script = f'"{PYTHON}" -c "{busy(0.3)}"; {orphan}; sleep 1; echo done; sleep 1000'
    with up("lo") as topology:
        program = RunningProgram("sh", ["sh", "-c", script], CPUS[-1:], topology.tx.netns_fd, {})
        with closing(program):

            def is_done() -> bool:
                program.check()
                return program.said == "done"

            wait_for(is_done, "both children")
            spent = program.stop()
            assert spent.total_ns > 0.45e9
            assert program.stop() == spent


@anykernel
def test_a_program_that_ignores_sigterm_is_killed_and_named(bench: Bench) -> None:
    matrix = bench.matrix({"interface": "veth", "method": ["send", sender("stubborn")]})
    outcome = bench("run", matrix, "--allow-exec")
    assert bench.stored().failures == {}, outcome.err
    assert "stubborn ignored SIGTERM for 1.5 s, and was killed" in outcome.complaints


@anykernel
@pytest.mark.parametrize(
    ("end", "prefix"),
    [
        (signal.SIGKILL, []),
        pytest.param(signal.SIGKILL, UNPRIVILEGED, marks=needs_setpriv),
        pytest.param(signal.SIGTERM, [], marks=needs_numpy),
    ],
)
def test_nothing_is_left_of_a_run_that_is_killed(
    bench: Bench, end: signal.Signals, prefix: list[str]
) -> None:
    """The fixture looks for processes, those of programs included."""
    methods = ["send", sender("forks"), sender("stubborn")]
    matrix = bench.matrix({"interface": "veth", "method": methods}, rounds=1000)
    process = bench.start("run", matrix, "--allow-exec", prefix=prefix)
    wait_for(lambda: bench.samples() >= 8, "samples", process)
    assert sum(str(SENDER) in command for command in bench.processes().values()) >= 3
    process.send_signal(end)
    assert ended(process).code == -end


# On the command line


@anykernel
@pytest.mark.parametrize("command", ["run", "nightly", "ab"])
def test_a_program_runs_only_if_the_command_line_says_so(bench: Bench, command: str) -> None:
    touch = bench.folder / "touched"
    program = {"kind": "exec", "command": ["touch", str(touch)]}
    matrix = bench.matrix({"interface": "veth", "method": ["send", program]})
    side = ["--sysctl-b", "net.ipv4.ip_default_ttl=77"] if command == "ab" else []
    outcome = bench(command, matrix, *side)
    assert (outcome.code, outcome.complaints) == (
        2,
        [
            f"method touch: runs the command touch {touch}, which the matrix has; allow it with "
            "--allow-exec"
        ],
    )
    assert not touch.exists()
    assert bench.files() == []


@anykernel
def test_a_plan_and_a_doctor_start_no_program(bench: Bench) -> None:
    touch = bench.folder / "touched"
    program = {"kind": "exec", "command": ["touch", str(touch)]}
    matrix = bench.matrix({"interface": "veth", "method": ["send", program]})
    outcome = bench("plan", matrix, "--format", "json")
    assert outcome.code == 0, outcome.err
    (cell,) = (c for c in json.loads(outcome.out)["cells"] if c["axes"]["method"] != "send")
    assert cell["axes"]["method"]["command"] == ["touch", str(touch)]
    bench("doctor", matrix)
    assert not touch.exists()


@anykernel
def test_an_interrupted_run_goes_on_with_its_programs_and_is_compared(bench: Bench) -> None:
    methods = ["send", sender("frames", content=BEGIN)]
    matrix = bench.matrix({"interface": "veth", "method": methods}, rounds=6)
    bench("run", matrix, "--allow-exec")
    (first,) = bench.files()
    unfinish(first)
    outcome = bench("run", matrix, "--allow-exec", "--resume")
    assert bench.stored().failures == {}, outcome.err
    bench("run", matrix, "--allow-exec")
    *_, second = bench.files()
    compared = bench("compare", first, second, "--min-effect", "99%", "--format", "json")
    assert compared.code in (0, 4), compared.err
    methods = [cell["axes"]["method"] for cell in json.loads(compared.out)["cells"]]
    assert [m["name"] for m in methods if m != "send"] == ["frames"]


@anykernel
def test_both_sides_of_ab_have_programs_of_their_own(bench: Bench) -> None:
    matrix = bench.matrix({"interface": "veth", "method": [sender("frames")]}, rounds=6)
    outcome = bench(
        "ab", matrix, "--allow-exec", "--sysctl-b", "net.ipv4.ip_default_ttl=77", "--min-effect=99%"
    )
    assert outcome.code in (0, 4), outcome.err
    assert bench.stored().failures == {}


@anykernel
def test_a_night_runs_programs(bench: Bench) -> None:
    matrix = bench.matrix({"interface": "veth", "method": [sender("frames")]}, rounds=6)
    outcome = bench("nightly", matrix, "--allow-exec")
    assert outcome.code in (0, 4), outcome.err
    run = bench.stored()
    assert (run.end, run.failures) == ("done", {})


@anykernel
def test_a_run_with_another_program_is_not_gone_on_with(bench: Bench) -> None:
    mine = bench.folder / "mine"
    mine.write_text(f"#!{PYTHON}\n{SENDER.read_text()}")
    mine.chmod(0o755)
    program = {"kind": "exec", "command": [str(mine), "frames"]}
    matrix = bench.matrix({"interface": "veth", "method": ["send", program]})
    bench("run", matrix, "--allow-exec")
    (path,) = bench.files()
    unfinish(path)
    before = bench.stored().header.programs["mine"]
    mine.write_text(mine.read_text() + "# changed\n")
    outcome = bench("run", matrix, "--allow-exec", "--resume")
    assert outcome.code == 2
    (line,) = outcome.complaints
    assert f"program mine was {before}, is " in line
