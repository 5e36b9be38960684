"""The core under sanitizers: its whole life over lo, of every method and with many knobs; the two
steps of a burst; the bytes that a fill writes; its windows behind a simulated shaper; and the CPUs
that it asks for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import sanitized

SKIPPED = 77
HERE = Path(__file__).parent


def assert_clean(program: Path) -> None:
    done = subprocess.run([program], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.netns
@pytest.mark.parametrize("sanitizers", sanitized.SANITIZERS)
def test_every_method_is_clean_under(sanitizers: str) -> None:
    assert_clean(sanitized.program(HERE / "drive.c", sanitizers))


def test_a_fill_writes_each_byte_or_none() -> None:
    assert_clean(sanitized.program(HERE / "fills.c", "address,undefined"))


@pytest.mark.netns
def test_after_fill_the_kernel_has_no_frame_of_any_method_and_after_submit_it_has_them() -> None:
    assert_clean(sanitized.program(HERE / "seams.c", "address,undefined"))


def test_no_window_has_more_frames_than_a_shaper_lets_pass_nor_looks_among_its_costs() -> None:
    asked = ["syscall", "ioctl", "socket", "setsockopt", "bind", "close", "clock_gettime"]
    asked += ["clock_nanosleep", "getrusage", "pread", "pthread_join"]
    wrapped = ",".join(f"--wrap={name}" for name in asked)
    assert_clean(sanitized.program(HERE / "shaper.c", "address,undefined", f"-Wl,{wrapped}", "-lm"))


def test_the_kernel_is_asked_for_the_cpu_that_a_thread_is_pinned_to_whatever_its_number() -> None:
    wrapped = "-Wl,--wrap=sched_setaffinity"
    assert_clean(sanitized.program(HERE / "pins.c", "address,undefined", wrapped))
