"""A CPU that is taken away in mid-run ends the run; it goes on with all cells when that is back."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bench.store import reader
from bench.system.procfs import cpu_list
from tests.running import Bench, ended, needs_root, wait_for

ROOTS = (Path("/sys/fs/cgroup/cpuset"), Path("/sys/fs/cgroup"))
"""Of version 1 and 2."""


@pytest.fixture
def cpuset() -> Iterator[Path]:
    """A control group that has all CPUs of this process, which may be changed."""
    root = next((root for root in ROOTS if (root / "cpuset.cpus").exists()), None)
    if root is None:
        pytest.skip("no cpuset whose groups have cpuset.cpus")
    group = root / f"bench-test-{secrets.token_hex(4)}"
    group.mkdir()
    try:
        (group / "cpuset.cpus").write_text(cpu_list(os.sched_getaffinity(0)))
        with suppress(OSError):  # version 2 needs none
            (group / "cpuset.mems").write_text((root / "cpuset.mems").read_text())
        yield group
    finally:
        for pid in (group / "cgroup.procs").read_text().split():
            (root / "cgroup.procs").write_text(pid)
        group.rmdir()


@needs_root
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="it takes two CPUs")
def test_a_run_whose_cpu_is_taken_away_says_so_and_goes_on_when_it_is_back(
    bench: Bench, cpuset: Path
) -> None:
    *others, sender = sorted(os.sched_getaffinity(0))
    matrix = bench.matrix(rounds=400, window="1ms")
    matrix.write_text(matrix.read_text().replace('"rounds"', f'"cpus": [{sender}], "rounds"'))
    inside = ["sh", "-c", f'echo $$ >{cpuset}/cgroup.procs; exec "$@"', "sh"]
    process = bench.start("run", matrix, prefix=inside)
    wait_for(lambda: bench.samples() > 10, "samples", process)
    (cpuset / "cpuset.cpus").write_text(cpu_list(others))
    outcome = ended(process)
    assert outcome.code == 1
    assert f"CPU {sender}: taken away in mid-run (cpuset or hotplug)" in outcome.err
    (path,) = bench.files()
    stored = reader.read(path)
    assert not stored.failures
    assert stored.end.startswith("failed: ")
    assert not any(sample.problem for sample in stored.samples)
    resumed = bench("run", matrix, "--resume")
    assert resumed.code in (0, 4)
    again = reader.read(path)
    assert again.end == "done"
    assert {sample.cell for sample in again.samples} == {cell.id for cell in again.cells}
    assert len(again.samples) > len(stored.samples)
