"""Small matrices: run in this process, or by ``bench`` as a process of its own, with all that it
leaves behind in view."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.matrix import load
from bench.measure import runner, session, stop
from bench.measure.measuring import Seen
from bench.measure.prepare import vocabulary
from bench.model.cells import Cell
from bench.model.matrix import Rounds
from bench.model.run import Run
from bench.model.samples import Sample
from bench.plan import plan
from bench.store import reader
from bench.system import host, privileges
from bench.topology.link import Allowed

ROOT = Path(__file__).parents[1]
PATIENCE_S = 30.0
"""For what comes in a moment: only a test that fails waits so long."""

UNPRIVILEGED = [
    *("setpriv", "--bounding-set=-all,+setfcap", "--inh-caps=-all", "--ambient-caps=-all")
]
"""Makes of root, or of who is root in a user namespace, a user like any other.

(Another user may not be able to read the checkout or Python.) What is left lets no more be done
than what others can do anyway: be mapped into a user namespace (user_namespaces(7)).
"""
NO_USER_NAMESPACES = [
    *("unshare", "-Urn", "sh", "-c"),
    'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"',
    "sh",
]
"""In a user namespace in which there may be no further one."""
needs_root = pytest.mark.skipif(
    privileges.standing() != privileges.Standing.ROOT,
    reason="it takes root, outside of a user namespace",
)
needs_setpriv = pytest.mark.skipif(
    not shutil.which("setpriv") or privileges.Capability.CAP_SETPCAP not in privileges.held(),
    reason="it takes root, or one in a user namespace, and util-linux's setpriv",
)
needs_numpy = pytest.mark.skipif(
    find_spec("numpy") is None, reason="the answer above a table takes numpy"
)
needs_unshare = pytest.mark.skipif(
    shutil.which("unshare") is None, reason="util-linux's unshare is missing"
)


def assert_rounds(run: Run, rounds: int) -> None:
    """Each cell that did not fail was measured once in each round, and then perhaps in some more:
    they make up for samples that were left out, which a busy machine has (measure/stop.py)."""
    measured = [(sample.cell, sample.round) for sample in run.samples]
    assert len(set(measured)) == len(measured)
    cells = [cell.id for cell in run.cells if cell.id not in run.failures]
    assert set(measured) >= {(cell, round_) for cell in cells for round_ in range(rounds)}
    most = rounds + stop.spare(Rounds(rounds, rounds))
    assert all(cell in cells and round_ < most for cell, round_ in measured)


class Quiet:
    """A progress that shows nothing, and calls back after so many slices."""

    def __init__(self, then: Callable[[], object] = lambda: None, after: int = 0) -> None:
        self._then, self._left = then, after

    def stage(self, text: str) -> None: ...

    def rounds(self, slices: int, number: int, of: Rounds) -> None: ...

    def slice(self, cell: Cell, sample: Sample | None) -> None:
        self._left -= 1
        if self._left == 0:
            self._then()


_words = functools.cache(vocabulary)


def _cpus() -> dict[str, list[int]]:
    """Processes that test at the same time (tools/guest/reports.py) send from another CPU each."""
    if (process := os.environ.get("BENCH_TEST_PROCESS")) is None:
        return {}
    cpus = sorted(os.sched_getaffinity(0))
    first = int(process) % len(cpus)
    return {"cpus": [*cpus[first:], *cpus[:first]]}


def measured(
    folder: Path,
    axes: dict[str, Any],
    *,
    progress: session.Progress | None = None,
    allowed: Allowed = Allowed(),  # noqa: B008 - a constant
    rounds: int = 2,
    openings: int = 1,
    window: str = "1ms",
    **more: Any,
) -> Run:
    """What is measured of a matrix in this process: as `bench run` does it, without its start."""
    measure = {"window": window, "rounds": rounds, "openings": openings} | _cpus()
    text = json.dumps({"name": "m", "axes": axes, "measure": measure, **more})
    words = _words()
    loaded = load.parse(text, "m.yaml", words)
    target = runner.Target(folder / "run.jsonl")
    planned = plan.make_plan(loaded, words)
    return runner.run(loaded, planned, target, progress or Quiet(), seen(), allowed)


def seen() -> Seen[dict[str, Any]]:
    """This machine, without the doctor, who takes his time."""
    return Seen(host.fingerprint(), {})


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """What was said on stderr, line by line; none of it may be a traceback."""
        lines = self.err.splitlines()
        assert all(line.startswith("bench: ") for line in lines), self.err
        return [line.removeprefix("bench: ") for line in lines]


def wait_for(
    condition: Callable[[], object],
    what: str,
    of: subprocess.Popen[str] | None = None,
    within_s: float = PATIENCE_S,
) -> None:
    """Until a condition holds, of a process that must not end before it does."""
    end, nap_s = time.monotonic() + within_s, 0.002
    while not condition():
        assert of is None or of.poll() is None, f"it ended before {what}: {ended(of)}"
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(nap_s)
        nap_s = min(2 * nap_s, 0.02)  # where it takes long, looking is what slows it down


def is_given_back(file: Path, value: str) -> bool:
    """Whether a sysctl's file has its own value again, and nobody is about to switch it."""
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return opened.read() == value


class Bench:
    """Runs in a folder of its own; every process that it starts bears a mark."""

    def __init__(self, folder: Path, checkout: Path = ROOT) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.environment = os.environ | {
            "PYTHONPATH": str(checkout),
            "BENCH_TEST_MARK": secrets.token_hex(8),
        }
        # Users' streams are buffered: what is not written may fail at exit.
        for name in ("NO_COLOR", "COLUMNS", "BENCH_CORE", "PYTHONUNBUFFERED"):
            self.environment.pop(name, None)

    def matrix(
        self,
        axes: dict[str, Any] | None = None,
        *,
        name: str = "m",
        rounds: int = 2,
        window: str = "1ms",
        **more: Any,
    ) -> Path:
        """A matrix file; without axes two cells that need no privilege."""
        path = self.folder / f"{name}.yaml"
        axes = axes or {"method": ["null"], "frame_size": [64, 1514]}
        measure = {"window": window, "rounds": rounds}
        text = json.dumps({"name": name, "axes": axes, "measure": measure, **more})
        path.write_text(text)  # JSON is YAML
        return path

    def start(
        self,
        *arguments: object,
        prefix: Sequence[str] = (),
        program: Sequence[str] = ("-m", "bench"),
        **options: Any,
    ) -> subprocess.Popen[str]:
        """``program`` are Python's own arguments: what it runs."""
        defaults: dict[str, Any] = {
            "cwd": self.folder,
            "env": self.environment,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        command = [*prefix, sys.executable, *program, *map(str, arguments)]
        return subprocess.Popen(command, **defaults | options)

    def __call__(self, *arguments: object, **options: Any) -> Outcome:
        return ended(self.start(*arguments, **options))

    def files(self) -> list[Path]:
        """Every run file, oldest first."""
        return sorted(self.results.rglob("*.jsonl"))

    def stored(self) -> Run:
        """The only run."""
        (path,) = self.files()
        return reader.read(path)

    def samples(self) -> int:
        """How many samples are in the files so far."""
        return sum(path.read_text().count('{"type":"sample"') for path in self.files())

    def processes(self) -> dict[int, str]:
        """The command lines of what still runs, by process id."""
        mark = f"BENCH_TEST_MARK={self.environment['BENCH_TEST_MARK']}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and entry.name != str(os.getpid()):
                try:
                    if mark in (entry / "environ").read_bytes():
                        found[int(entry.name)] = (entry / "cmdline").read_text()
                except OSError:  # gone in the meantime
                    continue
        return {pid: command for pid, command in found.items() if command}  # "": a zombie

    def worker(self) -> int:
        (pid,) = [pid for pid, text in self.processes().items() if "bench.measure.worker" in text]
        return pid


def inside(capsys: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    """The command in this process: quicker, where nothing is killed, closed or given up.

    Its folder is that of the tests: name ``--results``.
    """
    capsys.readouterr()
    code = main([str(argument) for argument in arguments])
    return Outcome(code, *capsys.readouterr())


def complaints(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 2) -> list[str]:
    """What the command says about arguments that it must refuse, a line each."""
    outcome = inside(capsys, *arguments)
    assert (outcome.code, outcome.out) == (code, "")
    return outcome.complaints


def ended(process: subprocess.Popen[str]) -> Outcome:
    out, err = process.communicate(timeout=120)
    return Outcome(process.returncode, out or "", err or "")


def unfinish(path: Path) -> None:
    """Leave a run as if it had been killed after its last sample: without its end."""
    path.write_text(path.read_text().rpartition('{"type":"end"')[0])


def namespace_mounts() -> list[str]:
    """What keeps a namespace alive without a process (``ip netns add``)."""
    return re.findall(r".* - nsfs .*", Path("/proc/self/mountinfo").read_text())
