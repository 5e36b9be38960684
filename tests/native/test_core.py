"""The core through its null method: no privilege, no interface."""

from __future__ import annotations

import errno
import os
import shutil
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from bench.base.errors import CoreError
from bench.base.values import Value
from bench.engines import build, core
from bench.model.vocabulary import axes_of
from tests.running import wait_for
from tests.vocabulary import WORDS

PLAN = core.SlicePlan(window_ns=5_000_000, warmup_ns=200_000, drain_ns=100_000_000)
CPU = max(os.sched_getaffinity(0))
INVALID = os.strerror(errno.EINVAL)


def values(**axes: Value) -> dict[str, Value | None]:
    base: dict[str, Value | None] = dict.fromkeys(WORDS.axes)
    return base | {"method": "null", "frame_size": 64, "threads": 1, "burst": 8} | axes


def one_slice(**axes: Value) -> core.Slice:
    with core.OpenCell(values(**axes), None, [CPU]) as cell:
        return cell.run_slice(PLAN)


def test_the_core_bears_the_hash_of_its_sources() -> None:
    recipe = build.recipe()
    assert recipe is not None
    assert core.info().hash == recipe.source_hash(build.variant())


@pytest.mark.parametrize("name", ["CC", "CPPFLAGS", "CFLAGS", "LDFLAGS"])
def test_a_core_that_the_environment_would_build_otherwise_is_another(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = build.recipe()
    assert recipe is not None
    monkeypatch.setenv(name, "one")
    before = recipe.source_hash()
    monkeypatch.setenv(name, "one -more")
    assert recipe.source_hash() != before


def test_a_core_bears_the_flags_of_the_environment_and_the_name_that_its_python_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A debug Python has no .abi3.so among its suffixes: here is one without it, too."""
    if shutil.which("gcc") is None:  # only where the core came built, as to a virtual machine
        pytest.skip("gcc is missing")
    (tmp_path / "sitecustomize.py").write_text(
        "from importlib.machinery import EXTENSION_SUFFIXES\n"
        "EXTENSION_SUFFIXES.remove('.abi3.so')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("CFLAGS", "-O1 -DSAID='\"so\"'")
    build.ensure_built(build.Place(build.SOURCES, tmp_path))
    (core,) = tmp_path.glob("*.so")
    assert core.name == f"_core{EXTENSION_SUFFIXES[0]}"
    recipe = build.recipe()
    assert recipe is not None
    assert recipe.source_hash().encode() in core.read_bytes()
    assert b"""-O1 -DSAID='"so"' -std=gnu11""" in core.read_bytes()


def test_a_free_threaded_python_takes_no_core_of_another_for_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """3.13 lists .abi3.so among its suffixes without a GIL, too, and has another ABI then."""
    (tmp_path / "_core.abi3.so").touch()
    place = build.Place(build.SOURCES, tmp_path)
    monkeypatch.setattr(build, "FREE_THREADED", False)
    assert [path.name for path in place.files("bench._core")] == ["_core.abi3.so"]
    monkeypatch.setattr(build, "FREE_THREADED", True)
    assert place.files("bench._core") == []
    known = sysconfig.get_config_var
    monkeypatch.setattr(sysconfig, "get_config_var", lambda n: n == "Py_GIL_DISABLED" or known(n))
    recipe = build.recipe()
    assert recipe is not None
    assert not recipe.STABLE_ABI


def test_every_method_says_what_it_is_and_has_known_knobs() -> None:
    methods = core.methods()
    names = ["null", "syscall", "sendto", "send", "sendmsg", "sendmmsg", "tx_ring"]
    assert list(methods)[:7] == names
    for method in methods.values():
        assert method.help
        assert method.path
        assert {"frame_size", "threads", "affinity"} <= method.knobs <= set(axes_of(methods))


def test_null_ignores_interface_and_ring() -> None:
    knobs = core.methods()["null"].knobs
    assert not knobs & {"interface", "qdisc", "ring", "sndbuf", "qdisc_bypass"}


def test_the_window_closes_after_its_length_and_all_is_completed() -> None:
    measured = one_slice(fill="copy")
    (thread,) = measured.threads
    assert measured.wall_ns >= PLAN.window_ns
    assert thread.completed == thread.submitted == thread.requested > 0
    assert thread.completed % 8 == 0
    assert thread.calls == 0
    assert measured.slice_completed > thread.completed, "the warm-up counts to the slice only"
    assert (measured.undrained, thread.moved, thread.cpu) == (False, 0, CPU)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"method": "nosuch"}, "method nosuch"),
        ({"frame_size": 13}, "frame size 13"),
        ({"frame_size": 65536}, "frame size 65536"),
        ({"threads": 0}, "0 threads"),
        ({"threads": 65}, "65 threads"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(axes: dict[str, Value], message: str) -> None:
    with pytest.raises(CoreError, match=f"^{message}: {INVALID}$"):
        core.OpenCell(values(**axes), None, [CPU])


@pytest.mark.parametrize("cpu", [1000, 1024, 5000, 8191])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_cpu_that_is_not_there_is_an_error_not_a_crash(cpu: int, threads: int) -> None:
    """A cpu_set_t ends at 1024, a kernel may have 8192."""
    message = f"thread {threads - 1} on CPU {cpu}: {INVALID}"
    with core.OpenCell(values(threads=threads), None, [CPU, cpu][-threads:]) as cell:
        for _ in range(2):
            with pytest.raises(CoreError, match=message):
                cell.run_slice(PLAN)


def test_a_thread_that_is_not_pinned_runs_where_its_starter_may() -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {CPU})
    try:
        # Pinned to what would be refused, were it pinned.
        with core.OpenCell(values(affinity="free"), None, [1000]) as cell:
            (thread,) = cell.run_slice(PLAN).threads
    finally:
        os.sched_setaffinity(0, before)
    assert (thread.cpu, thread.moved) == (CPU, 0)
    assert thread.completed > 0


def own_threads() -> set[Path]:
    return {*Path("/proc/self/task").iterdir()}


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_get_ready_first_and_are_gone_if_there_is_no_slice(threads: int) -> None:
    ready = []
    with core.OpenCell(values(threads=threads), None, [CPU] * threads) as cell:
        before = own_threads()
        cell.run_slice(PLAN, first=lambda: ready.append(own_threads() - before))
        assert len(ready[0]) == threads
        with pytest.raises(ZeroDivisionError):
            cell.run_slice(PLAN, first=lambda: 1 / 0)
        wait_for(lambda: own_threads() <= before, "the threads to end")
        assert cell.run_slice(PLAN).slice_completed > 0
    wait_for(lambda: own_threads() <= before, "the threads to end")


def test_the_words_of_the_tests_have_the_limits_of_the_core() -> None:
    assert core.limits() == WORDS.limits
