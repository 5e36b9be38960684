"""Ctrl-C, SIGTERM and SIGHUP: they exit at once, or raise once there is something to undo.

Either way the process dies of its signal in the end: a shell's loop stops at Ctrl-C, and a service
manager sees a clean stop.

An import may swallow a KeyboardInterrupt, and pydantic turns it into another error; so none is
raised before anything is set up.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from bench.base.exit_codes import ExitCode

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def exiting() -> AbstractContextManager[None]:
    """A signal ends the process without a word.

    After the block it does nothing: the command is done, and Python needs some milliseconds more
    to end, in which it restores its own handlers.
    """
    return _handled(lambda number, _frame: os._exit(_die_of(number)), afterwards=signal.SIG_IGN)


def die() -> int:
    """Die of the signal that was raised last; everything is undone and written. Returns the exit
    code for who cannot die of it, the first process of a PID namespace, or was not sent one."""
    return _die_of(_last) if _last else ExitCode.INTERRUPTED


def _die_of(number: int) -> int:
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
    return 128 + number  # as a shell shows such a death


@contextmanager
def raising() -> Iterator[None]:
    """A signal raises KeyboardInterrupt.

    Python prints and drops one that it raises in a finaliser or a callback of its collector. Long
    work asks ``check`` between two steps, so that such a signal still ends it.
    """
    with _handled(_raise):
        try:
            yield
        finally:
            _raised.clear()


def check() -> None:
    """Raise KeyboardInterrupt if a signal raised one before: whoever asks has not seen it."""
    if _raised:
        raise KeyboardInterrupt


def _raise(number: int, _frame: FrameType | None) -> None:
    global _last
    _raised.append(number)
    _last = number
    raise KeyboardInterrupt


_raised: list[int] = []
"""Signals of the present ``raising``."""
_last = 0
"""The last of any."""
_blocks = 0
_late: list[int] = []


@contextmanager
def held() -> Iterator[None]:
    """A signal is handled after the block. For the main thread.

    Blocking signals is not enough: the kernel gives one to any other thread that takes it (tqdm has
    one, a BLAS library many), and Python still runs the handler in the main thread.
    """
    global _blocks
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    _blocks += 1
    try:
        yield
    finally:
        _blocks -= 1
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if _late and not _blocks:
            number = _late[0]
            _late.clear()
            signal.raise_signal(number)


@contextmanager
def _handled(
    handler: Callable[[int, FrameType | None], object], afterwards: signal.Handlers | None = None
) -> Iterator[None]:
    """``afterwards`` handles them after the block; None: their handlers from before it."""

    def handle(number: int, frame: FrameType | None) -> None:
        if _blocks:
            _late.append(number)
        else:
            handler(number, frame)

    # An ignored signal stays ignored: nohup asks for that.
    caught = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in caught}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before if afterwards is None else afterwards)
