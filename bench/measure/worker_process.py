"""The parent's end of a worker: one request at a time, and how the child died."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from bench.base.errors import BenchError, WorkerDied, told
from bench.engines.build import CHECKOUT
from bench.measure.messages import Close, Failure, Open, RunSlice, Setup
from bench.model.cells import Cell
from bench.model.parties import Party
from bench.model.samples import Sample

_CHILD = "from bench.measure.worker import main; main()"


ANSWER_SLACK_S = 30.0
"""Beyond what a slice may take by itself; a worker that is silent for longer hangs."""


ENDING_S = 3.0
"""What closing its cells may take a worker that is told to end."""


class WorkerProcess:
    """A running child.

    Requests raise WorkerDied when the child ends or hangs, naming how. ``start`` comes first, and
    ``close`` last.
    """

    def __init__(self, setup: Setup) -> None:
        ours, theirs = socket.socketpair()
        fds = {fd for topology in setup.topologies for fd in topology.netns_fds}
        with ours, theirs:
            try:
                self._process = subprocess.Popen(
                    # Not -m: requests are instances of this module's classes, not of __main__'s.
                    # -P: a file in the present folder must not stand in for one of Python's.
                    [sys.executable, "-P", "-c", _CHILD, str(os.getpid()), str(theirs.fileno())],
                    pass_fds=(theirs.fileno(), *fds),
                    stdin=subprocess.DEVNULL,
                    env=os.environ
                    | {"PYTHONPATH": os.pathsep.join(sys.path), CHECKOUT: setup.checkout},
                    start_new_session=True,  # a terminal's Ctrl-C is the runner's to handle
                )
            except OSError as error:
                raise BenchError(
                    f"cannot start the worker {sys.executable}: {told(error)}"
                ) from error
            self._connection = Connection(ours.detach())
        self._setup = setup
        self._is_busy = False
        plan = setup.slice_plan
        self._slice_s = (plan.window_ns + plan.warmup_ns + 3 * plan.drain_ns) / 1e9

    def start(self) -> None:
        """Hand over what all requests need. Raises BenchError if the child cannot work with it."""
        answer = self._ask(self._setup, ANSWER_SLACK_S)
        if isinstance(answer, Failure):
            raise BenchError(f"the worker cannot start: {answer.reason}")

    def open_cell(
        self, cell: Cell, sender: Party, topology: int | None, check: bool
    ) -> Mapping[str, Any] | Failure:
        answer = self._ask(Open(cell, sender, topology, check), 10 * ANSWER_SLACK_S)
        assert isinstance(answer, dict | Failure)
        return answer

    def close_cell(self, cell: str) -> None:
        self._ask(Close(cell), ANSWER_SLACK_S)

    def run_slice(self, cell: str, round_: int) -> Sample | Failure:
        answer = self._ask(RunSlice(cell, round_), self._slice_s + ANSWER_SLACK_S)
        assert isinstance(answer, Sample | Failure)
        return answer

    def _ask(self, request: object, timeout_s: float) -> object:
        self._is_busy = True
        try:
            self._connection.send(request)
            if not self._connection.poll(timeout_s):
                self._process.kill()
                raise WorkerDied(f"the worker hung: no answer within {timeout_s:.0f} s")
            answer: object = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerDied(f"the worker {self._death()}") from error
        self._is_busy = False
        return answer

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
        self._connection.close()
        try:
            self._process.wait(timeout=0.0 if self._is_busy else ENDING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
