"""One nightly job at a time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.base.errors import BenchError, UsageError
from bench.campaign import lock

HOLDER = """
import sys, time
from pathlib import Path
from bench.campaign import lock
with lock.held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_holds_it_and_since_when(tmp_path: Path) -> None:
    with lock.held(tmp_path), pytest.raises(UsageError) as refused, lock.held(tmp_path):
        pass
    said = rf"process {os.getpid()} \(since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC\) is at work"
    assert re.search(said, str(refused.value))


def test_nothing_is_left_and_it_can_be_held_again(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    for _ in range(2):
        with lock.held(folder):
            assert [path.name for path in folder.iterdir()] == [lock.NAME]
        assert not [*folder.iterdir()]


def test_a_holder_that_is_killed_locks_nobody_out(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UsageError, match=str(holder.pid)), lock.held(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
    with lock.held(tmp_path):
        assert str(os.getpid()) in (tmp_path / lock.NAME).read_text()


def test_where_there_can_be_no_lock(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="cannot lock"), lock.held(tmp_path / "file"):
        pass
