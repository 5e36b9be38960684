"""Two runs do not measure on one CPU at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.base.errors import UsageError
from bench.system import cpu_lock
from bench.system.cpu_lock import held
from tests.running import Bench, ended, inside, wait_for

HOLDER = """
import sys, time
from bench.system.cpu_lock import held
with held([int(sys.argv[1])]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """CPUs of our own: others may be measuring on those of the machine."""
    folder = tmp_path / "cpus"
    for cpu in range(8):
        (folder / f"cpu{cpu}").mkdir(parents=True)
    monkeypatch.setenv(cpu_lock.VARIABLE, str(folder))
    return folder


@contextmanager
def holder(cpu: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(cpu)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_is_told_who_holds_the_cpu() -> None:
    with held([0]), held([2, 3]), pytest.raises(UsageError) as refused, held([3, 1]):
        pass
    assert str(refused.value).startswith(f"CPU 3: process {os.getpid()} (")
    with holder(1) as other, pytest.raises(UsageError) as refused, held([1]):
        pass
    assert str(refused.value).startswith(f"CPU 1: process {other.pid} (")
    assert "--wait" in str(refused.value)


def test_the_lock_dies_with_its_holder_and_leaves_nothing(cpus: Path) -> None:
    with holder(1) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        with held([1]):
            pass
    assert not [path for path in cpus.rglob("*") if path.is_file()]


def test_a_cpu_that_the_kernel_does_not_show_is_not_locked() -> None:
    with held([77]), held([77]):
        pass


def test_every_user_may_lock_what_the_kernel_shows() -> None:
    for cpu in os.sched_getaffinity(0):
        folder = cpu_lock.FOLDERS / f"cpu{cpu}"
        assert not folder.exists() or folder.stat().st_mode & 0o005 == 0o005


def test_who_waits_goes_on_when_the_holder_has_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with holder(1) as other:
        pid = os.fork()
        if pid == 0:  # ends the holder as soon as this process waits
            wait_for(lambda: _waits(os.getppid()), "its turn")
            os.kill(other.pid, signal.SIGKILL)
            os._exit(0)
        with held([1], wait=True):
            assert other.wait() == -signal.SIGKILL
        os.waitpid(pid, 0)
    assert capsys.readouterr().err.startswith(f"bench: CPU 1: waiting for process {other.pid} (")


def _waits(pid: int) -> bool:
    locks = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and str(pid) in line.split() for line in locks)


def test_a_run_holds_the_cpus_that_it_sends_from(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    cpu = max(os.sched_getaffinity(0))
    text = f"name: m\naxes: {{method: ['null']}}\nmeasure: {{rounds: 5000, cpus: [{cpu}]}}\n"
    matrix = bench.folder / "m.yaml"
    matrix.write_text(text)
    process = bench.start("run", matrix)
    wait_for(lambda: bench.samples(), "samples", process)
    second = inside(capsys, "run", matrix, "--results", bench.results)
    assert second.code == 2
    assert f"CPU {cpu}: process {process.pid} (" in second.err
    assert "bench run " in second.err
    process.send_signal(signal.SIGINT)
    assert ended(process).code == -signal.SIGINT
