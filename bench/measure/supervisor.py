"""The present worker, and one that takes its place when it dies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bench.base.errors import WorkerDied, WorkerHung
from bench.measure.messages import Failure
from bench.measure.worker_process import WorkerProcess

T = TypeVar("T")


class Supervisor:
    """Starts a worker when it is first asked for something, and another after a death.

    ``make`` makes one, ``start`` starts it; ``died`` is called when a worker is gone, with all that
    it had open.
    """

    def __init__(
        self,
        make: Callable[[], WorkerProcess],
        start: Callable[[WorkerProcess], object],
        died: Callable[[], object],
    ) -> None:
        self._make, self._start, self._died = make, start, died
        self._worker: WorkerProcess | None = None
        self._is_started = False

    def prepare(self) -> WorkerProcess:
        """The worker, perhaps not started: it comes into being while the caller does other things.

        Raises BenchError if there can be none.
        """
        if self._worker is None:
            self._worker, self._is_started = self._make(), False
        return self._worker

    def ask(
        self,
        act: Callable[[WorkerProcess], T],
        alone: Callable[[WorkerProcess], T] | None = None,
    ) -> T | Failure:
        """What ``act`` does with the worker; a Failure if the worker dies of it.

        Where it may also die of something else that ``act`` asked for ahead, ``alone`` asks another
        worker for nothing but that. Raises BenchError, and no other is tried, if a worker cannot
        start.
        """
        worker = self._present()
        try:
            return act(worker)
        except WorkerDied as death:
            self.close()
            self._died()
            if alone and not isinstance(death, WorkerHung):
                return self.ask(alone)
            return Failure(f"{death} in this cell")

    def _present(self) -> WorkerProcess:
        worker = self.prepare()
        if not self._is_started:
            self._is_started = True
            self._start(worker)
        return worker

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
