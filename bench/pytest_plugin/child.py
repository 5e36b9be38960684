"""A run in a process of its own: `bench run`, as a user would start it.

Measuring changes the process that does it for good: it gives up capabilities, may move into a user
namespace (which takes a process without threads), takes over signals and stays off the senders'
CPUs. A process of pytest has other tests to run, and threads, captured streams and coverage's
tracer, which cost time beside a sender. So nothing is measured in it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import bench
from bench.base.errors import BenchError
from bench.base.exit_codes import ExitCode

CLEANING_UP_S = 60.0
"""A run that is told to end takes down interfaces, and gives back those that it borrowed."""
_MEASURED = (ExitCode.FINE, ExitCode.INCONCLUSIVE)
_PER_ARGUMENT = 5000
"""Ids of cells in one argument: the kernel takes 128 KiB."""


def run(
    matrix: Path, cells: Collection[str], folder: Path, options: Sequence[str]
) -> tuple[Path, list[str]]:
    """Run these cells of a matrix (all if there are none), and their baselines.

    ``folder`` is as in ``--results``. Returns the run's path below it, and what the command said
    besides. Raises BenchError if it measured nothing, with the reason.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        table = Path(scratch) / "table.json"
        command = [sys.executable, "-P", "-m", "bench", "run", str(matrix), *options]
        command += [*_filters(sorted(cells)), "--results", str(folder)]
        command += ["--format", "json", "--output", str(table)]
        code, said = _ended(command)
        if code not in _MEASURED:
            raise BenchError("\n".join(said) or f"bench run {_how(code)}, and said nothing")
        name = json.loads(table.read_text())["run"]
    (path,) = folder.glob(f"*/*/{name}.jsonl")
    return path, [line for line in said if not line.startswith("stored in ")]


def _filters(cells: Sequence[str]) -> list[str]:
    pieces = [cells[i : i + _PER_ARGUMENT] for i in range(0, len(cells), _PER_ARGUMENT)]
    return [word for ids in pieces for word in ("--filter", f"cell={','.join(ids)}")]


def _ended(command: Sequence[str]) -> tuple[int, list[str]]:
    """The exit code of a command, and the lines that it wrote on stderr."""
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": _python_path()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # a terminal's Ctrl-C is pytest's: it is passed on once, below
    )
    try:
        _, said = process.communicate()
    except BaseException:
        process.terminate()
        try:
            process.communicate(timeout=CLEANING_UP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        raise
    return process.returncode, [line.removeprefix("bench: ") for line in said.splitlines()]


def _python_path() -> str:
    """So that the command is the bench of this process, whatever lies in the present folder."""
    own = str(Path(bench.__file__).parents[1])
    return os.pathsep.join(filter(None, [own, os.environ.get("PYTHONPATH")]))


def _how(code: int) -> str:
    return f"exited with code {code}" if code >= 0 else f"died of {signal.Signals(-code).name}"
