"""The parent's end of a worker: what it is asked, in which order, and how it died."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TypeVar

from bench.base.errors import BenchError, WorkerDied, WorkerHung, told
from bench.engines.build import CHECKOUT
from bench.measure.channel import DESCRIPTORS, Channel, NoMessage
from bench.measure.messages import (
    VERSION,
    Answer,
    Close,
    Descriptors,
    Done,
    Failure,
    Hello,
    Open,
    Opened,
    Request,
    RunSlice,
    Setup,
    Sliced,
)

A = TypeVar("A", Done, Opened, Sliced)

_CHILD = "from bench.measure.worker import main; main()"


ANSWER_SLACK_S = 30.0
"""Beyond what a slice may take by itself; a worker that is silent for longer hangs."""


STARTING_S = 300.0
"""For each answer until it has started: its imports take an emulated CPU half a minute."""


ENDING_S = 3.0
"""What closing its cells may take a worker that is told to end."""


class WorkerProcess:
    """A child that comes into being: what it imports takes it longer than a topology takes us.

    Requests raise WorkerDied when the child ends or hangs, naming how. ``start`` comes first, and
    ``close`` last.
    """

    def __init__(
        self,
        core_hash: str,
        checkout: str = "",
        engines: Sequence[int] = (),
        cpus: Collection[int] = (),
    ) -> None:
        """``checkout`` is the folder that has the core, where that is not this bench's; ``engines``
        are descriptors of the user's own, compiled for it. Until it is started, the child may use
        ``cpus``, too."""
        ours, theirs = socket.socketpair()
        self._channel: Channel[Answer] = Channel(ours, Answer)
        with theirs:
            given = (theirs.fileno(), *engines)
            try:
                self._process = subprocess.Popen(
                    # -P: a file in the present folder must not stand in for one of Python's.
                    [sys.executable, "-P", "-c", _CHILD, str(os.getpid()), *map(str, given)],
                    pass_fds=given,
                    stdin=subprocess.DEVNULL,
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), CHECKOUT: checkout},
                    start_new_session=True,  # a terminal's Ctrl-C is the runner's to handle
                )
            except OSError as error:
                self._channel.close()
                raise BenchError(
                    f"cannot start the worker {sys.executable}: {told(error)}"
                ) from error
        self._place({*os.sched_getaffinity(0), *cpus})
        self._core_hash = core_hash
        self._is_busy = True
        self._ahead: RunSlice | None = None
        self._slice_s = 0.0

    def start(self, setup: Setup) -> None:
        """Hand over what all requests need. Raises BenchError if the child cannot work with it."""
        self._place(os.sched_getaffinity(0))
        plan = setup.slice_plan
        self._slice_s = (plan.window_ns + plan.warmup_ns + 3 * plan.drain_ns) / 1e9
        fds = sorted({fd for topology in setup.topologies for fd in topology.fds})
        parts = range(0, len(fds), DESCRIPTORS)
        requests: list[Request] = [
            Hello(VERSION, self._core_hash),
            *(Descriptors(tuple(fds[at : at + DESCRIPTORS])) for at in parts),
            setup,
        ]
        for request in requests:
            answer = self._ask(request, Done, STARTING_S)
            if isinstance(answer, Failure):
                raise BenchError(f"the worker cannot start: {answer.reason}")

    def _place(self, cpus: Collection[int]) -> None:
        with suppress(OSError):  # it is gone, or they are: its first answer tells
            os.sched_setaffinity(self._process.pid, cpus)

    def open_cell(self, request: Open) -> Opened | Failure:
        return self._ask(request, Opened, 10 * ANSWER_SLACK_S)

    def close_cell(self, cell: str) -> None:
        self._ask(Close(cell), Done, ANSWER_SLACK_S)

    def run_slice(self, request: RunSlice, then: RunSlice | None = None) -> Sliced | Failure:
        """``then`` begins as soon as this one is answered, and should be what is asked next."""
        return self._ask(request, Sliced, self._slice_s + ANSWER_SLACK_S, then)

    def _ask(
        self, request: Request, wanted: type[A], timeout_s: float, then: RunSlice | None = None
    ) -> A | Failure:
        self._is_busy = True
        try:
            answer = self._answer(request, timeout_s, then)
            if not isinstance(answer, wanted | Failure):
                raise NoMessage(f"{answer} where {wanted.__name__} was wanted")
        except TimeoutError as error:
            self._process.kill()
            raise WorkerHung(
                f"the worker hung: no answer to {type(request).__name__} within {timeout_s:.0f} s"
            ) from error
        except (EOFError, OSError) as error:
            raise WorkerDied(f"the worker {self._death()}") from error
        except NoMessage as error:
            self._process.kill()
            raise WorkerDied(f"the worker answered {error}") from error
        self._is_busy = self._ahead is not None
        return answer

    def _answer(self, request: Request, timeout_s: float, then: RunSlice | None) -> Answer:
        """Answers come in the order of the requests. Who dies may have died of any without one."""
        if request != self._ahead:
            if self._ahead:  # a slice that nobody wants any more
                self._channel.receive(timeout_s)
            self._channel.send(request, request.numbers if isinstance(request, Descriptors) else ())
        self._ahead = then
        if then:
            self._channel.send(then)
        return self._channel.receive(timeout_s)

    def _death(self) -> str:
        try:
            code = self._process.wait(timeout=ANSWER_SLACK_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return "stopped answering"
        if code >= 0:
            return f"exited with code {code}"
        return f"died of {signal.Signals(-code).name}"

    def close(self) -> None:
        """Close the connection, upon which the child ends; kill it if it does not, or is busy."""
        self._channel.close()
        try:
            self._process.wait(timeout=0.0 if self._is_busy else ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
