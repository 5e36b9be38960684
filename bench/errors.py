"""The exceptions that the command line turns into one line and an exit code."""


class BenchError(Exception):
    """Something failed that is not the user's doing; exit code 1."""

    exit_code = 1


class UsageError(BenchError):
    """Bad input: a matrix, an option, a file that is not what it should be; exit code 2.

    Several problems of one file are reported in one go: the message then has several lines,
    each ``file:line:column: what is wrong; what is allowed``.
    """

    exit_code = 2


class NotAllowed(UsageError):
    """A real interface that must not be used: ends a run, whatever else it could measure."""


class CoreError(BenchError):
    """A call into the C core failed: ``errno`` is positive, the message says which call."""

    def __init__(self, errno: int, message: str) -> None:
        super().__init__(message)
        self.errno = errno


class WorkerDied(BenchError):
    """The worker process ended without being asked to."""
