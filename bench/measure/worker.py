"""The child process that opens cells inside their topologies and runs slices.

A crash in the core ends this process and no other. The runner asks over a socket pair and gets one
answer to each request, in their order. It may ask for a slice before it has the answer of the one
before: that slice then begins while the answer is made, so that little time passes between windows.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar

from bench.base.errors import BenchError, CpuTaken, told_with_place
from bench.engines import core, own
from bench.measure.channel import Channel, NoMessage
from bench.measure.messages import (
    VERSION,
    Answer,
    Close,
    Descriptors,
    Done,
    Failure,
    Hello,
    Open,
    Request,
    RunSlice,
    Setup,
)
from bench.measure.open_cells import Begun, OpenCells
from bench.system import privileges

PR_SET_PDEATHSIG, PR_SET_TIMERSLACK = 1, 29


SLACK_NS = 1000
"""By how much a sleep may be too long, at a window's end most of all; by default it is 50 us."""


SOON = 4
"""The next request is waited for until this part of a window is over: a fourth."""


T = TypeVar("T")
U = TypeVar("U")


def _answer(cells: OpenCells, request: Request) -> Answer:
    match request:
        case Open():
            return cells.open_cell(request)
        case Close():
            cells.close_cell(request.cell)
            return Done()
    raise TypeError(f"not now: {type(request).__name__}")


def _run_slices(cells: OpenCells, channel: Channel[Request], request: RunSlice) -> Request | None:
    """Run this slice, and those that were asked for before the one before them ended: while that is
    told they warm up. The next request, if it has come."""
    begun = _attempt(functools.partial(cells.begin, request))
    while True:
        # It is most likely on its way; there is time for it while this one's window lasts.
        soon_ms = begun.window_ms // SOON if isinstance(begun, Begun) else 0
        following = channel.waiting(soon_ms)
        ended = _attempt_on(begun, cells.end)
        following = following or channel.waiting()
        after = None
        if isinstance(following, RunSlice):
            behind = None if isinstance(ended, Failure) else ended
            begun = _attempt(functools.partial(cells.begin, following, behind))
            after = begun if isinstance(begun, Begun) else None
        channel.send(_attempt_on(ended, functools.partial(cells.told, following=after)))
        if not isinstance(following, RunSlice):
            return following


def _attempt(act: Callable[[], T]) -> T | Failure:
    """What it returns, or the Failure that it ends in.

    One that nobody foresaw (a bug, a limit of the machine) must not end this process either:
    the next one would only meet it again.
    """
    try:
        return act()
    except CpuTaken as error:
        return Failure(str(error), ends_run=True)
    except BenchError as error:
        return Failure(str(error))
    except OSError as error:
        return Failure(told_with_place(error))
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        return Failure(
            f"{type(error).__name__}: {error} ({Path(at.filename).name}, line {at.lineno})"
        )


def _attempt_on(before: U | Failure, act: Callable[[U], T]) -> T | Failure:
    """``act`` on what an attempt before returned, unless that failed."""
    return before if isinstance(before, Failure) else _attempt(functools.partial(act, before))


def _started(channel: Channel[Request], stack: ExitStack, engines: Sequence[int]) -> OpenCells:
    """Raises BenchError where who asks and this process do not fit together."""
    hello = channel.receive()
    if not isinstance(hello, Hello) or hello.version != VERSION:
        raise BenchError(f"it speaks version {VERSION} of the messages, and was told {hello}")
    if core.info().hash != hello.core_hash:
        raise BenchError("the core's sources changed since the run began: start a new one")
    for engine in engines:
        own.load_compiled(engine)
    channel.send(Done())
    fds: dict[int, int] = {}
    while isinstance(setup := channel.receive(), Descriptors):
        fds |= zip(setup.numbers, channel.taken(), strict=True)
        channel.send(Done())
    if not isinstance(setup, Setup):
        raise BenchError(f"it was told {type(setup).__name__} instead of Setup")
    return OpenCells([topology.by(fds) for topology in setup.topologies], setup.slice_plan, stack)


def serve(channel: Channel[Request], engines: Sequence[int] = ()) -> None:
    """Answer requests, until EOFError or ConnectionError tells that the other end is gone.

    ``engines`` are descriptors of the user's own, which only who starts this process can give."""
    with ExitStack() as stack:
        cells = _attempt(lambda: _started(channel, stack, engines))
        channel.send(cells if isinstance(cells, Failure) else Done())
        if not isinstance(cells, OpenCells):
            return
        stack.callback(cells.close_all)
        # Not before: the core, and what else was imported, may lie where only root can read.
        privileges.shed(privileges.WORKER)
        gc.freeze()
        gc.disable()  # no collection in the middle of a round; what is made here is freed at once
        request: Request | None = None
        while True:
            request = request or channel.receive()
            if isinstance(request, RunSlice):
                request = _run_slices(cells, channel, request)
            else:
                channel.send(_attempt(functools.partial(_answer, cells, request)))
                request = None


def main() -> None:
    # The runner may be killed without a chance to tell: then this process, and with it the last
    # holder of the namespaces, must go too.
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_TIMERSLACK, ctypes.c_ulong(SLACK_NS))
    # A service manager stops all processes of a service at once: the runner decides what is next.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    parent, fd, *engines = map(int, sys.argv[1:])
    if os.getppid() != parent:
        return
    with socket.socket(fileno=fd) as stream, suppress(EOFError, ConnectionError, NoMessage):
        serve(Channel(stream, Request), engines)
