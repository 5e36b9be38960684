"""The present worker, and one that takes its place when it dies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bench.base.errors import WorkerDied
from bench.measure.messages import Failure
from bench.measure.worker_process import WorkerProcess

T = TypeVar("T")


class Supervisor:
    """Starts a worker when it is first asked for something, and another after a death.

    ``make`` makes one; ``died`` is called when a worker is gone, with all that it had open.
    """

    def __init__(self, make: Callable[[], WorkerProcess], died: Callable[[], object]) -> None:
        self._make, self._died = make, died
        self._worker: WorkerProcess | None = None

    def ask(self, act: Callable[[WorkerProcess], T]) -> T | Failure:
        """What ``act`` does with the worker; a Failure if the worker dies of it.

        Raises BenchError, and no other is tried, if a worker cannot start.
        """
        worker = self._present()
        try:
            return act(worker)
        except WorkerDied as death:
            self.close()
            self._died()
            return Failure(f"{death} in this cell")

    def _present(self) -> WorkerProcess:
        if self._worker is None:
            self._worker = self._make()
            self._worker.start()
        return self._worker

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
