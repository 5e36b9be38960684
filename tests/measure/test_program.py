"""What a slice of a program is made of, and which of its words are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.engines.keeper import telling
from bench.engines.programs import CpuTime
from bench.measure.program import Window

counts = st.integers(0, 10**9)


@given(st.integers(1, 8), counts, counts, st.integers(1, 10**10), st.integers(0, 10**10))
def test_threads_share_frames_and_time_evenly(
    threads: int, frames: int, more: int, wall_ns: int, used_ns: int
) -> None:
    window = Window(wall_ns, frames, frames + more, wall_ns + 10)
    found = window.threads(range(threads), CpuTime(total_ns=used_ns))
    assert sum(thread.completed for thread in found) == frames
    assert max(t.completed for t in found) - min(t.completed for t in found) <= 1
    assert {thread.wall_ns for thread in found} == {wall_ns}
    if frames:  # CPU time per frame is that of the whole slice
        cpu_ns = sum(thread.cpu_ns for thread in found)
        assert cpu_ns == pytest.approx(used_ns * frames / (frames + more), abs=threads)


def test_what_a_thread_neither_used_nor_waited_for_it_was_blocked() -> None:
    (thread,) = Window(1000, 10, 20, 2000).threads([3], CpuTime(800, 400, 200, waited_ns=600))
    assert (thread.cpu, thread.cpu_ns, thread.user_ns, thread.system_ns) == (3, 400, 200, 100)
    assert (thread.run_delay_ns, thread.blocked_ns) == (300, 300)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ""),
        ("starting\nrunning\n\n", "running"),
        ("EAL: Cannot open it\nUsage: testpmd [options]\n  -c MASK", "EAL: Cannot open it"),
        ("error: one\nerror: two\nbye", "error: two"),
        ("x" * 1000, "x" * 200),
    ],
)
def test_the_line_that_speaks_of_a_failure_is_told(text: str, told: str) -> None:
    assert telling(text) == told


def test_cpu_time_never_runs_back() -> None:
    """A process that has ended takes with it what the kernel told more exactly of it."""
    assert CpuTime(5, 5, 5, 5).since(CpuTime(7, 1, 5, 6)) == CpuTime(0, 4, 0, 0)
