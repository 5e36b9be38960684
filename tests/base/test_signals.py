from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from bench.base import signals
from tests.running import needs_root, needs_unshare, wait_for


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in signals.SIGNALS]


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_where_nothing_is_set_up_an_interrupt_is_no_exception(number: signal.Signals) -> None:
    """Code that would swallow a KeyboardInterrupt, as imports and pydantic do, never sees it."""
    script = (
        "import os\n"
        "from bench.base import signals\n"
        "with signals.exiting():\n"
        "    try:\n"
        f"        os.kill(os.getpid(), {number:d})\n"
        "        input()\n"
        "    except BaseException as error:\n"
        "        print('swallowed', repr(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (-number, b"", b"")


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_what_was_undone_dies_of_its_signal(number: signal.Signals) -> None:
    """A shell shows that as 130, 143 and 129."""
    script = (
        "import os\n"
        "from bench.base import signals\n"
        "with signals.exiting():\n"
        "    try:\n"
        "        with signals.raising():\n"
        f"            os.kill(os.getpid(), {number:d})\n"
        "    except KeyboardInterrupt:\n"
        "        print('undone', flush=True)\n"
        "    signals.die()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-number, b"undone\n", b"")


@needs_unshare
@needs_root
def test_the_first_process_of_a_pid_namespace_exits_as_if_it_died() -> None:
    """The kernel drops a signal that such a process sends itself and does not handle."""
    script = (
        "import os, sys\n"
        "from bench.base import signals\n"
        "try:\n"
        "    with signals.raising():\n"
        "        os.kill(os.getpid(), 15)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(signals.die())\n"
    )
    first = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c", script]
    assert subprocess.run(first, check=False).returncode == 143


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_what_comes_when_the_command_is_done_changes_nothing(number: signal.Signals) -> None:
    """Python has still to end, which takes some milliseconds."""
    script = (
        "import atexit, os, sys\n"
        "from bench.__main__ import main\n"
        f"atexit.register(os.kill, os.getpid(), {number:d})\n"
        "sys.argv = ['bench', 'show', 'not/there']\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1)


class Swallowing:
    """Python drops what a finaliser raises."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        wait_for(lambda: signals._raised, "Python to run its handler")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_a_finaliser_swallowed_is_raised_at_the_next_check() -> None:
    with signals.raising():
        signals.check()
        Swallowing()
        with pytest.raises(KeyboardInterrupt):
            signals.check()
    signals.check()


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_where_there_is_something_to_undo_it_is_raised(number: signal.Signals) -> None:
    before = handlers()
    raised = False
    with signals.raising():
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            raised = True
    assert raised
    assert handlers() == before


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.raising():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_is_held_comes_afterwards() -> None:
    steps = []
    with signals.raising():
        try:
            with signals.held():
                signal.raise_signal(signal.SIGTERM)
                steps.append("held")
            steps.append("too late")
        except KeyboardInterrupt:
            steps.append("raised")
    assert steps == ["held", "raised"]


def test_what_another_thread_takes_is_held_too() -> None:
    steps, done = [], threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        with signals.raising():
            try:
                with signals.held(), signals.held():
                    assert other.ident is not None
                    signal.pthread_kill(other.ident, signal.SIGTERM)
                    wait_for(lambda: signals._late, "Python to run the handler")
                    steps.append("held")
                steps.append("too late")
            except KeyboardInterrupt:
                steps.append("raised")
    finally:
        done.set()
        other.join()
    assert steps == ["held", "raised"]
