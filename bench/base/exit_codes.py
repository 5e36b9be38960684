"""The exit codes of ``bench``: the only place that has their numbers."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    FINE = 0
    FAILURE = 1
    USAGE = 2
    REGRESSION = 3
    INCONCLUSIVE = 4
    INTERRUPTED = 130
    """A signal came: the process then dies of it (``signals.die``)."""


MEANINGS = {
    ExitCode.FINE: "fine",
    ExitCode.FAILURE: "failure",
    ExitCode.USAGE: "usage or bad input",
    ExitCode.REGRESSION: "regression",
    ExitCode.INCONCLUSIVE: "inconclusive or missing cells",
}
"""As help texts say it."""
